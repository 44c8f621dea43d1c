"""One request of a poll: what it asks for, where its values go, and when it is due; and what it becomes in part.

A block that a device answers with "no such register" although some of its points are optional is asked point by point
once, and then in runs without the points that are not there.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from actors.inverter.decode import BlockPlan, plan_of
from actors.inverter.profile import Block, Condition, Point, PollClass, Profile

NEVER = 1 << 63
"""A time that does not come."""


class Request(NamedTuple):
    """What does not depend on the device: one object for all that share a profile."""

    plan: BlockPlan
    places: range
    """Where the values stand in a sample."""
    conditional: tuple[tuple[int, Condition], ...]
    """Which of them mean something only if a condition holds."""
    slow_ns: int
    """The time between two polls that ask for it; 0 if all do."""


def request_of(profile: Profile, block: Block, start: int) -> Request:
    """Return the request for `block`, whose values stand from place `start` on in a sample."""
    key = ("request", block.name, block.address, block.count, start)
    if key in profile.memo:
        found: Request = profile.memo[key]
        # A plan may keep a device's powers of ten.
        return found._replace(plan=plan_of(profile, block)) if block.scales() else found
    plan = plan_of(profile, block)
    request = profile.memo[key] = Request(
        plan=plan,
        places=range(start, start + len(plan.points)),
        conditional=tuple(
            (offset, point.only_if)
            for offset, point in enumerate(plan.points)
            if point.only_if is not None
        ),
        slow_ns=0 if block.poll_class in _EVERY_POLL else int(profile.slow_s * 1e9),
    )
    return request


class Reading:
    """One request, and how it stands with it on this connection."""

    __slots__ = (
        "block",
        "due_ns",
        "fault",
        "gone",
        "heard",
        "obstacle",
        "part",
        "request",
        "words",
    )

    def __init__(self, profile: Profile, block: Block, start: int, *, part: bool = False) -> None:
        """Prepare to read `block`, whose values stand from place `start` on in a sample."""
        self.block = block
        self.part = part
        """Whether it is what a trial made of a block."""
        self.request = request_of(profile, block, start)
        self.due_ns = 0
        self.gone = False
        """Whether it is asked for no more: the device does not have it, or it is asked for in parts."""
        self.heard = False
        """Whether it has been answered on this connection."""
        self.obstacle = ""
        """Why it is not asked for now."""
        self.words: Sequence[int] = ()
        """The last answer; as an array, which takes a fraction of a list of numbers."""
        self.fault = ""
        """Why the last answer was none."""

    @property
    def places(self) -> range:
        """Where its values stand in a sample."""
        return self.request.places

    def keep(self, words: Sequence[int]) -> None:
        """Remember the answer as people may want to see it."""
        self.words, self.fault = words if isinstance(words, array) else array("H", words), ""

    def fail(self, fault: str) -> None:
        """Remember why there is no answer."""
        self.words, self.fault = (), fault

    def renew(self) -> None:
        """Begin again on a new connection."""
        self.due_ns = 0
        self.gone = False
        self.heard = False
        self.obstacle = ""

    def answered(self, begin_ns: int, *, well: bool) -> None:
        """Note that it was asked for in the poll of `begin_ns`."""
        self.heard |= well
        once = well and self.block.poll_class is PollClass.ONCE
        slow_ns = self.request.slow_ns
        self.due_ns = NEVER if once else begin_ns + slow_ns if slow_ns else 0


_EVERY_POLL = frozenset({PollClass.SAFETY, PollClass.FAST})


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
