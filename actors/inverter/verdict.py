"""How long a judgement lasts: when a suspicion becomes a verdict, when a verdict ends, and whether to judge at all."""

from __future__ import annotations

from collections.abc import Mapping

from actors.inverter.profile_points import Condition


class Verdict:
    """Keeps a value out until it has been plausible for some polls in a row."""

    __slots__ = ("_clear_polls", "_left", "_why")

    def __init__(self, clear_polls: int) -> None:
        """Begin without a verdict."""
        self._clear_polls = clear_polls
        self._left = 0
        self._why = ""

    @property
    def holds(self) -> bool:
        """Whether the value is out."""
        return self._left > 0

    def fail(self, why: str) -> str:
        """Keep it out because of `why`, which is returned."""
        self._left = self._clear_polls
        self._why = why
        return why

    def succeed(self) -> str:
        """Count a plausible poll; return why the value is still out, or an empty string."""
        if not self._left:
            return ""
        self._left -= 1
        if not self._left:
            return ""
        seen = self._clear_polls - self._left
        return f"plausible again for {seen} of {self._clear_polls} polls, after: {self._why}"

    def keep(self) -> str:
        """Return why the value is still out though this poll says nothing, or an empty string."""
        return self._why if self._left else ""

    def end(self) -> None:
        """Let the value in."""
        self._left = 0


class Lasting:
    """Something that must last, with the same sign, for `for_s` and for two polls at least."""

    __slots__ = ("_age_s", "_for_s", "_sign")

    def __init__(self, for_s: float) -> None:
        """Begin with nothing."""
        self._for_s = for_s
        self._sign = 0.0
        self._age_s = 0.0

    def stop(self) -> None:
        """Note that it is not so now."""
        self._sign = 0.0

    def lasts(self, sign: float, dt_s: float) -> bool:
        """Note that it is so now, `dt_s` after the last poll (negative if unknown); return whether it lasted."""
        if sign != self._sign:
            self._sign = sign
            self._age_s = 0.0
            return False
        self._age_s += max(dt_s, 0.0)
        return self._age_s >= self._for_s


class Applies:
    """Whether a check means something for this device."""

    __slots__ = ("_condition", "_place")

    def __init__(self, condition: Condition | None, at: Mapping[str, int]) -> None:
        """Ask `condition` of the value of its point, which is `at` its place; None is always fulfilled."""
        self._condition = condition
        self._place = at.get(condition.point, -1) if condition else -1

    def to(self, values: list[float | None]) -> bool:
        """Return whether the condition is known to hold."""
        if self._condition is None:
            return True
        value = None if self._place < 0 else values[self._place]
        return value is not None and self._condition.holds(value)
