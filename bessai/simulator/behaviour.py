"""How a device treats its clients: its manners and its faults, put into effect on every connection.

A device without either answers each request where it stands, without a task; the server has as little to do as it can.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from bessai.simulator.fault_set import FaultSet
from bessai.simulator.manners import Guests, Manners
from bessai.simulator.value_faults import ServedPoints, ValueFaults
from bessai.simulator.wire_faults import Ruling, Treatment, WireFaults

MAX_WAITING = 1000
"""Requests that one connection may have waiting before it is dropped."""
_FUNCTION = 7
_WRITES = frozenset({6, 16})
_CARRY_OUT = Ruling()
_SILENCE = Ruling(Treatment.SILENCE)

Respond = Callable[[bytes, int, Ruling], bytes]
"""Treats a request, which came at that monotonic time in ns, as ruled and returns the answer; no bytes are silence."""


class Behaviour:
    """The manners and the faults of one device, and the connections that they hold for."""

    def __init__(self, points_named: ServedPoints, *, seed: int | str = 0) -> None:
        """Start without either; `points_named` finds registers, and `seed` decides all that is random."""
        self.faults = FaultSet(seed=seed)
        self.values = ValueFaults(self.faults, points_named)
        self.lines: list[Line] = []
        """The open connections, the oldest first."""
        self.random = random.Random(f"{seed}/manners")
        self._manners = Manners()
        self._plain = True

    @property
    def manners(self) -> Manners:
        """The device's manners."""
        return self._manners

    @manners.setter
    def manners(self, manners: Manners) -> None:
        self._manners = manners
        self._plain = manners.at_once

    @property
    def plain(self) -> bool:
        """Whether requests are answered at once and answers go out as they are."""
        return self._plain and not self.faults.wire

    def admit(self, line: Line) -> None:
        """Take a new connection, and drop it or others if the device serves a single client."""
        match self._manners.clients:
            case Guests.OLDEST if self.lines:
                line.drop()
                return
            case Guests.NEWEST:
                self.drop_all()
            case _:
                pass
        self.lines.append(line)

    def drop_all(self) -> None:
        """Drop every connection."""
        lines, self.lines = self.lines, []
        for line in lines:
            line.drop()


class Line:
    """One connection: takes requests in the order they came and puts answers, as the device's behaviour wants it."""

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        respond: Respond,
        told: Callable[[bytes, bytes], None],
        put: Callable[[bytes], None],
        drop: Callable[[], None],
        reset: Callable[[], None],
    ) -> None:
        """Serve a connection that is opened now.

        `put` hands bytes to its socket, `drop` closes it at once, and `reset` does so with a reset. `told` is called
        with a request and its answer just before the last of that is put.
        """
        self._behaviour = behaviour
        self._respond = respond
        self._told = told
        self._put = put
        self.drop = drop
        self._reset = reset
        self._wire = WireFaults(behaviour.faults)
        self._opened_s = behaviour.faults.clock()
        self._answered_s: float | None = None
        self._waiting: deque[_Request] = deque()
        self._untold: list[tuple[bytes, bytes]] = []
        self._worker: asyncio.Task[None] | None = None
        self._release: asyncio.TimerHandle | None = None
        behaviour.admit(self)

    def take(self, frame: bytes, came_ns: int) -> None:
        """Take a whole request, whose last byte came at monotonic `came_ns`."""
        if self._worker is None and self._behaviour.plain:
            if answer := self._respond(frame, came_ns, _CARRY_OUT):
                self._told(frame, answer)
                self._put(self._wire.remember(answer))
            return
        request = _Request(frame, came_ns, self._behaviour.faults.clock())
        if len(self._waiting) >= MAX_WAITING:
            self._swallow(request)
            self.drop()
            return
        self._waiting.append(request)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())

    def close(self) -> None:
        """Forget what waits: the connection is gone. The request that is being carried out still is."""
        if self in self._behaviour.lines:
            self._behaviour.lines.remove(self)
        while self._waiting:
            self._swallow(self._waiting.popleft())
        if self._release is not None:
            self._release.cancel()

    def _swallow(self, request: _Request) -> None:
        self._respond(request.frame, request.came_ns, _SILENCE)

    async def _work(self) -> None:
        """Serve what waits, and end."""
        try:
            while self._waiting:
                await self._serve(self._waiting.popleft())
        finally:
            self._worker = None

    async def _serve(self, request: _Request) -> None:
        write = request.frame[_FUNCTION] in _WRITES
        manners = self._behaviour.manners
        if manners.swallows(request.came_s, opened_s=self._opened_s, answered_s=self._answered_s):
            self._swallow(request)
            return
        ruling = self._wire.rule(write=write)
        delay_s = ruling.delay_s + manners.latency(self._behaviour.random)
        if delay_s > 0.0:
            await asyncio.sleep(delay_s)
        answer = self._respond(request.frame, request.came_ns, ruling)
        if ruling.treatment is Treatment.DROP:
            self.drop()
        if answer:
            self._untold.append((request.frame, answer))
            await self._deliver(answer, write=write)

    async def _deliver(self, answer: bytes, *, write: bool) -> None:
        delivery = self._wire.deliver(answer, write=write)
        whole = b"".join(put.data for put in delivery.puts)
        for number, put in enumerate(delivery.puts, 1):
            if put.pause_s > 0.0:
                await asyncio.sleep(put.pause_s)
            if number == len(delivery.puts):
                self._tell(whole)
            self._put(put.data)
        self._answered_s = self._behaviour.faults.clock()
        if delivery.reset:
            # What was put has to arrive before the reset, which otherwise would be all that the client sees.
            await asyncio.sleep(0.01)
            self._reset()
        if delivery.hold_s > 0.0:
            loop = asyncio.get_running_loop()
            self._release = loop.call_later(delivery.hold_s, self._let_go)

    def _let_go(self) -> None:
        if held := self._wire.release():
            self._tell(held)
            self._put(held)

    def _tell(self, whole: bytes) -> None:
        """Tell of the answers that are in what is put now, before it is; the others have been spoiled."""
        for frame, answer in self._untold:
            if answer in whole:
                self._told(frame, answer)
        self._untold.clear()


class _Request(NamedTuple):
    frame: bytes
    came_ns: int
    came_s: float
    """The same on the clock of the faults."""
