"""Values that cannot jump, and counters that cannot fall.

A value that jumps is invalid at once, so a spike is never good. What happens next decides: back where it could have
got by now, it is good again after `clear_polls`; at a new level for `adopt_s`, or ever further away, it is believed,
because a true fast change must not blind the guard for long (an overheating battery has to trip it).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from math import copysign

from actors.inverter.plausibility import Counter, Plausibility, Rate
from actors.inverter.verdict import Verdict

ADOPT_POLLS = 3
"""A new level must last for so many polls after the first, however far apart they are."""


class PastCheck(ABC):
    """One value beside its own past, of which a reference is kept."""

    __slots__ = (
        "_calm",
        "_elapsed_s",
        "_gap_s",
        "_newcomer",
        "_place",
        "_reference",
        "_rule",
        "_unread_s",
        "_verdict",
        "restarted",
    )

    def __init__(self, rule: Rate | Counter, at: Mapping[str, int], spec: Plausibility) -> None:
        """Judge one of the values, which are `at` their places, by `rule` of `spec`."""
        self._place = at[rule.point]
        self.restarted = False
        """Whether this poll's value was taken without regard to the past."""
        self._rule = rule
        self._gap_s = spec.gap_s
        self._reference: float | None = None
        self._elapsed_s = 0.0
        """Since the last plausible value."""
        self._unread_s = 0.0
        self._verdict = Verdict(spec.clear_polls)
        self._newcomer: _Newcomer | None = None
        self._calm = True
        """Whether the reference is the last value, just read, and nothing is suspected."""

    def judge(self, values: list[float | None], dt_s: float) -> str:
        """Return why the value is invalid, or an empty string; `dt_s` is negative after a gap."""
        value, reference = values[self._place], self._reference
        if self._calm and value == reference and dt_s >= 0.0:
            return ""  # what most values do in most polls
        self._calm = False
        self._elapsed_s += dt_s
        if value is None:
            return self._miss(dt_s)
        if reference is None or dt_s < 0.0 or self._unread_s + dt_s > self._gap_s:
            return self._restart(value)
        self.restarted = False
        self._unread_s = 0.0
        followed = self._follow(value, reference, self._rule.max_per_s * self._elapsed_s)
        if followed is None:
            return self._suspect(value, reference)
        self._reference = followed
        self._elapsed_s = 0.0
        self._newcomer = None
        if self._verdict.holds:
            return self._verdict.succeed()
        self._calm = followed == value
        return ""

    @abstractmethod
    def _follow(self, value: float, reference: float, reach: float) -> float | None:
        """Return the next reference, or None if `value` is not plausible; `reach` is what rate and time allow."""

    @abstractmethod
    def _explain(self, value: float, reference: float) -> str:
        """Return why `value` is not plausible."""

    def _miss(self, dt_s: float) -> str:
        self.restarted = False
        self._unread_s += dt_s
        if dt_s < 0.0:
            self._reference = None
        self._calm = self._reference is None
        return ""

    def _suspect(self, value: float, reference: float) -> str:
        newcomer = self._newcomer
        at_s, reach = self._elapsed_s, self._rule.max_per_s
        if newcomer is None or not newcomer.stays(value, reference, self._rule.step, reach, at_s):
            self._newcomer = _Newcomer(value, at_s)
        elif newcomer.polls >= ADOPT_POLLS and at_s - newcomer.since_s >= self._rule.adopt_s:
            return self._restart(value)
        return self._verdict.fail(self._explain(value, reference))

    def _restart(self, value: float) -> str:
        self.restarted = True
        self._reference = value
        self._elapsed_s = self._unread_s = 0.0
        self._newcomer = None
        self._verdict.end()
        return ""


class RateCheck(PastCheck):
    """A value that cannot jump: its reference follows it no faster than allowed."""

    __slots__ = ()

    def _follow(self, value: float, reference: float, reach: float) -> float | None:
        away = value - reference
        excess = abs(away) - reach
        if excess <= 0.0:
            return value
        return reference + copysign(reach, away) if excess <= self._rule.step else None

    def _explain(self, value: float, reference: float) -> str:
        return (
            f"jumped from {reference:g} to {value:g} in {self._elapsed_s:.1f} s,"
            f" possible are {self._rule.step:g} and {self._rule.max_per_s:g} per second"
        )


class CounterCheck(PastCheck):
    """A counter that does not fall unless it starts again, and rises no faster than allowed."""

    __slots__ = ("_reset_below",)

    def __init__(self, rule: Counter, at: Mapping[str, int], spec: Plausibility) -> None:
        """Judge one of the values, which are `at` their places, by `rule` of `spec`."""
        super().__init__(rule, at, spec)
        self._reset_below = rule.reset_below

    def _follow(self, value: float, reference: float, reach: float) -> float | None:
        if value < reference:
            return value if value <= self._reset_below else None
        return value if value - reference <= self._rule.step + reach else None

    def _explain(self, value: float, reference: float) -> str:
        what = "fell" if value < reference else "leapt"
        return f"the counter {what} from {reference:g} to {value:g} in {self._elapsed_s:.1f} s"


class _Newcomer:
    """A level that a value jumped to, until it is believed."""

    __slots__ = ("_at_s", "_value", "polls", "since_s")

    def __init__(self, value: float, at_s: float) -> None:
        self._value = value
        self._at_s = at_s
        self.since_s = at_s
        self.polls = 0

    def stays(self, value: float, old: float, step: float, max_per_s: float, at_s: float) -> bool:
        """Note `value`; return whether it is near the last one, or further away from the `old` level."""
        moved = value - self._value
        near = abs(moved) <= step + max_per_s * (at_s - self._at_s)
        further = moved * (self._value - old) > 0.0
        self._value, self._at_s = value, at_s
        self.polls += 1
        return near or further
