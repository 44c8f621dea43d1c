"""SafetyActor: every measurement is judged, every breach answered in the same turn, every set-point approved here.

A thin shell: `SafetyGuard` decides what a battery may do, `Arbiter` which set-point holds, `SafeDuty` when a safe
command is due, `LatchBook` keeps trips. Each incarnation knows nothing of the last but those: it begins safe.

In a turn the order is fixed: withdraw what is not allowed, command the safe state, write a trip to disk, then tell it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import structlog

from actors.courier import Courier
from actors.messages import (
    LEASE_ENDED,
    WATCHDOG,
    ApprovedSetpoint,
    DeviceState,
    ForeignWrite,
    LinkState,
    ReleaseSetpoint,
    ResetAnswer,
    ResetLatch,
    Ruling,
    SafeCommand,
    SafetyProgress,
    SetpointAnswer,
    SetpointRequest,
    SpoolAck,
    Vitals,
    WriteReport,
    WriteResult,
)
from actors.safety.announce import Announcer
from actors.safety.arbiter import Arbiter, wants_renewal
from actors.safety.assessment import denied
from actors.safety.config import DeviceLimits, SafetyConfig
from actors.safety.device import Device
from actors.safety.disk import DISK, Disk
from actors.safety.duty import Cause, find_causes
from actors.safety.guard import Assessment, SafetyGuard, Setpoint, Verdict
from actors.safety.latchbook import LatchBook
from actors.safety.operators import OperatorDesk
from actors.safety.rules import Holding
from actors.safety.turn import Turn
from supervision.actor import Actor, ActorContext, StopReason
from supervision.clock import NS_PER_S
from supervision.envelope import Header, Lane

MAX_DISBELIEVED = 64
"""So many strange senders are logged, each once."""
PROGRESS_NS = NS_PER_S // 4
AT_ONCE = 50
"""Devices evaluated in a tick at most, those that have waited longest: of hundreds, measurements come in between."""
BREATH_NS = NS_PER_S // 200
"""What is then left is looked at so much later."""
EVENT_BYTES = 1 << 20
"""Memory for events that are not yet known to be durable; some thousands."""

log = structlog.get_logger()


class SafetyActor(Actor):
    """Answers for every device in its configuration."""

    def __init__(self, config: SafetyConfig, disk: Disk = DISK) -> None:
        """Begin with nothing known; a state directory that cannot be written is told, and no reason not to enforce."""
        # One object for all devices with the same figures: decoded, each has its own, of two kilobytes.
        same: dict[DeviceLimits, DeviceLimits] = {}
        devices = {name: same.setdefault(limits, limits) for name, limits in config.devices.items()}
        self._config = config = msgspec.structs.replace(config, devices=devices)
        self._state_dir = Path(config.state_dir)
        self._disk = disk
        self._arbiter = Arbiter(
            max_ttl_s=config.max_ttl_s, requests_per_minute=config.requests_per_minute
        )
        self._guard = SafetyGuard(config.devices, site=config.site)
        self._devices: dict[str, Device] = {}
        self._disbelieved: set[tuple[str, str]] = set()
        self._evaluations = 0
        self._progress_due_ns = 0
        self._seq = 0
        self._context: ActorContext
        self._courier: Courier
        self._turn: Turn

    def on_start(self, context: ActorContext) -> None:
        """Restore the latches and command every device to safety."""
        self._context = context
        self._courier = Courier(context, max_bytes=EVENT_BYTES)
        self._turn = Turn(context, traced=self._config.traced)
        now_ns = context.clock.monotonic_ns()
        # Rises over incarnations too, so that no report on an older one's command can be taken for a newer one's.
        self._seq = now_ns // 1000
        self._book = LatchBook(
            self._state_dir,
            resets_per_hour=self._config.resets_per_hour,
            clock=context.clock,
            tell=self._tell_event,
            disk=self._disk,
        )
        self._operators = OperatorDesk(self._arbiter, self._guard, self._book)
        trips = self._book.open(self._config.devices)
        for device_id, limits in self._config.devices.items():
            if record := trips.get(device_id):
                self._guard.latch(device_id, f"{record.rule}: {record.reason}")
            assessment = self._guard.evaluate(device_id, now_ns)
            device = Device(
                device_id, limits, Announcer(device_id, context, self._courier), assessment
            )
            self._devices[device_id] = device
            self._act(device, assessment, now_ns)

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - as Actor declares it
        """Judge a measurement or a request, or note how a device or a write stands."""
        self._turn.begin(header.trace)
        match message:
            case Vitals():
                self._on_vitals(message, header)
            case SetpointRequest():
                self._on_request(message, header)
            case ReleaseSetpoint():
                self._on_release(message, header)
            case ResetLatch():
                self._on_reset(message, header)
            case WriteReport():
                self._on_write_report(message, header)
            case DeviceState():
                self._on_device_state(message, header)
            case SpoolAck():
                self._courier.heard(message)
            case ForeignWrite():
                self._on_foreign_write(message, header)
            case _:
                pass

    def on_tick(self) -> None:
        """Look for what became stale, ended, or is to be repeated."""
        now_ns = self._context.clock.monotonic_ns()
        self._turn.begin()
        self._courier.tick()
        if now_ns >= self._progress_due_ns:
            self._progress_due_ns = now_ns + PROGRESS_NS
            self._context.send(SafetyProgress(evaluations=self._evaluations), WATCHDOG)
            self._book.tick()
        due = [device for device in self._devices.values() if now_ns >= device.due_ns]
        if len(due) > AT_ONCE:
            due = sorted(due, key=lambda device: device.due_ns)[:AT_ONCE]
            self._context.wake_at(now_ns + BREATH_NS)
        for device in due:
            self._act(device, self._guard.evaluate(device.id, now_ns), now_ns)

    def on_stop(self, reason: StopReason) -> None:
        """Enter into the audit log what still waits."""
        self._book.tick()

    def _on_vitals(self, vitals: Vitals, header: Header) -> None:
        device = self._owned(vitals.device_id, header)
        if device is not None:
            now_ns = self._context.clock.monotonic_ns()
            device.measured_ns = now_ns
            site_closed = self._guard.site_closed
            assessment = self._guard.observe(vitals, now_ns)
            if self._guard.site_closed != site_closed:
                self._look_at_all()
            self._act(device, assessment, now_ns)
            self._renew(device, now_ns)
            self._turn.tell(self._turn.step(), "judge", device.id, state=assessment.state.value)
            if not device.watched and vitals.soc_pct is not None:
                device.watched = True
                log.info("first evaluation", device=device.id, state=assessment.state.value)

    def _look_at_all(self) -> None:
        """Let the next tick evaluate every device: the connection to the grid concerns them all."""
        for device in self._devices.values():
            device.due_ns = 0

    def _on_device_state(self, state: DeviceState, header: Header) -> None:
        device = self._owned(state.device_id, header)
        if device is not None:
            fault = "" if state.link is LinkState.ONLINE else f"{state.link.value} {state.reason}"
            now_ns = self._context.clock.monotonic_ns()
            if self._guard.observe_link(device.id, fault.strip(), state.mono_ns):
                self._act(device, self._guard.evaluate(device.id, now_ns), now_ns)

    def _on_write_report(self, report: WriteReport, header: Header) -> None:
        device = self._owned(report.device_id, header)
        if device is None:
            return
        if report.safe:
            device.duty.heard(report.seq, report.result)
            return
        lease = self._arbiter.lease(device.id)
        if lease and lease.covers(report.seq) and report.result is not WriteResult.VERIFIED:
            figures = f"{lease.power_w:g} W ended {report.result.value}: {report.detail}"
            now_ns = self._context.clock.monotonic_ns()
            self._command_safe(device, {f"write {lease.seq}": Cause("write", figures)}, now_ns)
            device.announcer.event(report.result.value, "write", figures)
            device.reckon(None, now_ns)

    def _on_foreign_write(self, write: ForeignWrite, header: Header) -> None:
        """Keep it: what is done about it at the device is its InverterActor's part, and the limits hold as ever."""
        device = self._owned(write.device_id, header)
        if device is not None:
            detail = f"{write.detail}; {write.action.value}"
            device.announcer.event("foreign_write", write.name, detail)

    def _owned(self, device_id: str, header: Header) -> Device | None:
        """Return the device, if it is one of ours and its own InverterActor speaks."""
        device = self._devices.get(device_id)
        if device is not None and header.sender == device.inverter:
            return device
        strange = (device_id, header.sender)
        if strange not in self._disbelieved and len(self._disbelieved) < MAX_DISBELIEVED:
            self._disbelieved.add(strange)
            log.warning("not believed", device=device_id, sender=header.sender)
        return None

    def _act(self, device: Device, assessment: Assessment, now_ns: int) -> None:
        """Do what follows from an assessment."""
        device.assessment = assessment
        ended = self._end_of_lease(device, now_ns)
        causes = find_causes(
            assessment,
            leased=not ended and self._arbiter.power_w(device.id) != 0,  # 0 W explains no force
            deadband_w=device.limits.deadband_w,
            known=device.duty.known,
        )
        # A breach goes first: it is answered by a stop, whatever is left behind at the end of a set-point.
        self._command_safe(device, causes | ended, now_ns)
        if assessment.trip is not None:
            self._latch(device, assessment.trip)
        self._evaluations += 1
        device.announcer.rules(assessment)
        self._tell_status(device, now_ns)
        device.reckon(self._arbiter.lease(device.id), now_ns)

    def _end_of_lease(self, device: Device, now_ns: int) -> dict[str, Cause]:
        """Return why the device's set-point, if it has one, must end now."""
        lease = self._arbiter.lease(device.id)
        if lease is None:
            return {}
        if now_ns >= lease.until_ns:
            why = f"the set-point of {lease.request.power_w:g} W has ended"
            return {f"ended {lease.seq}": Cause(LEASE_ENDED, why)}
        verdict = self._check(device, lease.power_w, now_ns)
        if verdict.ruling is Ruling.DENIED:
            figures = f"{lease.power_w:g} W is not allowed any more; {verdict.detail}"
            return {f"setpoint {lease.seq}": Cause(verdict.rule, figures)}
        return {}

    def _command_safe(self, device: Device, causes: dict[str, Cause], now_ns: int) -> None:
        device.duty.face(causes, now_ns)
        if not device.duty.is_due(now_ns):
            return
        self._arbiter.withdraw(device.id)
        self._guard.approve(device.id, 0.0, now_ns)
        cause = device.duty.cause
        command = SafeCommand(
            device_id=device.id, seq=self._next_seq(), rule=cause.rule, reason=cause.reason
        )
        device.duty.sent(command.seq, now_ns)
        trace = self._turn.command()
        self._context.send(command, device.inverter, lane=Lane.CONTROL, trace=trace)
        self._turn.tell(trace, "make safe", device.id, rule=cause.rule)

    def _latch(self, device: Device, trip: Holding) -> None:
        fault = self._book.trip(device.id, trip.rule, trip.figures)
        device.announcer.event("tripped", trip.rule, trip.figures + fault)

    def _tell_event(self, device_id: str, kind: str, rule: str, detail: str) -> None:
        if device := self._devices.get(device_id):
            device.announcer.event(kind, rule, detail)

    def _on_request(self, request: SetpointRequest, header: Header) -> None:
        now_ns = self._context.clock.monotonic_ns()
        device = self._devices.get(request.device_id)
        if device is None:
            verdict = denied("device", f"{request.device_id!r} is not known")
        else:
            verdict = self._judge(device, request, header, now_ns)
            if verdict.ruling in {Ruling.ALLOWED, Ruling.CLAMPED}:
                held_w = self._arbiter.power_w(device.id)
                trace = self._turn.command()
                self._approve(device, request, verdict, now_ns, trace)
                self._turn.tell(trace, "approve", device.id, ruling=verdict.ruling.value)
                if verdict.power_w and held_w * verdict.power_w <= 0:
                    device.duty.rest(now_ns)  # once a direction: a renewal has had its time
                self._tell_status(device, now_ns)
            else:
                device.announcer.refusal(request, verdict, device.assessment.state, now_ns)
            self._operators.audit(request, verdict)
        self._answer(request, verdict, header)

    def _on_release(self, release: ReleaseSetpoint, header: Header) -> None:
        """Let go of a device: lower requests are heard again, and what was commanded ends."""
        now_ns = self._context.clock.monotonic_ns()
        verdict = self._arbiter.screen_order(
            release, source=release.source, sender=header.sender, epoch=header.epoch, now_ns=now_ns
        )
        if verdict is None:
            fault = self._arbiter.release(release.device_id, release.source, now_ns)
            verdict = denied("holder", fault) if fault else Verdict(ruling=Ruling.ALLOWED)
        device = self._devices.get(release.device_id)
        if device is not None and verdict.ruling is Ruling.ALLOWED:
            if self._arbiter.lease(device.id) is not None:
                cause = Cause(LEASE_ENDED, f"released by {release.source}: {release.reason}")
                self._command_safe(device, {f"released {release.seq}": cause}, now_ns)
                device.reckon(None, now_ns)
            self._operators.audit(release, verdict)
        self._answer(release, verdict, header)

    def _on_reset(self, order: ResetLatch, header: Header) -> None:
        now_ns = self._context.clock.monotonic_ns()
        rule, detail = self._operators.reset(order, header, self._devices, now_ns)
        if not rule:
            device = self._devices[order.device_id]
            detail = f"by {order.operator}: {order.reason}"
            device.announcer.event("reset", "trip", detail)
            self._act(device, self._guard.evaluate(device.id, now_ns), now_ns)
        log.info("reset", device=order.device_id, by=order.operator, refused=rule, detail=detail)
        answer = ResetAnswer(
            device_id=order.device_id, seq=order.seq, done=not rule, rule=rule, detail=detail
        )
        self._context.send(answer, header.sender, lane=Lane.CONTROL)

    def _answer(
        self, asked: SetpointRequest | ReleaseSetpoint, verdict: Verdict, header: Header
    ) -> None:
        answer = SetpointAnswer(
            device_id=asked.device_id,
            seq=asked.seq,
            ruling=verdict.ruling,
            power_w=verdict.power_w,
            rule=verdict.rule,
            detail=verdict.detail,
        )
        self._context.send(answer, header.sender, lane=Lane.CONTROL)

    def _judge(
        self, device: Device, request: SetpointRequest, header: Header, now_ns: int
    ) -> Verdict:
        refused = self._arbiter.screen(
            request, sender=header.sender, epoch=header.epoch, now_ns=now_ns
        )
        if refused is not None:
            return refused
        if device.duty.owed:
            return denied("safe_command", f"not yet known to be safe: {device.duty.cause.reason}")
        device.assessment = self._guard.evaluate(device.id, now_ns)
        if device.assessment.trip is not None:
            self._act(device, device.assessment, now_ns)
        return self._check(device, request.power_w, now_ns)

    def _check(self, device: Device, power_w: float, now_ns: int) -> Verdict:
        return self._guard.check_safety(Setpoint(device.id, power_w), device.assessment, now_ns)

    def _approve(
        self, device: Device, request: SetpointRequest, verdict: Verdict, now_ns: int, trace: str
    ) -> None:
        lease = self._arbiter.grant(
            request,
            power_w=verdict.power_w,
            seq=self._next_seq(),
            inverter_epoch=device.assessment.inverter_epoch,
            lease_ns=device.lease_ns,
            descent=device.descent,
            now_ns=now_ns,
        )
        self._guard.approve(device.id, lease.power_w, now_ns)
        approved = ApprovedSetpoint(
            device_id=device.id,
            power_w=lease.power_w,
            seq=lease.seq,
            inverter_epoch=lease.inverter_epoch,
            lease_until_mono_ns=lease.until_ns,
            reason=f"{request.source}: {request.reason}",
        )
        device.reckon(lease, now_ns)
        ttl_s = (lease.until_ns - now_ns) / NS_PER_S
        self._context.send(approved, device.inverter, lane=Lane.CONTROL, ttl_s=ttl_s, trace=trace)

    def _renew(self, device: Device, now_ns: int) -> None:
        """After a completed evaluation: extend the set-point, or lower it to what is possible now or left of it."""
        lease = self._arbiter.lease(device.id)
        if lease is None:
            return
        wanted_w, past_ns = lease.request.power_w, now_ns - lease.request_ends_ns
        if past_ns >= 0:
            wanted_w = device.descent.power_w(lease.from_w, past_ns)
        verdict = self._check(device, wanted_w, now_ns)
        if verdict.ruling is Ruling.DENIED:
            return
        lowered = abs(verdict.power_w) < abs(lease.power_w)
        if lowered or wants_renewal(lease, lease_ns=device.lease_ns, now_ns=now_ns):
            trace = self._turn.step()
            self._approve(device, lease.request, verdict, now_ns, trace)
            self._turn.tell(trace, "renew", device.id, power_w=verdict.power_w)

    def _tell_status(self, device: Device, now_ns: int) -> None:
        device.tell_status(self._arbiter.lease(device.id), self._evaluations, now_ns)

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq


def build(config: bytes) -> Actor:
    """Return the SafetyActor for a msgpack-encoded `SafetyConfig`."""
    return SafetyActor(msgspec.msgpack.decode(config, type=SafetyConfig))
