"""The last known value, quality and reason of every point of a device, and what of it exists."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from actors.inverter.profile import Condition, Point, PollClass, Profile
from actors.inverter.reading import Request
from actors.messages import Quality

_GOOD = int(Quality.GOOD)
_USUAL: dict[float | None, float | None] = {float(number): float(number) for number in range(256)}
"""One object for each, however many devices say it."""


class Values:
    """One place for every number, in the order of the samples; strings by name."""

    def __init__(self, profile: Profile, points: Sequence[Point]) -> None:
        """Begin with nothing read of `points`, the numbers of `profile`."""
        self._homes = profile.homes
        self.places: dict[str, int] = profile.memo.setdefault(
            "places", {point.name: place for place, point in enumerate(points)}
        )
        self.values: list[float | None] = [None] * len(points)
        self.quality = bytearray([Quality.MISSING]) * len(points)
        self.reasons = ["not read yet"] * len(points)
        self.texts: dict[str, str] = {}
        self.absent: frozenset[str] = frozenset()
        """Optional points that the device on this connection does not have."""
        self._switches: frozenset[str] = profile.memo.setdefault("switches", _switches(profile))

    def renew(self) -> None:
        """Forget what another connection has to tell anew before it is built on.

        A meter that goes offline makes the device close the connection of who still asks it: were it believed to be
        there on the next connection too, that would be closed in turn, and so for ever.
        """
        self.absent = frozenset()
        for name in self._switches:
            place = self.places[name]
            self.values[place] = None
            self.mark((place,), "not read yet on this connection")

    def take(self, request: Request, words: Sequence[int]) -> bool:
        """Decode the answer to `request`; return whether a string is new or says something else than before."""
        decoded = request.plan.decode(words)
        start, end = request.places.start, request.places.stop
        values = decoded.values
        if request.slow_ns:  # many are 0 or a small number on many devices, and stay so for long
            values = [_USUAL.get(value, value) for value in values]
        self.values[start:end] = values
        self.quality[start:end] = bytes(end - start)
        for offset, reason in decoded.reasons.items():
            self.quality[start + offset] = Quality.INVALID
            self.reasons[start + offset] = reason
        for offset, condition in request.conditional:
            if not self.holds(condition):
                self.values[start + offset] = None
                self.quality[start + offset] = Quality.MISSING
                self.reasons[start + offset] = self.obstacle(condition)
        if not (decoded.texts and decoded.texts.items() - self.texts.items()):
            return False
        self.texts |= decoded.texts
        return True

    def refuse(self, place: int, reason: str) -> None:
        """Call the value at `place` invalid."""
        self.values[place] = None
        self.quality[place] = Quality.INVALID
        self.reasons[place] = reason

    def mark(self, places: Iterable[int], reason: str) -> None:
        """Keep old values as stale, call the others missing."""
        for place in places:
            self.quality[place] = Quality.MISSING if self.values[place] is None else Quality.STALE
            self.reasons[place] = reason

    def good(self, place: int) -> float | None:
        """Return the value at `place` if it was read in this poll, or is not due yet."""
        return self.values[place] if self.quality[place] == _GOOD else None

    def known(self, name: str) -> float | str | None:
        """Return the last good value of a point, however old, or what a string said."""
        place = self.places.get(name)
        return self.texts.get(name) if place is None else self.values[place]

    def holds(self, condition: Condition) -> bool | None:
        """Return whether `condition` holds; None where that is not known."""
        outer = self._homes[condition.point].only_if
        if condition.point in self.absent or (outer is not None and self.holds(outer) is False):
            return False
        value = self.known(condition.point)
        return None if value is None else condition.holds(value)

    def obstacle(self, condition: Condition) -> str:
        """Return why `condition` does not hold."""
        name, value = condition.point, self.known(condition.point)
        outer = self._homes[name].only_if
        if outer is not None and self.holds(outer) is False:
            return self.obstacle(outer)
        if name in self.absent:
            return f"not there: the device has no {name}"
        if value is None:
            return f"not read: {name} is unknown"
        shown = value or "empty" if isinstance(value, str) else f"{value:g}"
        return sys.intern(f"not there: {name} is {shown}")  # so say many devices


def _switches(profile: Profile) -> frozenset[str]:
    """Return the numbers of every poll on which it depends whether something else is asked for."""
    conditions = [
        condition
        for block in profile.blocks
        for condition in (block.only_if, *(point.only_if for point in block.points))
    ]
    names = {condition.point for condition in conditions if condition is not None}
    every = {PollClass.SAFETY, PollClass.FAST}
    return frozenset(name for name in names if profile.homes[name].poll_class in every)
