"""Notices that a control register no longer says what this gateway wrote, or what it said before: pure.

What was read is compared with what is expected, which is what was last written here or, where nothing was, last read.
An answer that is older than the end of our own write, and one to a poll that ran beside it, may still show the value
before. A change is told once and then expected.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from actors.inverter.jobs import RegisterWords, WriteDone, WriteJob
from actors.inverter.profile import Point, Profile, WordOrder
from actors.messages import WriteResult


class RegisterChange(NamedTuple):
    """A register that somebody else has changed."""

    name: str
    address: int
    old: float
    new: float
    mode: bool = False
    """Whether it is the device's forced mode that changed, as 0 or 1, whatever its register says."""


class _Register:
    """What is known of one watched register."""

    __slots__ = ("address", "before", "count", "expected", "job", "point", "sure", "wrote_ns")

    def __init__(self, point: Point) -> None:
        self.point = point
        self.address = point.address
        self.count = point.type.registers
        self.expected: RegisterWords | None = None
        self.before: tuple[RegisterWords, ...] = ()
        """What it held before our own writes, while that may still be read."""
        self.job = 0
        """Our last job that writes it."""
        self.sure = True
        """Whether it is known that our last write was carried out."""
        self.wrote_ns = 0
        """When our last write ended; far ahead while it is under way."""


_UNDER_WAY = 1 << 63


class RegisterWatch:
    """The watched registers of one device."""

    def __init__(self, profile: Profile) -> None:
        """Begin with nothing read of what `profile` names as watched."""
        points = profile.points
        self._registers = [_Register(points[name]) for name in profile.write.watched]
        self._little = profile.word_order is WordOrder.LITTLE
        self._in_block: dict[tuple[int, int], tuple[int, ...]] = profile.memo.setdefault(
            "watched", {}
        )
        """By address and length of a read: the numbers of the watched registers in it, for all devices alike."""

    def writing(self, job: WriteJob) -> None:
        """Expect what `job` writes; until it has ended, what was there before may be read too."""
        for register in self._registers:
            for step in job.steps:
                if step.address == register.address and len(step.words) == register.count:
                    if register.expected is not None:
                        register.before = (*register.before, register.expected)
                    register.expected = step
                    register.job, register.wrote_ns = job.number, _UNDER_WAY

    def done(self, event: WriteDone) -> None:
        """Note how a job ended."""
        for register in self._registers:
            if register.job == event.number and register.wrote_ns == _UNDER_WAY:
                register.wrote_ns = event.mono_ns
                register.sure = event.result is WriteResult.VERIFIED

    def read(self, address: int, words: Sequence[int], began_ns: int) -> list[RegisterChange]:
        """Take the answer to a read from `address` in a poll that began at `began_ns`; return what was changed."""
        changes: list[RegisterChange] = []
        for number in self._in(address, len(words)):
            register = self._registers[number]
            start = register.address - address
            read = tuple(words[start : start + register.count])
            seen = _held(register.point.name, register.address, read, little=self._little)
            change = _compare(register, seen, older=began_ns < register.wrote_ns)
            changes += [] if change is None else [change]
        return changes

    def _in(self, address: int, count: int) -> tuple[int, ...]:
        found = self._in_block.get((address, count))
        if found is None:
            end = address + count
            found = self._in_block[address, count] = tuple(
                number
                for number, register in enumerate(self._registers)
                if address <= register.address and register.address + register.count <= end
            )
        return found


@functools.lru_cache(maxsize=4096)  # kept for as long as expected, and the same on most devices
def _held(name: str, address: int, words: tuple[int, ...], *, little: bool) -> RegisterWords:
    return RegisterWords(name, address, words, little=little)


def _compare(register: _Register, seen: RegisterWords, *, older: bool) -> RegisterChange | None:
    """Return how `seen` was changed by somebody else; `older` says that it may have been read before our last write."""
    expected = register.expected
    if expected is None:
        register.expected = seen
        return None
    if expected.agrees(seen.words):
        register.before = register.before if older else ()
        return None
    known = any(words.agrees(seen.words) for words in register.before)
    if older and (known or not register.before):
        return None
    register.expected, register.before = seen, ()
    if known and not register.sure:
        register.sure = True
        return None
    point = register.point
    return RegisterChange(point.name, point.address, _number(point, expected), _number(point, seen))


def _number(point: Point, held: RegisterWords) -> float:
    """Return what `held` says in the point's unit."""
    ordered = held.words[::-1] if held.little else held.words
    number = 0
    for word in ordered:
        number = number << 16 | word
    bits = 16 * len(held.words)
    if point.type.signed and number >> bits - 1:
        number -= 1 << bits
    return number / point.gain * (-1 if point.flip else 1)
