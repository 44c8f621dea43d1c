"""One connection to one address, shared by the links of all devices behind it. Belongs to the I/O loop.

One request is on the wire at a time, with the gap that its sender wants after the answer. Whoever has the most urgent
business goes next, and among equals whoever has waited longest: several units behind one gateway take turns. A unit
that does not answer is its own link's trouble as long as others do; the connection itself is given up when nobody has
been answered for as many requests as there are links, or at once where the framing does not number requests.
"""

from __future__ import annotations

import asyncio
import enum
import weakref
from collections.abc import Callable
from typing import NamedTuple, Protocol

from actors.inverter.errors import LinkClosedError, LinkError, RequestTimeoutError
from actors.inverter.io_loop import IoLoop
from actors.inverter.profile import Timing
from actors.inverter.wire import Address, Wire


class Rank(enum.IntEnum):
    """How urgent a request is; less is more urgent."""

    SAFE = 0
    COMMAND = 1
    READ = 2


class User(Protocol):
    """A link, as its trunk sees it."""

    def wake(self) -> None:
        """Look at the wire: it has ended."""
        ...


class _Waiting(NamedTuple):
    rank: Callable[[], Rank]
    turn: asyncio.Future[None]


class Trunk:
    """The connection to one address, and whose turn it is."""

    def __init__(self, address: Address) -> None:
        """Begin without a connection."""
        self._address = address
        self._users: list[User] = []
        self._wire: Wire | None = None
        self._opening: asyncio.Task[Wire] | None = None
        self._queue: list[_Waiting] = []
        self._busy = False
        self._gap: asyncio.TimerHandle | None = None
        self._turns = 0
        self._unanswered = 0

    def join(self, user: User) -> None:
        """Serve `user` from now on."""
        self._users.append(user)

    def leave(self, user: User) -> None:
        """Serve `user` no more; the last one takes the connection along."""
        if user in self._users:
            self._users.remove(user)
        if self._users:
            return
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._wire is not None:
            self._wire.end(LinkClosedError("the link was closed"))

    @property
    def shared(self) -> bool:
        """Whether several links use the connection."""
        return len(self._users) > 1

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for the wire."""
        return bool(self._queue)

    async def connect(self, timing: Timing) -> Wire:
        """Return the connection, made if there is none; all that want one wait for the same.

        Raises:
            ConnectError: it cannot be made.
        """
        if self._wire is not None and self._wire.ended is None:
            return self._wire
        if self._opening is None or self._opening.done():
            self._opening = asyncio.get_running_loop().create_task(self._open(timing))
        return await asyncio.shield(self._opening)

    async def turn(self, rank: Callable[[], Rank], abandon_s: float) -> None:
        """Wait until the wire is ours; to be followed by `done`, whatever happens.

        What is safe to do waits for one request of others no longer than `abandon_s`.
        """
        if not (self._busy or self._gap or self._queue):
            self._give()
            return
        waiting = _Waiting(rank, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if rank() is Rank.SAFE:
            self.hurry(abandon_s, lambda: not waiting.turn.done())
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if not waiting.turn.cancelled():
                self.done(0.0)  # it was given to us, and we do not want it any more
            raise

    def done(self, gap_s: float) -> None:
        """Give the wire back; nobody gets it for `gap_s`."""
        self._busy = False
        if gap_s > 0:
            self._gap = asyncio.get_running_loop().call_later(gap_s, self._after_gap)
        elif self._queue:
            self._next()

    def hurry(self, abandon_s: float, waits: Callable[[], bool]) -> None:
        """While something safe waits, give up every request that is on the wire for `abandon_s`."""
        loop = asyncio.get_running_loop()

        def look(turns: int) -> None:
            if not waits():
                return
            if self._busy and self._turns == turns and self._wire is not None:
                self._wire.give_up(RequestTimeoutError("abandoned: it kept a safe command waiting"))
            loop.call_later(abandon_s, look, self._turns)

        loop.call_later(abandon_s, look, self._turns)

    def answered(self) -> None:
        """Note that somebody was answered."""
        self._unanswered = 0

    def unanswered(self, error: LinkError) -> None:
        """Note that a request was not answered: with nobody left who is, the connection is given up."""
        self._unanswered += 1
        wire = self._wire
        if wire is not None and (not wire.numbered or self._unanswered >= len(self._users)):
            self.abandon(error)

    def abandon(self, error: LinkError) -> None:
        """Close the connection under whatever is on it."""
        if self._wire is not None and self._wire.ended is None:
            self._wire.end(error)
            self._wake_all()

    async def _open(self, timing: Timing) -> Wire:
        wire = Wire(self._address, self._wake_all)
        try:
            await wire.open(timing.timeout_s)
            await asyncio.sleep(timing.connect_delay_s)
        except asyncio.CancelledError:
            wire.end(LinkClosedError("the link was closed"))
            raise
        if wire.ended is not None:
            raise wire.ended
        self._wire = wire
        self._unanswered = 0
        return wire

    def _wake_all(self) -> None:
        for user in self._users:
            user.wake()

    def _after_gap(self) -> None:
        self._gap = None
        self._next()

    def _give(self) -> None:
        self._busy = True
        self._turns += 1

    def _next(self) -> None:
        """Give the wire to whoever is next; those whose task was cancelled meanwhile want it no more."""
        self._queue = [waiting for waiting in self._queue if not waiting.turn.done()]
        if self._busy or self._gap or not self._queue:
            return
        chosen = min(self._queue, key=lambda waiting: waiting.rank())
        self._queue.remove(chosen)
        self._give()
        chosen.turn.set_result(None)


_trunks: weakref.WeakKeyDictionary[IoLoop, dict[Address, Trunk]] = weakref.WeakKeyDictionary()


def trunk_to(address: Address, loop: IoLoop) -> Trunk:
    """Return the trunk to `address` on `loop`, to be called there."""
    trunks = _trunks.setdefault(loop, {})
    if address not in trunks:
        trunks[address] = Trunk(address)
    return trunks[address]
