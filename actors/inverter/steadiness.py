"""Whether a device that answers also keeps the pace and its connection, for people who ask what is wrong: pure."""

from __future__ import annotations

from supervision.clock import NS_PER_S

_DUE = 8
"""The device lags when half of so many polls that were due last were skipped, and not by one pause alone."""
_LOSSES = 3
_WINDOW_NS = 60 * NS_PER_S
"""A device that lost its connection so often within this time is flapping."""


class Steadiness:
    """The last polls of one device, and when its connection was lost."""

    def __init__(self, period_s: float) -> None:
        """Expect a poll every `period_s`."""
        self._period_s = period_s
        self._skipped: list[bool] = []
        self._late: list[bool] = []
        """Whether each of the last polls passed over the next."""
        self._took_s = 0.0
        self._lost_ns: list[int] = []
        self._why = ""

    def polled(self, took_s: float, skipped: int) -> None:
        """Note a complete poll and how many that were due it passed over."""
        self._took_s = took_s
        self._late = [*self._late, skipped > 0][-_DUE // 2 :]
        self._skipped = [*self._skipped, False, *[True] * min(skipped, _DUE)][-_DUE:]

    def lost(self, now_ns: int, why: str) -> None:
        """Note that the connection was lost."""
        self._lost_ns = [*self._lost_ns, now_ns][-_LOSSES:]
        self._why = why
        self._late.clear()
        self._skipped.clear()

    @property
    def lags(self) -> bool:
        """Whether polls are skipped again and again."""
        return sum(self._late) > 1 and 2 * sum(self._skipped) >= _DUE

    def flaps(self, now_ns: int) -> bool:
        """Tell whether the connection was lost again and again."""
        lost_ns = self._lost_ns
        return len(lost_ns) == _LOSSES and now_ns - lost_ns[0] <= _WINDOW_NS

    def trouble(self, now_ns: int) -> str:
        """Return what is wrong with a device that is online, in words; empty if nothing is."""
        if self.lags and self._took_s < self._period_s:
            return "polls are skipped: commands go before them"
        if self.lags:
            return f"polls are skipped: a poll takes {self._took_s:.2g} s of {self._period_s:g} s"
        if self.flaps(now_ns):
            return f"lost {_LOSSES} times within {_WINDOW_NS // NS_PER_S} s, last: {self._why}"
        return ""
