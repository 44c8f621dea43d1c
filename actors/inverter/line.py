"""Asks one unit over a wire that others may share, for one session of its link.

Every request waits for its turn, and whether it may still be sent is looked at when the turn has come. A device that is
busy is asked again, but only so often in one poll or command; a block that is longer than the device reads at once is
read in parts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from actors.inverter.cuts import Cuts
from actors.inverter.errors import (
    BusyError,
    DeviceError,
    LinkClosedError,
    RequestTimeoutError,
    StaleFrameError,
)
from actors.inverter.found import Found
from actors.inverter.identity import recognise
from actors.inverter.profile import AnyProfile, Profile, Timing
from actors.inverter.sunspec_profile import SunSpecProfile
from actors.inverter.trunk import Rank, Trunk
from actors.inverter.wire import Run, Span, Wire

_T = TypeVar("_T")

Check = Callable[[], None]
"""Raises `OvertakenError` if what was to be sent must not be sent any more."""

SHORTEST_READ = 2
"""Registers that the beginning of a SunSpec model takes: less cannot be read of it."""


class OvertakenError(Exception):
    """Something else goes first, or instead: nothing was sent."""


def _nothing() -> None:
    """Nothing goes before."""


class _Polite:
    """A run that stops for whoever else wants the wire."""

    __slots__ = ("_run", "_trunk")

    def __init__(self, run: Run, trunk: Trunk) -> None:
        self._run = run
        self._trunk = trunk

    @property
    def next(self) -> Span:
        return self._run.next

    def took(self, words: Sequence[int]) -> bool:
        self._trunk.answered()
        return self._run.took(words) and not self._trunk.wanted


class Line:
    """One unit behind a trunk."""

    def __init__(
        self,
        trunk: Trunk,
        wire: Wire,
        unit: int,
        timing: Timing,
        *,
        rank: Callable[[], Rank],
        errors: dict[str, int],
    ) -> None:
        """Ask `unit` over `wire`, as urgently as `rank` says at the time; count exceptions by kind in `errors`."""
        self.wire = wire
        self.timeout_s = timing.timeout_s
        self.login = ""
        """Which login a person must arrange where the device denies permission."""
        self._urgent: asyncio.Event | None = None
        self._trunk = trunk
        self._unit = unit
        self._timing = timing
        self._rank = rank
        self._errors = errors
        self._patience = timing.busy_retries
        self._cuts: Cuts | None = None

    @property
    def urgent(self) -> asyncio.Event:
        """Set when something safe is to go out: it ends pauses. Made when it is asked for, which takes a write."""
        if self._urgent is None:
            self._urgent = asyncio.Event()
        return self._urgent

    async def recognise(self, profile: AnyProfile, max_registers: int) -> Found:
        """Return who answers; from now on it is read as it wants, and no more than `max_registers` at once.

        Raises:
            WrongDeviceError: it is no device of `profile`.
            LinkError: it could not be asked.
        """
        match profile:
            case Profile():
                self._follow(profile, max_registers)
            case SunSpecProfile():
                shortest = max(max_registers, SHORTEST_READ)
                profile = msgspec.structs.replace(profile, max_registers=shortest)
        found = await recognise(profile, self.read)
        self._follow(found.profile, max_registers)
        return found

    def refresh(self) -> None:
        """Begin a new poll or command: the device may be busy again as often as it may."""
        self._patience = self._timing.busy_retries

    async def read(self, address: int, count: int, check: Check = _nothing) -> list[int]:
        """Return `count` registers from `address`; `check` is asked before each request goes out.

        Raises:
            OvertakenError: `check` did.
            LinkError: as `Wire.read`.
        """
        parts = [(address, count)] if self._cuts is None else self._cuts.parts(address, count)
        words: list[int] = []
        for start, length in parts:
            words += await self._patiently(
                partial(self.wire.read, self._unit, start, length), check
            )
        return words

    async def read_run(self, run: Run, check: Check) -> None:
        """Read what `run` asks for, until it wants no more for now or somebody else wants the wire.

        Raises:
            OvertakenError: `check` did; it is asked before the first request.
            LinkError: as `Wire.read`, about what `run` still has as its `next`.
        """
        if self._cuts is not None or self._timing.gap_s > 0:
            run.took(await self.read(run.next.address, run.next.count, check))
            return
        await self._patiently(
            partial(self.wire.read_run, self._unit, _Polite(run, self._trunk)), check
        )

    async def write(self, address: int, words: tuple[int, ...], check: Check) -> None:
        """Write `words` from `address` on.

        Raises:
            OvertakenError: `check` did; nothing was written.
            LinkError: as `Wire.write`.
        """
        await self._patiently(partial(self.wire.write, self._unit, address, words), check)

    async def pause(self, seconds: float) -> None:
        """Keep silent towards the device, unless something safe is to go out."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.urgent.wait()

    def _follow(self, profile: Profile, max_registers: int) -> None:
        self.login = profile.login
        self._cuts = Cuts(profile, max_registers) if max_registers < profile.max_registers else None

    async def _patiently(self, ask: Callable[[float], Awaitable[_T]], check: Check) -> _T:
        delay_s = self._timing.busy_delay_s
        while True:
            try:
                return await self._once(ask, check)
            except BusyError:
                if self._patience <= 0:
                    raise
            self._patience -= 1
            await self.pause(delay_s)
            delay_s *= 2

    async def _once(self, ask: Callable[[float], Awaitable[_T]], check: Check) -> _T:
        trunk = self._trunk
        await trunk.turn(self._rank, self._timing.abandon_s)
        gap_s = 0.0
        try:
            check()
            gap_s = self._timing.gap_s
            answer = await ask(self.timeout_s)
        except DeviceError as error:
            self._errors[error.kind] += 1
            trunk.answered()
            raise
        except (RequestTimeoutError, StaleFrameError) as error:
            trunk.unanswered(error)
            raise
        except asyncio.CancelledError:
            if not self.wire.numbered:
                trunk.abandon(LinkClosedError("a request was given up"))
            raise
        finally:
            trunk.done(gap_s)
        trunk.answered()
        return answer
