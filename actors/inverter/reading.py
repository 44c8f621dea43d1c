"""The requests of a poll: what each asks for, where its values go, and when it is due; and what it becomes in part.

A block that a device answers with "no such register" although some of its points are optional is asked point by point
once, and then in runs without the points that are not there.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from actors.inverter.decode import BlockPlan, plan_of
from actors.inverter.jobs import BlockRef
from actors.inverter.profile import Block, Condition, Point, PollClass, Profile

NEVER = (1 << 63) - 1
"""A time that does not come."""


class Request(NamedTuple):
    """What does not depend on the device: one object for all that share a profile."""

    block: Block
    ask: BlockRef
    """What the link is asked for."""
    plan: BlockPlan
    places: range
    """Where the values stand in a sample."""
    words: range
    """Where the registers stand among all that are read."""
    conditional: tuple[tuple[int, Condition], ...]
    """Which values mean something only if a condition holds."""
    slow_ns: int
    """The time between two polls that ask for it; 0 if all do."""
    watched: bool
    """Whether it reads a register that is watched for what others write."""


def request_of(profile: Profile, block: Block, number: int, place: int, word: int) -> Request:
    """Return request `number`, for `block`.

    Its values stand from `place` on in a sample, and its registers from `word` on among all that are read.
    """
    key = ("request", number, block.name, block.address, block.count, place, word)
    if key in profile.memo:
        found: Request = profile.memo[key]
        # A plan may keep a device's powers of ten.
        return found._replace(plan=plan_of(profile, block)) if block.scales() else found
    plan = plan_of(profile, block)
    request = profile.memo[key] = Request(
        block=block,
        ask=BlockRef(number, block.address, block.count),
        plan=plan,
        places=range(place, place + len(plan.points)),
        words=range(word, word + block.count),
        conditional=tuple(
            (offset, point.only_if)
            for offset, point in enumerate(plan.points)
            if point.only_if is not None
        ),
        slow_ns=0 if block.poll_class in _EVERY_POLL else int(profile.slow_s * 1e9),
        watched=any(point.name in profile.write.watched for point in block.points),
    )
    return request


def requests_of(profile: Profile) -> tuple[Request, ...]:
    """Return the requests for all blocks of `profile`, in its order."""
    found: tuple[Request, ...] = profile.memo.get("requests", ())
    if found:
        return found
    requests: tuple[Request, ...] = ()
    place = word = 0
    for number, block in enumerate(profile.blocks):
        requests += (request_of(profile, block, number, place, word),)
        place, word = requests[-1].places.stop, requests[-1].words.stop
    if not any(block.scales() for block in profile.blocks):  # those are of one device
        profile.memo["requests"] = requests
    return requests


class Readings:
    """How it stands with every request on this connection: in columns, since hundreds of devices have dozens each."""

    __slots__ = ("_answers", "_flags", "_originals", "due_ns", "faults", "obstacles", "requests")

    def __init__(self, requests: tuple[Request, ...]) -> None:
        """Begin with all of `requests` due, and none heard."""
        self.requests = requests
        self._originals = len(requests)
        self.due_ns = array("q", bytes(8 * len(requests)))
        self._flags = bytearray(len(requests))
        self._answers = array("H", bytes(2 * requests[-1].words.stop))
        """The registers as they were last read."""
        self.obstacles: dict[int, str] = {}
        """Why a request is not asked for now."""
        self.faults: dict[int, str] = {}
        """Why the last answer to a request was none."""

    def add(self, profile: Profile, block: Block, place: int) -> int:
        """Add a request for a part of a block; return its number."""
        number = len(self.requests)
        self.requests += (request_of(profile, block, number, place, len(self._answers)),)
        self.due_ns.append(0)
        self._flags.append(0)
        self._answers.extend(array("H", bytes(2 * block.count)))
        return number

    def renew(self) -> None:
        """Begin again on a new connection, without the parts."""
        kept = self._originals
        self.requests = self.requests[:kept]
        del self._answers[self.requests[-1].words.stop :]
        self.due_ns = array("q", bytes(8 * kept))
        self._flags = bytearray(flag & _WORDS for flag in self._flags[:kept])
        self.obstacles.clear()
        self.faults = {number: fault for number, fault in self.faults.items() if number < kept}

    def is_part(self, number: int) -> bool:
        """Return whether it is what a trial made of a block."""
        return number >= self._originals

    def gone(self, number: int) -> bool:
        """Return whether it is asked for no more: the device does not have it, or it is asked for in parts."""
        return bool(self._flags[number] & _GONE)

    def drop(self, number: int) -> None:
        """Ask for it no more."""
        self._flags[number] |= _GONE

    def heard(self, number: int) -> bool:
        """Return whether it has been answered on this connection."""
        return bool(self._flags[number] & _HEARD)

    def words(self, number: int) -> Sequence[int]:
        """Return the last answer as people may want to see it; empty if there was none."""
        if not self._flags[number] & _WORDS:
            return ()
        at = self.requests[number].words
        return self._answers[at.start : at.stop]

    def keep(self, number: int, words: Sequence[int]) -> None:
        """Remember the answer, which has been decoded and so has as many registers as were asked for."""
        at = self.requests[number].words
        self._answers[at.start : at.stop] = words if isinstance(words, array) else array("H", words)
        self._flags[number] |= _WORDS
        if self.faults:
            self.faults.pop(number, None)

    def fail(self, number: int, fault: str) -> None:
        """Remember why there is no answer."""
        self._flags[number] &= ~_WORDS
        self.faults[number] = fault

    def answered(self, number: int, begin_ns: int, *, well: bool) -> None:
        """Note that it was asked for in the poll of `begin_ns`."""
        if well:
            self._flags[number] |= _HEARD
        request = self.requests[number]
        if not request.slow_ns:
            self.due_ns[number] = 0
        elif well and request.block.poll_class is PollClass.ONCE:
            self.due_ns[number] = NEVER
        else:
            self.due_ns[number] = begin_ns + request.slow_ns


_EVERY_POLL = frozenset({PollClass.SAFETY, PollClass.FAST})
_HEARD, _GONE, _WORDS = 1, 2, 4
"""Flags: answered on this connection; not asked for any more; its registers are known."""


class Trial:
    """Finds out which points of a block a device has, by asking for each alone."""

    def __init__(self, profile: Profile, block: Block, add: Callable[[Block], int]) -> None:
        """Begin; `add` takes a request for a point and returns its number."""
        self.block = block
        ordered = sorted(block.points, key=lambda point: point.address)
        self._profile = profile
        self.parts = {add(self._part(point)): point for point in ordered}
        """By the number of the request that asks for it."""
        self._open = set(self.parts)
        self._refused: set[str] = set()

    @staticmethod
    def worth(block: Block) -> bool:
        """Return whether asking for the points of `block` one by one may find any."""
        some = any(point.optional for point in block.points)
        return some and not block.optional and not block.scales()

    def heard(self, number: int, *, refused: bool) -> bool:
        """Take the answer to a request; return whether it was the last."""
        if refused:
            self._refused.add(self.parts[number].name)
        self._open.discard(number)
        return not self._open

    def runs(self) -> list[Block]:
        """Return what is to be read from now on; a point that must exist is asked for even if refused."""
        runs: list[list[Point]] = [[]]
        for point in self.parts.values():
            if point.name not in self._refused:
                runs[-1].append(point)
                continue
            runs.append([] if point.optional else [point])
            runs.append([])
        return [self._part(*run) for run in runs if run]

    def _part(self, *points: Point) -> Block:
        """Return the block of these points only: one object for all devices that lack the same ones."""
        first, last = points[0], points[-1]
        count = last.address + last.count - first.address
        key = ("part", self.block.name, first.address, count)
        if key not in self._profile.memo:
            self._profile.memo[key] = msgspec.structs.replace(
                self.block, address=first.address, count=count, points=points
            )
        part: Block = self._profile.memo[key]
        return part
