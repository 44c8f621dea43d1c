"""The only owner of the connection to a device, and of the order in which things are asked of it.

Runs on the shared I/O loop: one request at a time, safety writes before command writes before reads, a minimum gap
between an answer and the next request. A safety write drops every other write, and an earlier request that keeps it
waiting too long is abandoned by closing the socket. Lost connections are made again with growing delays, and nothing
is written before the device has been identified again.

The three methods at the top may be called from any thread; everything else belongs to the loop.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

import msgspec
import structlog

from actors.inverter.errors import (
    ConnectionLostError,
    DeviceError,
    LinkClosedError,
    LinkError,
    RequestTimeoutError,
    WrongDeviceError,
)
from actors.inverter.identity import Found, identify
from actors.inverter.io_loop import IoLoop
from actors.inverter.jobs import (
    BlockFailed,
    BlockRead,
    LinkChanged,
    LinkCrashed,
    LinkEvent,
    ReadJob,
    RegisterWords,
    WriteDone,
    WriteJob,
)
from actors.inverter.profile import Identity, Timing
from actors.inverter.wire import Wire
from actors.messages import LinkState, WriteResult
from supervision.clock import Clock

_JITTER = 0.2
"""Delays before a new connection vary by this share, so that devices do not return in step."""

_log = structlog.get_logger()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where a device answers, who it must be and how it wants to be treated."""

    device_id: str
    host: str
    port: int
    unit_id: int
    identity: Identity
    timing: Timing


class ModbusLink:
    """Reads and writes one device for one incarnation of its actor."""

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
        self._safe: deque[WriteJob] = deque()
        self._commands: deque[WriteJob] = deque()
        self._reads: deque[ReadJob] = deque()
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._wire: Wire | None = None
        self._online = False
        self._state = LinkState.CONNECTING
        self._first: Found | None = None
        self._free_at_s = 0.0
        self._delay_s = self._timing.reconnect_initial_s

    def start(self, delay_s: float = 0.0) -> None:
        """Begin to connect after `delay_s`, and keep at it until closed."""
        self._loop.call(self._begin, delay_s)

    def submit(self, *jobs: ReadJob | WriteJob) -> None:
        """Queue `jobs`; each is answered by exactly one event."""
        self._loop.call(self._enqueue, jobs)

    def close(self) -> None:
        """Give the link up for good: from now on nothing is sent. Does not wait."""
        self._closed = True
        self._loop.call(self._shut)

    def _begin(self, delay_s: float) -> None:
        if not self._closed:
            self._runner = self._loop.spawn(self._run(delay_s))

    def _shut(self) -> None:
        reason = LinkClosedError("the link was closed")
        if self._wire is not None:
            self._wire.end(reason)
        if self._runner is not None:
            self._runner.cancel()
        self._fail_waiting(reason)

    def _enqueue(self, jobs: tuple[ReadJob | WriteJob, ...]) -> None:
        for job in jobs:
            match job:
                case ReadJob():
                    self._reads.append(job)
                case WriteJob(safe=True):
                    self._drop_commands("overtaken by a safe command")
                    self._safe.append(job)
                    self._hurry()
                case WriteJob():
                    self._drop_commands("replaced by a newer set-point")
                    self._commands.append(job)
        if self._online and not self._closed:
            self._wake.set()
        else:
            self._fail_waiting(ConnectionLostError("the device is not connected"))

    def _drop_commands(self, why: str) -> None:
        while self._commands:
            self._done(
                self._commands.popleft(), WriteResult.REJECTED, f"{why} before anything was written"
            )

    def _hurry(self) -> None:
        """Give the request that is under way only so much longer."""
        wire, busy_with = self._wire, self._free_at_s
        if wire is None:
            return

        def abandon() -> None:
            if self._free_at_s == busy_with and self._safe:
                wire.end(RequestTimeoutError("abandoned: it kept a safe command waiting"))

        asyncio.get_running_loop().call_later(self._timing.abandon_s, abandon)

    async def _run(self, delay_s: float) -> None:
        try:
            await asyncio.sleep(delay_s)
            while not self._closed:
                await self._live()
                await self._pause()
        except BaseException as error:
            # The task has nobody above it: what it did not expect ends the actor's incarnation instead of vanishing.
            if not self._closed:
                self._deliver(LinkCrashed(repr(error)))
            raise

    async def _live(self) -> None:
        try:
            await self._session()
        except LinkError as error:
            self._lost(error)
        finally:
            self._online = False
            if self._wire is not None:
                self._wire.end(LinkClosedError("the session is over"))

    async def _session(self) -> None:
        wire = Wire(
            self._endpoint.host,
            self._endpoint.port,
            self._endpoint.unit_id,
            self._timing.timeout_s,
            self._wake.set,
        )
        self._wire = wire
        await wire.open()
        await asyncio.sleep(self._timing.connect_delay_s)
        if self._state is not LinkState.REFUSED:
            self._change(LinkState.IDENTIFYING)
        found = await identify(self._endpoint.identity, self._read)
        if self._first is not None and found.serial != self._first.serial:
            msg = f"serial number {found.serial!r} answers where {self._first.serial!r} was before"
            raise WrongDeviceError(msg)
        self._first = found
        self._online = True
        self._change(LinkState.ONLINE, "", found)
        while True:
            await self._next_job()

    async def _next_job(self) -> None:
        wire = self._wire
        while not (self._safe or self._commands or self._reads):
            self._wake.clear()
            if wire is not None and wire.ended is not None:
                raise wire.ended
            await self._wake.wait()
        await self._gap()
        if self._safe:
            await self._carry_out(self._safe.popleft())
        elif self._commands:
            await self._carry_out(self._commands.popleft())
        elif self._reads:
            await self._read_block(self._reads.popleft())

    async def _gap(self) -> None:
        wait_s = self._free_at_s - asyncio.get_running_loop().time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _read_block(self, job: ReadJob) -> None:
        try:
            words = await self._read(job.address, job.count)
        except LinkError as error:
            self._deliver(BlockFailed(job.poll, job.block, str(error), self._clock.monotonic_ns()))
            if not isinstance(error, DeviceError):
                raise
            return
        self._deliver(BlockRead(job.poll, job.block, words, self._clock.monotonic_ns()))
        self._delay_s = self._timing.reconnect_initial_s

    async def _carry_out(self, job: WriteJob) -> None:
        """Write and read back; a lost link leaves it unknown, and ends the session."""
        written = 0
        refusal = ""
        try:
            for step in job.steps:
                obstacle = self._obstacle(job)
                if obstacle:
                    result = WriteResult.UNVERIFIED if written else WriteResult.REJECTED
                    self._done(
                        job, result, f"{obstacle} after {written} of {len(job.steps)} writes"
                    )
                    return
                try:
                    await self._write(step)
                except DeviceError as error:
                    refusal = refusal or f"{step.name}: {error}"
                    if not job.safe:
                        self._done(job, WriteResult.REJECTED, refusal)
                        return
                else:
                    written += 1
            mismatch = await self._read_back(job)
        except LinkError as error:
            self._done(job, WriteResult.UNKNOWN, str(error))
            raise
        self._conclude(job, refusal, mismatch)

    def _obstacle(self, job: WriteJob) -> str:
        if self._closed:
            return "the link was closed"
        if self._safe and not job.safe:
            return "overtaken by a safe command"
        if job.expires_ns and self._clock.monotonic_ns() >= job.expires_ns:
            return "its lease ended"
        return ""

    async def _read_back(self, job: WriteJob) -> str:
        """Return what does not read back as expected, or nothing."""
        for check in job.checks:
            if self._safe and not job.safe:
                return "overtaken by a safe command before it was read back"
            try:
                words = await self._read(check.address, len(check.words))
            except DeviceError as error:
                return f"{check.name} cannot be read back: {error}"
            if tuple(words) != check.words:
                return (
                    f"{check.name} reads {words} at {check.address}, expected {list(check.words)}"
                )
        return ""

    def _conclude(self, job: WriteJob, refusal: str, mismatch: str) -> None:
        if not mismatch:
            self._done(job, WriteResult.VERIFIED, refusal)
        elif refusal:
            self._done(job, WriteResult.REJECTED, f"{refusal}; {mismatch}")
        else:
            self._done(job, WriteResult.UNVERIFIED, mismatch)

    def _done(self, job: WriteJob, result: WriteResult, detail: str) -> None:
        self._deliver(WriteDone(job.number, result, detail, self._clock.monotonic_ns()))

    async def _read(self, address: int, count: int) -> list[int]:
        wire = await self._turn()
        try:
            return await wire.read(address, count)
        finally:
            self._free_at_s = asyncio.get_running_loop().time() + self._timing.gap_s

    async def _write(self, step: RegisterWords) -> None:
        wire = await self._turn()
        try:
            await wire.write(step.address, step.words)
        finally:
            self._free_at_s = asyncio.get_running_loop().time() + self._timing.gap_s

    async def _turn(self) -> Wire:
        """Return the wire when the gap is over; raise if nothing may be sent any more."""
        await self._gap()
        if self._closed or self._wire is None:
            msg = "the link was closed"
            raise LinkClosedError(msg)
        return self._wire

    def _lost(self, error: LinkError) -> None:
        if self._closed:
            return
        stranger = isinstance(error, WrongDeviceError)
        if stranger:
            self._delay_s = self._timing.reconnect_max_s
        self._change(LinkState.REFUSED if stranger else LinkState.OFFLINE, str(error))
        self._fail_waiting(error)

    def _fail_waiting(self, error: LinkError) -> None:
        """Answer every queued job: none of them was begun."""
        while self._reads:
            job = self._reads.popleft()
            self._deliver(BlockFailed(job.poll, job.block, str(error), self._clock.monotonic_ns()))
        for lane in (self._safe, self._commands):
            while lane:
                write = lane.popleft()
                result = WriteResult.UNKNOWN if write.safe else WriteResult.REJECTED
                self._done(write, result, f"nothing was written: {error}")

    def _change(self, state: LinkState, reason: str = "", found: Found | None = None) -> None:
        if state is not self._state or state is LinkState.ONLINE:
            _log.info("link", device=self._endpoint.device_id, state=state.value, reason=reason)
        self._state = state
        who = found or self._first
        self._deliver(
            LinkChanged(state, reason, who.model if who else "", who.serial if who else "")
        )

    async def _pause(self) -> None:
        delay_s = self._delay_s
        self._delay_s = min(self._delay_s * 2, self._timing.reconnect_max_s)
        await asyncio.sleep(delay_s * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - not a secret
