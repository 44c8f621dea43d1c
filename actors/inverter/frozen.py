"""Values that do not change at all while energy flows: a device, or a dongle before it, that repeats itself."""

from __future__ import annotations

from collections.abc import Mapping

from actors.inverter.plausibility import Frozen, Plausibility
from actors.inverter.verdict import Verdict

LEAST_POLLS = 10
"""So many polls must have shown no change, however far apart: a few equal readings are chance."""
_WS_PER_WH = 3600.0


class FrozenCheck:
    """A group of values of which at least one must change. A reconnect does not end what is frozen."""

    __slots__ = (
        "_flow_w",
        "_flow_ws",
        "_flowed_ws",
        "_for_s",
        "_last",
        "_places",
        "_polls",
        "_power",
        "_unchanged_s",
        "_verdict",
    )

    def __init__(self, rule: Frozen, at: Mapping[str, int], spec: Plausibility) -> None:
        """Judge values, which are `at` their places, by `rule` of `spec`."""
        self._places = tuple(at[name] for name in rule.points)
        self._power = at[rule.power]
        self._flow_w = rule.flow_w
        self._for_s = rule.for_s
        self._flow_ws = rule.flow_wh * _WS_PER_WH
        self._verdict = Verdict(spec.clear_polls)
        self._last: list[float | None] = []
        self._unchanged_s = 0.0
        self._flowed_ws = 0.0
        self._polls = 0

    def judge(self, values: list[float | None], dt_s: float) -> str:
        """Return why the values are invalid, or an empty string; time before a gap counts, the gap does not."""
        now = [values[place] for place in self._places]
        power = values[self._power]
        if now != self._last:
            if now.count(None) == len(now):
                return ""  # not read
            self._last = now
            self._unchanged_s = self._flowed_ws = 0.0
            self._polls = 0
            return self._verdict.succeed() if self._verdict.holds else ""
        if power is not None and dt_s > 0.0 and abs(power) >= self._flow_w:
            self._unchanged_s += dt_s
            self._flowed_ws += abs(power) * dt_s
            self._polls += 1
            if self._is_frozen():
                return self._verdict.fail(
                    f"frozen for {self._unchanged_s:.0f} s while {abs(power) / 1000.0:.1f} kW flows"
                )
        return self._verdict.keep()

    def _is_frozen(self) -> bool:
        return (
            self._polls >= LEAST_POLLS
            and self._unchanged_s >= self._for_s
            and self._flowed_ws >= self._flow_ws
        )
