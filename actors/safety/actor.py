"""SafetyActor: every measurement is judged, every breach answered in the same turn, every set-point approved here.

A thin shell: `SafetyGuard` decides what a battery may do, `Arbiter` which set-point holds, `SafeDuty` when a safe
command is due. Each incarnation knows nothing of the last but the latched trips: it begins safe.

In a turn the order is fixed: withdraw what is not allowed any more, command the safe state, write a trip to disk,
and only then tell anybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import structlog

from actors.messages import (
    ApprovedSetpoint,
    DeviceState,
    LinkState,
    Ruling,
    SafeCommand,
    SetpointAnswer,
    SetpointRequest,
    Vitals,
    WriteReport,
    WriteResult,
    inverter_address,
)
from actors.safety.announce import Announcer
from actors.safety.arbiter import Arbiter, wants_renewal
from actors.safety.config import DeviceLimits, SafetyConfig
from actors.safety.duty import Cause, SafeDuty, find_causes
from actors.safety.guard import Assessment, SafetyGuard, Setpoint, Verdict
from actors.safety.latch import LatchKind, LatchRecord, append, load
from actors.safety.rules import Holding
from actors.safety.statedir import check_state_dir
from supervision.actor import Actor, ActorContext
from supervision.clock import NS_PER_S
from supervision.envelope import Header, Lane

MAX_DISBELIEVED = 64
"""So many strange senders are logged, each once."""
JOURNAL_RETRY_NS = NS_PER_S

log = structlog.get_logger()


class _Device:
    """What the actor keeps of one device beside the guard and the arbiter."""

    def __init__(
        self, device_id: str, limits: DeviceLimits, announcer: Announcer, assessment: Assessment
    ) -> None:
        self.id = device_id
        self.inverter = inverter_address(device_id)
        self.limits = limits
        self.lease_ns = int(limits.lease_s * NS_PER_S)
        self.duty = SafeDuty(limits.reassert_s)
        self.watched = False
        """Whether this incarnation has evaluated a measurement of the device."""
        self.announcer = announcer
        self.assessment = assessment
        self.measured_ns = 0
        self.unwritten: LatchRecord | None = None
        self.write_tried_ns = 0


class SafetyActor(Actor):
    """Answers for every device in its configuration."""

    def __init__(self, config: SafetyConfig) -> None:
        """Refuse to exist where trips cannot be kept.

        Raises:
            StateDirError: the state directory cannot be written.
        """
        self._config = config
        self._state_dir = Path(config.state_dir)
        check_state_dir(self._state_dir)
        self._arbiter = Arbiter(max_ttl_s=config.max_ttl_s)
        self._guard = SafetyGuard(config.devices)
        self._devices: dict[str, _Device] = {}
        self._disbelieved: set[tuple[str, str]] = set()
        self._evaluations = 0
        self._seq = 0
        self._context: ActorContext

    def on_start(self, context: ActorContext) -> None:
        """Restore the latches and command every device to safety."""
        self._context = context
        now_ns = context.clock.monotonic_ns()
        # Rises over incarnations too, so that no report on an older one's command can be taken for a newer one's.
        self._seq = now_ns // 1000
        latches = load(self._state_dir, self._config.devices, context.clock.wall_ns())
        if latches.set_aside:
            log.error("latch journal corrupt", reason=latches.set_aside)
        for device_id, limits in self._config.devices.items():
            if record := latches.trips.get(device_id):
                self._guard.latch(device_id, f"{record.rule}: {record.reason}")
            assessment = self._guard.evaluate(device_id, now_ns)
            device = _Device(device_id, limits, Announcer(device_id, context), assessment)
            self._devices[device_id] = device
            self._act(device, assessment, now_ns)

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - as Actor declares it
        """Judge a measurement or a request, or note how a device or a write stands."""
        match message:
            case Vitals():
                self._on_vitals(message, header)
            case SetpointRequest():
                self._on_request(message, header)
            case WriteReport():
                self._on_write_report(message, header)
            case DeviceState():
                self._on_device_state(message, header)
            case _:
                pass

    def on_tick(self) -> None:
        """Look for what became stale, ended, or is to be repeated."""
        now_ns = self._context.clock.monotonic_ns()
        for device in self._devices.values():
            self._act(device, self._guard.evaluate(device.id, now_ns), now_ns)

    def _on_vitals(self, vitals: Vitals, header: Header) -> None:
        device = self._owned(vitals.device_id, header)
        if device is not None:
            now_ns = self._context.clock.monotonic_ns()
            device.measured_ns = now_ns
            assessment = self._guard.observe(vitals, now_ns)
            self._act(device, assessment, now_ns)
            self._renew(device, now_ns)
            if not device.watched and vitals.soc_pct is not None:
                device.watched = True
                log.info("first evaluation", device=device.id, state=assessment.state.value)

    def _on_device_state(self, state: DeviceState, header: Header) -> None:
        device = self._owned(state.device_id, header)
        if device is not None:
            fault = "" if state.link is LinkState.ONLINE else f"{state.link.value} {state.reason}"
            now_ns = self._context.clock.monotonic_ns()
            self._guard.observe_link(device.id, fault.strip(), state.mono_ns)
            self._act(device, self._guard.evaluate(device.id, now_ns), now_ns)

    def _on_write_report(self, report: WriteReport, header: Header) -> None:
        device = self._owned(report.device_id, header)
        if device is None:
            return
        if report.safe:
            device.duty.heard(report.seq, report.result)
            return
        lease = self._arbiter.lease(device.id)
        if lease and lease.seq == report.seq and report.result is not WriteResult.VERIFIED:
            figures = f"{lease.power_w:g} W ended {report.result.value}: {report.detail}"
            now_ns = self._context.clock.monotonic_ns()
            self._command_safe(device, {"write": Cause("write", figures)}, now_ns)

    def _owned(self, device_id: str, header: Header) -> _Device | None:
        """Return the device, if it is one of ours and its own InverterActor speaks."""
        device = self._devices.get(device_id)
        if device is not None and header.sender == device.inverter:
            return device
        strange = (device_id, header.sender)
        if strange not in self._disbelieved and len(self._disbelieved) < MAX_DISBELIEVED:
            self._disbelieved.add(strange)
            log.warning("not believed", device=device_id, sender=header.sender)
        return None

    def _act(self, device: _Device, assessment: Assessment, now_ns: int) -> None:
        """Do what follows from an assessment."""
        device.assessment = assessment
        causes = self._end_of_lease(device, now_ns)
        causes |= find_causes(
            assessment,
            leased=not causes and self._arbiter.lease(device.id) is not None,
            deadband_w=device.limits.deadband_w,
            known=device.duty.known,
        )
        self._command_safe(device, causes, now_ns)
        if assessment.trip is not None:
            self._latch(device, assessment.trip)
        if device.unwritten and now_ns - device.write_tried_ns >= JOURNAL_RETRY_NS:
            self._write_latch(device, device.unwritten, now_ns)
        self._evaluations += 1
        device.announcer.rules(assessment)
        self._tell_status(device, now_ns)

    def _end_of_lease(self, device: _Device, now_ns: int) -> dict[str, Cause]:
        """Return why the device's set-point, if it has one, must end now."""
        lease = self._arbiter.lease(device.id)
        if lease is None:
            return {}
        if now_ns >= lease.until_ns:
            return {"lease": Cause("lease", f"the set-point of {lease.power_w:g} W has ended")}
        verdict = self._check(device, lease.power_w, now_ns)
        if verdict.ruling is Ruling.DENIED:
            figures = f"{lease.power_w:g} W is not allowed any more; {verdict.detail}"
            return {"setpoint": Cause(verdict.rule, figures)}
        return {}

    def _command_safe(self, device: _Device, causes: dict[str, Cause], now_ns: int) -> None:
        device.duty.face(causes, now_ns)
        if not device.duty.is_due(now_ns):
            return
        self._arbiter.withdraw(device.id)
        cause = device.duty.cause
        command = SafeCommand(
            device_id=device.id, seq=self._next_seq(), rule=cause.rule, reason=cause.reason
        )
        device.duty.sent(command.seq, now_ns)
        self._context.send(command, device.inverter, lane=Lane.CONTROL)

    def _latch(self, device: _Device, trip: Holding) -> None:
        clock = self._context.clock
        record = LatchRecord(
            kind=LatchKind.TRIP,
            device_id=device.id,
            rule=trip.rule,
            reason=trip.figures,
            wall_ns=clock.wall_ns(),
        )
        self._write_latch(device, record, clock.monotonic_ns())
        fault = " (tripped in memory only: the journal is not written)" if device.unwritten else ""
        device.announcer.event("tripped", trip.rule, trip.figures + fault)

    def _write_latch(self, device: _Device, record: LatchRecord, now_ns: int) -> None:
        device.write_tried_ns = now_ns
        try:
            append(self._state_dir, record)
        except OSError as error:
            if device.unwritten is None:
                log.exception("latch not written", device=device.id, rule=record.rule)
                device.announcer.event(
                    "began",
                    "latch_journal",
                    f"{error}; free or repair the disk of state_dir, it is tried again",
                )
            device.unwritten = record
            return
        if device.unwritten is not None:
            device.announcer.event("ceased", "latch_journal", f"{record.rule} is on disk")
        device.unwritten = None

    def _on_request(self, request: SetpointRequest, header: Header) -> None:
        now_ns = self._context.clock.monotonic_ns()
        device = self._devices.get(request.device_id)
        if device is None:
            verdict = Verdict(
                ruling=Ruling.DENIED, rule="device", detail=f"{request.device_id!r} is not known"
            )
        else:
            verdict = self._judge(device, request, header, now_ns)
            if verdict.ruling in {Ruling.ALLOWED, Ruling.CLAMPED}:
                self._approve(device, request, verdict, now_ns)
                device.duty.rest(now_ns)
                self._tell_status(device, now_ns)
            else:
                device.announcer.refusal(request, verdict, device.assessment.state, now_ns)
        answer = SetpointAnswer(
            device_id=request.device_id,
            seq=request.seq,
            ruling=verdict.ruling,
            power_w=verdict.power_w,
            rule=verdict.rule,
            detail=verdict.detail,
        )
        self._context.send(answer, header.sender, lane=Lane.CONTROL)

    def _judge(
        self, device: _Device, request: SetpointRequest, header: Header, now_ns: int
    ) -> Verdict:
        refused = self._arbiter.screen(
            request, sender=header.sender, epoch=header.epoch, now_ns=now_ns
        )
        if refused is not None:
            return refused
        if device.duty.owed:
            return Verdict(
                ruling=Ruling.DENIED,
                rule="safe_command",
                detail=f"not yet known to be safe: {device.duty.cause.reason}",
            )
        device.assessment = self._guard.evaluate(device.id, now_ns)
        return self._check(device, request.power_w, now_ns)

    def _check(self, device: _Device, power_w: float, now_ns: int) -> Verdict:
        return self._guard.check_safety(Setpoint(device.id, power_w), device.assessment, now_ns)

    def _approve(
        self, device: _Device, request: SetpointRequest, verdict: Verdict, now_ns: int
    ) -> None:
        lease = self._arbiter.grant(
            request,
            power_w=verdict.power_w,
            seq=self._next_seq(),
            inverter_epoch=device.assessment.inverter_epoch,
            lease_ns=device.lease_ns,
            now_ns=now_ns,
        )
        approved = ApprovedSetpoint(
            device_id=device.id,
            power_w=lease.power_w,
            seq=lease.seq,
            inverter_epoch=lease.inverter_epoch,
            lease_until_mono_ns=lease.until_ns,
            reason=f"{request.source}: {request.reason}",
        )
        ttl_s = (lease.until_ns - now_ns) / NS_PER_S
        self._context.send(approved, device.inverter, lane=Lane.CONTROL, ttl_s=ttl_s)

    def _renew(self, device: _Device, now_ns: int) -> None:
        """After a completed evaluation: extend the set-point, or lower it to what is possible now."""
        lease = self._arbiter.lease(device.id)
        if lease is None:
            return
        verdict = self._check(device, lease.request.power_w, now_ns)
        lowered = abs(verdict.power_w) < abs(lease.power_w)
        if lowered or wants_renewal(lease, lease_ns=device.lease_ns, now_ns=now_ns):
            self._approve(device, lease.request, verdict, now_ns)

    def _tell_status(self, device: _Device, now_ns: int) -> None:
        lease = self._arbiter.lease(device.id)
        device.announcer.status(
            device.assessment,
            setpoint_w=lease.power_w if lease else 0.0,
            evaluations=self._evaluations,
            measured_ns=device.measured_ns,
            now_ns=now_ns,
        )

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq


def build(config: bytes) -> Actor:
    """Return the SafetyActor for a msgpack-encoded `SafetyConfig`."""
    return SafetyActor(msgspec.msgpack.decode(config, type=SafetyConfig))
