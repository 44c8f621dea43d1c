"""Reads and writes one device for one incarnation of its actor: the order in which things are asked of it.

Runs on the shared I/O loop, over the trunk to the device's address, which other devices may share: safety writes before
command writes before reads. A safety write drops every other write, and an earlier request that keeps it waiting too
long is abandoned. Lost devices are tried again with growing delays, and nothing is written before the device has been
identified again.

The three methods at the top may be called from any thread; everything else belongs to the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Sequence

import msgspec
import structlog

from actors.inverter.errors import (
    KINDS,
    ConnectionLostError,
    DeviceError,
    LinkClosedError,
    LinkError,
    WrongDeviceError,
    told,
)
from actors.inverter.found import Found
from actors.inverter.io_loop import IoLoop
from actors.inverter.jobs import (
    BlockRef,
    LinkChanged,
    LinkCrashed,
    LinkEvent,
    PollJob,
    WriteDone,
    WriteJob,
)
from actors.inverter.line import Line, OvertakenError
from actors.inverter.profile import AnyProfile, Timing
from actors.inverter.running_poll import RunningPoll
from actors.inverter.trunk import Rank, Trunk, trunk_to
from actors.inverter.wake import Wake
from actors.inverter.wire import Address
from actors.inverter.write_run import WriteRun
from actors.messages import LinkState, WriteResult
from supervision.clock import NS_PER_MS, Clock

_JITTER = 0.2
"""Delays before a new connection vary by this share, so that devices do not return in step."""
_SHARED_TIMEOUT_S = 2.0
"""A device that was lost behind a shared connection gets no more time than this to identify itself: others wait."""

_log = structlog.get_logger()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device answers, who it must be and how it wants to be treated."""

    device_id: str
    address: Address
    unit_id: int
    profile: AnyProfile
    timing: Timing
    max_registers: int
    """The longest read that this very device answers."""


class ModbusLink:
    """One device behind one address."""

    def __init__(
        self, endpoint: Endpoint, loop: IoLoop, clock: Clock, deliver: Callable[[LinkEvent], None]
    ) -> None:
        """Prepare a link; `deliver` is called on the loop's thread with everything that happens."""
        self._endpoint = endpoint
        self._timing = endpoint.timing
        self._loop = loop
        self._clock = clock
        self._deliver = deliver
        self._closed = False
        # Lists, as they hold one or two: an empty deque takes as much as eighty entries.
        self._safe: list[WriteJob] = []
        self._commands: list[WriteJob] = []
        self._polls: list[RunningPoll] = []
        self._carrying = Rank.READ
        """The rank of the job that is being carried out."""
        self._wake = Wake()
        self._alarm: asyncio.TimerHandle | None = None
        self._runner: asyncio.Task[None] | None = None
        self._trunk: Trunk | None = None
        self._line: Line | None = None
        """How the device is asked; None while it is not known to be there and the right one."""
        self._state = LinkState.CONNECTING
        self._why = ""
        """Why the device was lost last; empty once it has been recognised again."""
        self._first: Found | None = None
        self._delay_s = self._timing.reconnect_initial_s
        self.errors = dict.fromkeys(KINDS, 0)
        """How often each kind of error has happened; may be read from any thread."""

    def start(self, delay_s: float = 0.0) -> None:
        """Begin to connect after `delay_s`, and keep at it until closed."""
        self._loop.call(self._begin, delay_s)

    def submit(self, *jobs: PollJob | WriteJob) -> None:
        """Queue `jobs`; a write is answered by exactly one event, a poll by one for each of its parts."""
        self._loop.call(self._enqueue, jobs)

    def close(self) -> None:
        """Give the link up for good: from now on nothing is sent. Does not wait."""
        self._closed = True
        self._loop.call(self._shut)

    def wake(self) -> None:
        """Look at the wire: it has ended. Called by the trunk."""
        self._wake.set()

    @property
    def next(self) -> BlockRef:
        """The block of the present poll to be asked for."""
        return self._polls[0].next

    def took(self, words: Sequence[int]) -> bool:
        """Take what `next` was answered with; return whether to ask for the new `next` at once. Called by the wire."""
        if not self._polls:
            return False  # it was failed as a whole meanwhile
        poll = self._polls[0]
        self._answered(poll, words, None)
        return not (poll.over or self._safe or self._commands)

    def _begin(self, delay_s: float) -> None:
        if not self._closed:
            self._trunk = trunk_to(self._endpoint.address, self._loop)
            self._trunk.join(self)
            self._runner = self._loop.spawn(self._run(self._trunk, delay_s))

    def _shut(self) -> None:
        if self._trunk is not None:
            self._trunk.leave(self)
        if self._runner is not None:
            self._runner.cancel()
        self._fail_waiting(LinkClosedError("the link was closed"))

    def _enqueue(self, jobs: tuple[PollJob | WriteJob, ...]) -> None:
        for job in jobs:
            match job:
                case PollJob():
                    if job.safety or job.rest:
                        self._polls.append(RunningPoll(job))
                case WriteJob(safe=True):
                    self._drop_commands("overtaken by a safe command")
                    self._safe.append(job)
                    self._hurry()
                case WriteJob():
                    self._drop_commands("replaced by a newer set-point")
                    self._commands.append(job)
        if self._line is None or self._closed:
            self._fail_waiting(ConnectionLostError("the device is not connected"))
        elif self._safe or self._commands or self._poll_is_due():
            self._wake.set()

    def _drop_commands(self, why: str) -> None:
        while self._commands:
            self._done(
                self._commands.pop(0), WriteResult.REJECTED, f"{why} before anything was written"
            )

    def _hurry(self) -> None:
        """Give the request that is under way only so much longer."""
        if self._line is not None and self._trunk is not None:
            self._line.urgent.set()
            self._trunk.hurry(self._timing.abandon_s, lambda: bool(self._safe))

    async def _run(self, trunk: Trunk, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
            while not self._closed:
                await self._live(trunk)
                await self._pause()
        except BaseException as error:
            # The task has nobody above it: what it did not expect ends the actor's incarnation instead of vanishing.
            if not self._closed:
                self._deliver(LinkCrashed(repr(error)))
            raise

    async def _live(self, trunk: Trunk) -> None:
        try:
            await self._session(trunk)
        except LinkError as error:
            self._lost(error)
        finally:
            self._line = None
            if not self._closed and not trunk.shared:
                trunk.abandon(LinkClosedError("the session is over"))

    async def _session(self, trunk: Trunk) -> None:
        wire = await trunk.connect(self._timing)
        unit_id = self._endpoint.unit_id
        line = Line(trunk, wire, unit_id, self._timing, rank=self._rank, errors=self.errors)
        if self._state is not LinkState.REFUSED:
            self._change(LinkState.IDENTIFYING, self._why)
        found = await self._recognise(line, trunk)
        self._first = found
        self._line = line
        self._why = ""
        self._change(LinkState.ONLINE, "", found)
        while True:
            await self._next_job(line)

    async def _recognise(self, line: Line, trunk: Trunk) -> Found:
        """Return who answers, after it has been found to be who answered before."""
        if self._first is not None and trunk.shared:
            line.timeout_s = min(self._timing.timeout_s, _SHARED_TIMEOUT_S)
        found = await line.recognise(self._endpoint.profile, self._endpoint.max_registers)
        if self._first is not None and found.serial != self._first.serial:
            msg = f"serial number {found.serial!r} answers where {self._first.serial!r} was before"
            raise WrongDeviceError(msg)
        line.timeout_s = self._timing.timeout_s
        return found

    async def _next_job(self, line: Line) -> None:
        while not (self._safe or self._commands or self._poll_is_due()):
            self._wake.clear()
            if line.wire.ended is not None:
                raise line.wire.ended
            await self._wake.wait()
        if self._safe:
            line.urgent.clear()
            await self._carry_out(self._safe.pop(0), line)
        elif self._commands:
            await self._carry_out(self._commands.pop(0), line)
        else:
            with contextlib.suppress(OvertakenError):
                await self._read(self._polls[0], line)

    def _rank(self) -> Rank:
        """Return how urgent our business is now."""
        if self._safe:
            return Rank.SAFE
        return min(self._carrying, Rank.COMMAND if self._commands else Rank.READ)

    def _poll_is_due(self) -> bool:
        """Return whether a poll waits whose time has come; otherwise be woken when it does."""
        if not self._polls:
            return False
        begin_ns, now_ns = self._polls[0].begin_ns, self._clock.monotonic_ns()
        if begin_ns <= now_ns:
            return True
        if self._alarm is not None:
            self._alarm.cancel()
        # The loop's timers count whole milliseconds: one that is not rounded up fires early, and again and again.
        wait_ms = -(-begin_ns // NS_PER_MS) - now_ns // NS_PER_MS
        self._alarm = asyncio.get_running_loop().call_later(wait_ms / 1000, self._wake.set)
        return False

    async def _read(self, poll: RunningPoll, line: Line) -> None:
        """Go on with `poll` until it is over, has an error, or something else goes first."""
        if not poll.began_ns:
            poll.began_ns = self._clock.monotonic_ns()
            line.refresh()
        try:
            await line.read_run(self, self._may_read)
        except LinkError as error:
            self._answered(poll, None, error)
            if not isinstance(error, DeviceError):
                raise
            return
        self._delay_s = self._timing.reconnect_initial_s

    def _may_read(self) -> None:
        """Writes go first."""
        if self._safe or self._commands:
            raise OvertakenError

    def _answered(
        self, poll: RunningPoll, words: Sequence[int] | None, error: LinkError | None
    ) -> None:
        if poll not in self._polls:
            return  # it was failed as a whole meanwhile
        part = poll.answered(words, error, self._clock.monotonic_ns())
        if part is None:
            return
        if part.last:
            self._polls.remove(poll)
        self._deliver(part)

    async def _carry_out(self, job: WriteJob, line: Line) -> None:
        """Write and read back; a lost link leaves it unknown, and ends the session."""
        self._carrying = Rank.SAFE if job.safe else Rank.COMMAND
        try:
            outcome = await WriteRun(job, line, self._timing.readback_s, self._obstacle).carry_out()
        except LinkError as error:
            self._done(job, WriteResult.UNKNOWN, str(error))
            raise
        finally:
            self._carrying = Rank.READ
        self._done(job, *outcome)

    def _obstacle(self, job: WriteJob) -> str:
        """Return why the next step of `job` must not go out, or nothing."""
        if self._closed:
            return "the link was closed"
        if self._safe and not job.safe:
            return "overtaken by a safe command"
        if job.expires_ns and self._clock.monotonic_ns() >= job.expires_ns:
            return "its lease ended"
        return ""

    def _done(self, job: WriteJob, result: WriteResult, detail: str) -> None:
        self._deliver(WriteDone(job.number, result, detail, self._clock.monotonic_ns()))

    def _lost(self, error: LinkError) -> None:
        if self._closed:
            return
        if not isinstance(error, DeviceError):
            self.errors[error.kind] += 1  # those of the device are counted where it gives them
        stranger = isinstance(error, WrongDeviceError)
        if stranger:
            self._delay_s = self._timing.reconnect_max_s
        self._why = told(error, self._endpoint.profile.login)
        self._change(LinkState.REFUSED if stranger else LinkState.OFFLINE, self._why)
        self._fail_waiting(error)

    def _fail_waiting(self, error: LinkError) -> None:
        """Answer every queued job: none of them was begun."""
        while self._polls:
            self._answered(self._polls[0], None, error)
        for lane in (self._safe, self._commands):
            while lane:
                write = lane.pop(0)
                result = WriteResult.UNKNOWN if write.safe else WriteResult.REJECTED
                self._done(write, result, f"nothing was written: {error}")

    def _change(self, state: LinkState, reason: str = "", found: Found | None = None) -> None:
        if state is not self._state or state is LinkState.ONLINE:
            _log.info("link", device=self._endpoint.device_id, state=state.value, reason=reason)
        self._state = state
        who = found or self._first
        event = LinkChanged(state, reason)
        if who is not None:
            event = LinkChanged(state, reason, who.model, who.serial, who.profile)
        self._deliver(event)

    async def _pause(self) -> None:
        delay_s = self._delay_s
        self._delay_s = min(self._delay_s * 2, self._timing.reconnect_max_s)
        await asyncio.sleep(delay_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - not a secret
