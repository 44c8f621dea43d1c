"""The InverterActor: owns one device, and is the only one that writes to it.

It reads in polls, tells safety what it read before anything else, and writes only what SafetyActor approved for this
very incarnation, or what makes the device safe. All waiting is done by its link; the actor itself never blocks.
"""

from __future__ import annotations

import queue
from typing import Any, assert_never

import msgspec
import structlog

from actors.inverter.commands import Action, CommandDesk
from actors.inverter.config import InverterConfig
from actors.inverter.io_loop import IoLoop, IoLoopStalledError, shared_loop
from actors.inverter.jobs import (
    BlockFailed,
    BlockRead,
    LinkChanged,
    LinkCrashed,
    LinkEvent,
    WriteDone,
    WriteJob,
)
from actors.inverter.link import Endpoint, ModbusLink
from actors.inverter.poll import PollBook
from actors.messages import (
    API,
    DETECTOR,
    DISPATCHER,
    PUBLISHER,
    SAFETY,
    ApprovedSetpoint,
    DescribeDevice,
    DeviceState,
    LinkState,
    SafeCommand,
    WriteReport,
    WriteResult,
)
from supervision.actor import Actor, ActorContext, StopReason
from supervision.clock import NS_PER_S
from supervision.envelope import Header, Lane

_STATE_NS = NS_PER_S
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
    _book: PollBook
    _desk: CommandDesk

    def __init__(self, config: InverterConfig) -> None:
        """Own the device in `config`."""
        self._config = config
        self._period_ns = int(config.poll_s * NS_PER_S)
        self._state = DeviceState(
            device_id=config.device_id,
            link=LinkState.CONNECTING,
            mono_ns=0,
            host=config.host,
            port=config.port,
        )
        self._first_poll = True
        self._described_ns: dict[str, int] = {}
        self._due_ns = self._state_due_ns = self._schema_due_ns = 0
        self._began_ns = 0
        self._will: queue.SimpleQueue[WriteDone] | None = None
        self._will_number = 0

    def on_start(self, context: ActorContext) -> None:
        """Tell what the device's samples mean and begin to connect."""
        config = self._config
        self._context = context
        self._book = PollBook(config.device_id, context.epoch, config.profile)
        self._desk = CommandDesk(
            config.device_id, context.epoch, config.profile.write, config.deadman()
        )
        endpoint = Endpoint(
            device_id=config.device_id,
            host=config.host,
            port=config.port,
            unit_id=config.unit_id,
            identity=config.profile.identity,
            timing=config.timing(),
        )
        self._loop = shared_loop()
        self._link = ModbusLink(endpoint, self._loop, context.clock, self._deliver)
        context.on_fence(self._link.close)
        now_ns = context.clock.monotonic_ns()
        self._due_ns = now_ns + int(config.phase_s * NS_PER_S)
        self._tell_regularly(now_ns)
        self._link.start(config.phase_s)

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - a member of the site's union
        """Carry out what SafetyActor sends; answer who asks what samples mean."""
        now_ns = self._context.clock.monotonic_ns()
        match message:
            case SafeCommand():
                self._act(self._desk.safe(message, now_ns))
            case ApprovedSetpoint():
                self._act(self._desk.setpoint(message, header.epoch, now_ns))
            case DescribeDevice():
                self._describe(message.device_id, header.sender, now_ns)
            case _:
                _log.warning(
                    "unexpected message", device=self._config.device_id, kind=type(message).__name__
                )

    def on_event(self, event: LinkEvent) -> None:
        """Take what the link did."""
        match event:
            case BlockRead():
                if self._book.arrived(event.poll, event.block, event.words):
                    self._go_on(event.block, event.mono_ns)
            case BlockFailed():
                if self._book.failed(event.poll, event.block, event.reason):
                    self._count(failed_requests=self._state.failed_requests + 1)
                    self._go_on(event.block, event.mono_ns)
            case WriteDone():
                self._act(self._desk.done(event))
            case LinkChanged():
                self._link_changed(event)
            case LinkCrashed():
                raise LinkCrashedError(event.error)
            case _:
                assert_never(event)

    def on_tick(self) -> None:
        """Begin the next poll when it is due; end leases that ran out; repeat what is to be repeated."""
        if self._loop.stalled():
            msg = "the I/O thread of this process does not turn any more"
            raise IoLoopStalledError(msg)
        now_ns = self._context.clock.monotonic_ns()
        self._act(self._desk.tick(now_ns))
        if now_ns >= self._due_ns:
            self._due(now_ns)
        self._tell_regularly(now_ns)

    def on_stop(self, reason: StopReason) -> None:
        """Leave the device safe, read back, and close the link."""
        job = self._desk.last_will()
        done = self._execute_last_will(job)
        _log.info(
            "device left", device=self._config.device_id, why=reason.value, result=done.result.value
        )
        self._send_reports(self._desk.done(done) or [self._farewell(done)])
        self._link.close()

    def _describe(self, device_id: str, asker: str, now_ns: int) -> None:
        """Answer each asker once in a while only: a schema is large, and a flood of questions must stay cheap."""
        due_ns = self._described_ns.get(asker, 0) + _DESCRIBE_NS
        if device_id == self._config.device_id and now_ns >= due_ns:
            self._described_ns[asker] = now_ns
            self._context.send(self._book.schema, asker)

    def _deliver(self, event: LinkEvent) -> None:
        """Hand an event of the link to the actor; called on the link's thread."""
        will = self._will
        if will is not None and isinstance(event, WriteDone) and event.number == self._will_number:
            will.put(event)
            return
        self._context.post(event, urgent=True)

    def _execute_last_will(self, job: WriteJob) -> WriteDone:
        self._will_number = job.number
        self._will = queue.SimpleQueue()
        self._link.submit(job)
        try:
            return self._will.get(timeout=self._config.stop_timeout_s)
        except queue.Empty:
            detail = f"no answer within {self._config.stop_timeout_s:g} s: the device's own countdown must end it"
            return WriteDone(
                job.number, WriteResult.UNKNOWN, detail, self._context.clock.monotonic_ns()
            )

    def _farewell(self, done: WriteDone) -> WriteReport:
        return WriteReport(
            device_id=self._config.device_id,
            seq=0,
            safe=True,
            result=done.result,
            power_w=0.0,
            detail=f"stopping: {done.detail}" if done.detail else "stopping",
            mono_ns=done.mono_ns,
        )

    def _go_on(self, block: int, mono_ns: int) -> None:
        """Send vitals as soon as the safety blocks are in, the sample when all are."""
        book = self._book
        if book.completes_safety(block):
            vitals = book.vitals(mono_ns)
            self._context.send(vitals, SAFETY, lane=Lane.LATEST)
            self._desk.set_limits(book.limits())
            self._act(self._desk.forced(vitals.forced, mono_ns))
        if not book.running:
            sample = book.sample(mono_ns)
            self._context.send(sample, DETECTOR, DISPATCHER, API, lane=Lane.LATEST)
            self._context.send(sample, PUBLISHER)
            self._count(polls=self._state.polls + 1, poll_s=(mono_ns - self._began_ns) / NS_PER_S)

    def _due(self, now_ns: int) -> None:
        """Poll, or count a poll that could not begin; the next one is due on the grid, without drift."""
        late = (now_ns - self._due_ns) // self._period_ns
        self._due_ns += (late + 1) * self._period_ns
        if self._state.link is not LinkState.ONLINE:
            self._send_blind(now_ns)
        elif self._book.running:
            self._count(skipped_polls=self._state.skipped_polls + 1 + late)
        else:
            self._count(skipped_polls=self._state.skipped_polls + late)
            self._poll(now_ns)

    def _poll(self, now_ns: int) -> None:
        self._began_ns = now_ns
        jobs = self._book.begin(self._context.clock.wall_ns(), first=self._first_poll)
        self._first_poll = False
        self._link.submit(*jobs)

    def _send_blind(self, now_ns: int) -> None:
        """Tell safety that nothing is known, instead of leaving it to notice the silence."""
        self._book.disconnected(
            self._context.clock.wall_ns(), f"the device is {self._state.link.value}"
        )
        self._context.send(self._book.vitals(now_ns), SAFETY, lane=Lane.LATEST)

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
        )
        self._act(self._desk.link(event.state, event.reason))
        if online:
            self._first_poll = True
            self._poll(now_ns)
        elif was.link is LinkState.ONLINE:
            self._send_blind(now_ns)
        if event.state is not was.link or event.reason != was.reason:
            self._tell_state(now_ns)

    def _act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, WriteJob):
                self._link.submit(action)
        self._send_reports(actions)

    def _send_reports(self, actions: list[Action] | list[WriteReport]) -> None:
        for action in actions:
            if isinstance(action, WriteReport):
                self._context.send(action, SAFETY, lane=Lane.CONTROL)
                self._context.send(action, API)

    def _count(self, **changes: Any) -> None:  # noqa: ANN401 - fields of DeviceState
        self._state = msgspec.structs.replace(self._state, **changes)

    def _tell_regularly(self, now_ns: int) -> None:
        if now_ns >= self._state_due_ns:
            self._tell_state(now_ns)
        if now_ns >= self._schema_due_ns:
            self._schema_due_ns = now_ns + _SCHEMA_NS
            self._context.send(self._book.schema, *_SCHEMA_READERS)

    def _tell_state(self, now_ns: int) -> None:
        self._state_due_ns = now_ns + _STATE_NS
        self._count(mono_ns=now_ns)
        self._context.send(self._state, SAFETY, API, DISPATCHER)


def build(config: bytes) -> InverterActor:
    """Return the actor for the msgpack of an `InverterConfig`.

    Raises:
        msgspec.ValidationError: the configuration cannot be used.
    """
    return InverterActor(msgspec.msgpack.decode(config, type=InverterConfig))
