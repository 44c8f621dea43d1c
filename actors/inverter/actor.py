"""The InverterActor: owns one device, and is the only one that writes to it.

It reads in polls, tells safety what it read before anything else, and writes only what SafetyActor approved for this
very incarnation, or what makes the device safe. All waiting is done by its link; the actor itself never blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import msgspec
import structlog

from actors.courier import Courier
from actors.inverter.commands import CommandDesk
from actors.inverter.config import InverterConfig, decode_config
from actors.inverter.device_log import DeviceLog
from actors.inverter.flash import Flash, utc_day
from actors.inverter.io_loop import IoLoop, IoLoopStalledError, shared_loop
from actors.inverter.jobs import (
    LinkChanged,
    LinkCrashed,
    LinkEvent,
    PollPart,
    WriteDone,
    WriteJob,
)
from actors.inverter.journey import Journey
from actors.inverter.last_will import LastWill
from actors.inverter.ledger_file import ledger_of
from actors.inverter.link import Endpoint, ModbusLink
from actors.inverter.oversight import Deed, Oversight
from actors.inverter.poll import PollBook
from actors.inverter.profile import Profile
from actors.inverter.refusals import Refusals
from actors.inverter.steadiness import Steadiness
from actors.inverter.vitals import blind_vitals
from actors.messages import (
    API,
    DETECTOR,
    DISPATCHER,
    PUBLISHER,
    SAFETY,
    ApprovedSetpoint,
    DescribeDevice,
    DeviceState,
    ErrorCount,
    ForeignWrite,
    LinkState,
    SafeCommand,
    SpoolAck,
    Vitals,
    WriteReport,
)
from actors.tracing import Tracer
from supervision.actor import Actor, ActorContext, StopReason
from supervision.clock import NS_PER_MS, NS_PER_S
from supervision.envelope import Header, Lane

_STATE_NS = 2 * NS_PER_S
"""A link that stands as it stood is told this often; a change at once."""
_SCHEMA_NS = 10 * NS_PER_S
_DESCRIBE_NS = NS_PER_S // 2
_SCHEMA_READERS = (DETECTOR, DISPATCHER, PUBLISHER, API)

_log = structlog.get_logger()


class LinkCrashedError(Exception):
    """The link ended in a way it does not know; the incarnation ends with it."""


class InverterActor(Actor):
    """One device of the site."""

    _context: ActorContext
    _loop: IoLoop
    _link: ModbusLink
    _book: PollBook | None
    """None until it is known how the device is read."""
    _desk: CommandDesk
    _courier: Courier
    _journey: Journey
    _flash: Flash
    _oversight: Oversight | None
    """None as long as `_book` is."""

    def __init__(self, config: InverterConfig) -> None:
        """Own the device in `config`."""
        self._config = config
        self._period_ns = int(config.poll_s * NS_PER_S)
        self._state = DeviceState(
            device_id=config.device_id,
            link=LinkState.CONNECTING,
            mono_ns=0,
            host=config.host,
            port=config.address().port,
        )
        self._steadiness = Steadiness(config.poll_s)
        self._refusals = Refusals()
        self._log = DeviceLog(config.device_id)
        self._profile: Profile | None = None
        self._blind = 0
        """Polls that reached nobody while nothing was known of the device."""
        self._first_poll = True
        self._described_ns: dict[str, int] = {}
        self._due_ns = self._state_due_ns = self._schema_due_ns = 0
        self._will = LastWill()

    def on_start(self, context: ActorContext) -> None:
        """Tell what the device's samples mean and begin to connect."""
        config = self._config
        self._context = context
        self._book = self._oversight = None
        self._flash = Flash(
            ledger_of(config.state_dir, config.device_id), lambda: utc_day(context.clock.wall_ns())
        )
        self._log.flash(self._flash.left)
        self._desk = CommandDesk(config.device_id, context.epoch, config.failsafe, self._flash)
        self._courier = Courier(
            context, max_bytes=config.unacked_kb << 10, window=config.unacked_window
        )
        tracer = Tracer(context, on=config.traced, ratio=config.traced_polls)
        self._journey = Journey(tracer, config.device_id)
        if isinstance(config.profile, Profile):
            self._adopt(config.profile)
        endpoint = Endpoint(
            device_id=config.device_id,
            address=config.address(),
            unit_id=config.unit(),
            profile=config.profile,
            timing=config.timing(),
            max_registers=config.longest_read(),
        )
        self._loop = shared_loop()
        self._link = ModbusLink(endpoint, self._loop, context.clock, self._deliver)
        context.on_fence(self._link.close)
        now_ns = context.clock.monotonic_ns()
        self._due_ns = self._first_due_ns(now_ns)
        self._tell_regularly(now_ns)
        self._link.start(config.phase_s)
        self._sleep()

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - a member of the site's union
        """Carry out what SafetyActor sends; answer who asks what samples mean."""
        now_ns = self._context.clock.monotonic_ns()
        match message:
            case SafeCommand() if header.sender == SAFETY:
                self._journey.commanded(message.seq, header.trace, now_ns, safe=True)
                self._log.command(message, now_ns)
                self._note_limits()
                self._act(self._desk.safe(message, now_ns))
            case ApprovedSetpoint() if header.sender == SAFETY:
                self._journey.commanded(message.seq, header.trace, now_ns, safe=False)
                self._note_limits()
                self._act(self._desk.setpoint(message, header.epoch, now_ns))
            case DescribeDevice():
                self._describe(message.device_id, header.sender, now_ns)
            case SpoolAck():
                self._courier.heard(message)
            case _:
                _log.warning(
                    "unexpected message", device=self._config.device_id, kind=type(message).__name__
                )
        self._sleep()

    def on_event(self, event: LinkEvent) -> None:
        """Take what the link did."""
        match event:
            case PollPart():
                self._take(event)
            case WriteDone():
                self._written(event)
            case LinkChanged():
                self._link_changed(event)
            case LinkCrashed():
                raise LinkCrashedError(event.error)
            case _:
                assert_never(event)
        self._sleep()

    def on_tick(self) -> None:
        """Begin the next poll when it is due; end leases that ran out; repeat what is to be repeated."""
        if self._loop.stalled():
            msg = "the I/O thread of this process does not turn any more"
            raise IoLoopStalledError(msg)
        now_ns = self._context.clock.monotonic_ns()
        if not self._desk.idle:
            self._note_limits()
        lapsed = self._desk.lapsed
        self._act(self._desk.tick(now_ns))
        if self._desk.lapsed > lapsed:
            self._log.lapsed()
        self._courier.tick()
        if now_ns >= self._due_ns and self._state.link is not LinkState.ONLINE:
            self._advance(now_ns)
            self._send_blind(now_ns)
        self._tell_regularly(now_ns)
        self._sleep()

    def on_stop(self, reason: StopReason) -> None:
        """Leave the device safe, read back, and close the link."""
        if not self._desk.knows_how:
            self._link.close()
            return
        self._note_limits()
        job, config = self._desk.last_will(), self._config
        done = self._will.carry_out(
            job, self._link.submit, config.stop_timeout_s, self._context.clock
        )
        _log.info(
            "device left", device=self._config.device_id, why=reason.value, result=done.result.value
        )
        self._send_reports(self._desk.done(done))
        self._link.close()

    def _first_due_ns(self, now_ns: int) -> int:
        """Return when polls begin: as late in the period as the phase is, whenever the actor was started."""
        slot_ns = self._config.slot_ms * NS_PER_MS
        phase_ns = round(self._config.phase_s * NS_PER_S / slot_ns) * slot_ns
        return now_ns + (phase_ns - now_ns) % self._period_ns

    def _adopt(self, profile: Profile) -> None:
        """Read and command the device by `profile` from now on."""
        seq = self._blind if self._book is None else self._book.seq
        self._profile = profile
        self._book = PollBook(self._config.device_id, self._context.epoch, profile)
        self._book.seq = seq
        deadman_min = self._config.deadman_min or profile.write.deadman_min
        self._desk.adopt(profile.write, deadman_min)
        self._oversight = Oversight(
            self._config.device_id, self._desk, self._flash, profile, self._note_limits
        )

    def _note_limits(self) -> None:
        if self._book is not None:
            self._desk.set_limits(self._book.limits())

    def _sleep(self) -> None:
        """Ask for the next tick when a lease ends or is to be renewed, or, without a link, when a poll is missed."""
        due_ns = self._desk.due_ns()
        if self._state.link is not LinkState.ONLINE:
            due_ns = min(due_ns, self._due_ns) if due_ns else self._due_ns
        if due_ns:
            self._context.wake_at(due_ns)

    def _describe(self, device_id: str, asker: str, now_ns: int) -> None:
        """Answer each asker once in a while only: a schema is large, and a flood of questions must stay cheap."""
        due_ns = self._described_ns.get(asker, 0) + _DESCRIBE_NS
        if self._book and device_id == self._config.device_id and now_ns >= due_ns:
            self._described_ns[asker] = now_ns
            self._context.send(self._book.schema, asker)

    def _deliver(self, event: LinkEvent) -> None:
        """Hand an event of the link to the actor; called on the link's thread. What safety does not wait for waits."""
        if not self._will.takes(event):
            rest = isinstance(event, PollPart) and not event.safety
            self._context.post(event, urgent=not rest)

    def _take(self, part: PollPart) -> None:
        """Send vitals as soon as the safety blocks are in, the sample when all are."""
        book, clock = self._book, self._context.clock
        now_ns = clock.monotonic_ns()
        if book is None or not book.take(part, clock.wall_ns() - (now_ns - part.began_ns)):
            return
        if failed := sum(answer.error is not None for answer in part.answers):
            self._count(failed_requests=self._state.failed_requests + failed)
        self._log.refusals(self._refusals.take(book.refusals(part), now_ns))
        vitals = None
        if part.safety:
            vitals = book.vitals(part.mono_ns)
            self._context.send(vitals, SAFETY, lane=Lane.LATEST, trace=self._journey.poll)
            ended = self._desk.forced(vitals.forced, part.mono_ns)
            if ended and self._state.reconnects and self._oversight is not None:
                self._act(self._oversight.found_forced(now_ns))
            self._act(ended)
        self._oversee(part, vitals, now_ns)
        if part.last:
            sample = book.sample(part.mono_ns)
            trace = self._journey.poll
            self._courier.send(sample, DETECTOR, DISPATCHER, API, lane=Lane.LATEST, trace=trace)
            self._journey.poll_ends(part.began_ns, sample.seq)
            took_s = (part.mono_ns - part.began_ns) / NS_PER_S
            self._log.doubts(book.doubts(now_ns))
            self._plan_poll(now_ns, took_s, book.doubted)
            self._tell_regularly(now_ns)

    def _oversee(self, part: PollPart, vitals: Vitals | None, now_ns: int) -> None:
        """Look whether the device does what it was told, and whether somebody else commands it."""
        if self._book is not None and self._oversight is not None:
            read = self._book.watched(part)
            self._act(self._oversight.look(read, vitals, part.began_ns, now_ns))

    def _written(self, done: WriteDone) -> None:
        if self._oversight is not None:
            self._oversight.done(done)
        self._act(self._desk.done(done))

    def _plan_poll(self, now_ns: int, took_s: float, doubted: int) -> None:
        """Have the link poll on the next point of the grid; points that the last poll overran are skipped."""
        skipped = self._advance(now_ns)
        lagged = self._steadiness.lags
        self._steadiness.polled(took_s, skipped)
        why = self._steadiness.trouble(now_ns)
        trouble = self._refusals.trouble or why
        if bool(trouble) is not bool(self._state.trouble):
            self._state_due_ns = 0
        self._count(
            polls=self._state.polls + 1,
            poll_s=took_s,
            doubted=doubted,
            skipped_polls=self._state.skipped_polls + skipped,
            trouble=trouble,
        )
        if self._steadiness.lags and not lagged:
            self._log.lags(why)
        if self._state.link is LinkState.ONLINE:
            self._poll(self._due_ns)

    def _advance(self, now_ns: int) -> int:
        """Move on to the next point of the grid after `now_ns`; return how many were passed over."""
        if now_ns < self._due_ns:
            return 0
        passed = (now_ns - self._due_ns) // self._period_ns
        self._due_ns += (passed + 1) * self._period_ns
        return passed

    def _poll(self, begin_ns: int) -> None:
        if self._book is not None:
            job = self._book.begin(begin_ns, first=self._first_poll)
            self._first_poll = False
            self._journey.poll_begins()
            self._link.submit(job)

    def _send_blind(self, now_ns: int) -> None:
        """Tell safety that nothing is known, instead of leaving it to notice the silence."""
        clock, why = self._context.clock, f"the device is {self._state.link.value}"
        if self._book is not None:
            self._book.disconnected(clock.wall_ns(), why)
            vitals = self._book.vitals(now_ns)
        else:
            self._blind += 1
            vitals = blind_vitals(self._context, self._config.device_id, self._blind, why)
        self._context.send(vitals, SAFETY, lane=Lane.LATEST)

    def _link_changed(self, event: LinkChanged) -> None:
        now_ns = self._context.clock.monotonic_ns()
        was = self._state
        online = event.state is LinkState.ONLINE
        self._count(
            link=event.state,
            reason=event.reason,
            model=event.model,
            serial=event.serial,
            reconnects=was.reconnects + (online and bool(was.serial)),
            trouble=self._steadiness.trouble(now_ns),
        )
        self._flash.serial(event.serial)
        if event.profile is not None and event.profile != self._profile:
            self._adopt(event.profile)
            self._tell_schema(now_ns)
        self._act(self._desk.link(event.state, event.reason))
        if online:
            self._first_poll = True
            self._poll(now_ns)
        elif was.link is LinkState.ONLINE:
            self._steadiness.lost(now_ns, event.reason)
            self._send_blind(now_ns)
        if event.state is not was.link or event.reason != was.reason:
            self._tell_state(now_ns)

    def _act(self, deeds: Sequence[Deed]) -> None:
        for deed in deeds:
            if isinstance(deed, WriteJob):
                if self._oversight is not None:
                    self._oversight.submitted(deed)
                self._link.submit(deed)
        self._send_reports(deeds)

    def _send_reports(self, deeds: Sequence[Deed]) -> None:
        for deed in deeds:
            if isinstance(deed, WriteReport):
                self._log.outcome(deed, self._context.clock.monotonic_ns())
                trace = self._journey.written(deed)
                self._context.send(deed, SAFETY, lane=Lane.CONTROL, trace=trace)
                self._context.send(deed, API)
            elif isinstance(deed, ForeignWrite):
                self._context.send(deed, SAFETY, lane=Lane.CONTROL)
                self._log.foreign(deed)

    def _count(self, **changes: Any) -> None:  # noqa: ANN401 - fields of DeviceState
        self._state = msgspec.structs.replace(self._state, **changes)

    def _tell_regularly(self, now_ns: int) -> None:
        if now_ns >= self._state_due_ns:
            self._tell_state(now_ns)
        if now_ns >= self._schema_due_ns:
            self._tell_schema(now_ns)

    def _tell_schema(self, now_ns: int) -> None:
        self._schema_due_ns = now_ns + _SCHEMA_NS
        if self._book is not None:
            self._context.send(self._book.schema, *_SCHEMA_READERS)

    def _tell_state(self, now_ns: int) -> None:
        self._state_due_ns = now_ns + _STATE_NS
        errors = [ErrorCount(kind, count) for kind, count in self._link.errors.items() if count]
        unacked = self._courier.unacked
        self._count(
            mono_ns=now_ns,
            errors=tuple(errors),
            unacked=len(unacked),
            unacked_lost=unacked.lost,
        )
        self._context.send(self._state, SAFETY, API, DISPATCHER)


def build(config: bytes, profile: bytes) -> InverterActor:
    """Return the actor for what `encode_config` made of an `InverterConfig`.

    Raises:
        msgspec.ValidationError: the configuration cannot be used.
    """
    return InverterActor(decode_config(config, profile))
