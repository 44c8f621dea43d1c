"""Energies since the hour, the midnight, the month and the year began on the device's own clock."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping

HOUR_S = 3600


class Span(enum.Enum):
    """Since when an energy is counted."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Daybook:
    """What the totals were when each span began."""

    def __init__(self, local_s: float, totals: Mapping[str, Callable[[], float]]) -> None:
        """Begin all spans at `local_s`, seconds since 1970 on the device's clock; `totals` tell what was counted."""
        self._totals = totals
        self._hour = int(local_s // HOUR_S)
        self._keys = _keys(local_s)
        self._marks = dict.fromkeys(Span, self._now())

    def turn(self, local_s: float) -> bool:
        """Begin the spans that begin by `local_s`, which may also be earlier, and tell whether a day began."""
        hour = int(local_s // HOUR_S)
        if hour == self._hour:
            return False
        before, self._keys, self._hour = self._keys, _keys(local_s), hour
        began = [span for span in Span if before[span] != self._keys[span]]
        now = self._now()
        for span in began:
            self._marks[span] = now
        return Span.DAY in began

    def since(self, span: Span, name: str) -> float:
        """Return what was counted of the total `name` in the span so far."""
        return self._totals[name]() - self._marks[span][name]

    def _now(self) -> dict[str, float]:
        return {name: total() for name, total in self._totals.items()}


def _keys(local_s: float) -> dict[Span, tuple[int, ...]]:
    when = dt.datetime.fromtimestamp(local_s, tz=dt.UTC)  # the clock is local already
    year, month, day = when.year, when.month, when.day
    return {
        Span.HOUR: (year, month, day, when.hour),
        Span.DAY: (year, month, day),
        Span.MONTH: (year, month),
        Span.YEAR: (year,),
    }
