"""State of charge beside the energy that went in and out.

Two sums, as a CUSUM has them, hold how far SOC has run ahead of what the measured power explains, and how far it lags
behind: each grows by every change beyond the possible, shrinks by what stays within, and is never below 0. So each is
the worst disagreement over all stretches of the past, long (a slow drift) or short (an SOC stuck under full power),
at the cost of two additions a poll. Between two polls power was somewhere between its two values, so the bounds take
both.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.inverter.plausibility import Integral, Plausibility
from actors.inverter.rates import RateCheck
from actors.inverter.verdict import Applies, Verdict

_S_PER_H = 3600.0


class CoulombCheck:
    """SOC beside battery power."""

    __slots__ = (
        "_ahead_pct",
        "_applies",
        "_behind_pct",
        "_capacity",
        "_capacity_wh",
        "_elapsed_s",
        "_high_ws",
        "_last_power",
        "_last_soc",
        "_low_ws",
        "_more_power",
        "_power",
        "_rate",
        "_rule",
        "_soc",
        "_verdict",
    )

    def __init__(
        self,
        rule: Integral,
        at: Mapping[str, int],
        spec: Plausibility,
        rate: RateCheck | None = None,
    ) -> None:
        """Judge values, which are `at` their places, by `rule` of `spec`; `rate` watches SOC for jumps."""
        self._rule = rule
        self._soc, self._power = at[rule.soc], at[rule.power]
        self._more_power = tuple(at[name] for name in rule.more_power)
        self._capacity = at.get(rule.capacity_point)
        self._applies = Applies(rule.only_if, at)
        self._capacity_wh = rule.capacity_wh
        self._rate = rate
        self._verdict = Verdict(spec.clear_polls)
        self._last_soc: float | None = None
        self._last_power: float | None = None
        self._low_ws = self._high_ws = 0.0
        """Bounds of the energy since `_last_soc`."""
        self._elapsed_s = 0.0
        self._ahead_pct = self._behind_pct = 0.0

    def judge(self, values: list[float | None], dt_s: float) -> str:
        """Return why SOC is invalid, or an empty string; `dt_s` is negative after a gap."""
        if dt_s < 0.0 or (self._rate is not None and self._rate.restarted):
            self._begin()
        if not self._applies.to(values):
            self._begin()
            return ""
        soc, power = values[self._soc], self._sum(values)
        if self._capacity is not None:
            self._capacity_wh = values[self._capacity] or self._capacity_wh
        last_power, self._last_power = self._last_power, power
        if power is None or last_power is None or not self._capacity_wh > 0.0:
            self._last_soc = None if power is None else soc
            self._low_ws = self._high_ws = self._elapsed_s = 0.0
            return self._verdict.keep()
        self._elapsed_s += dt_s
        self._low_ws += dt_s * min(power, last_power)
        self._high_ws += dt_s * max(power, last_power)
        if soc is None:
            return ""
        last_soc, self._last_soc = self._last_soc, soc
        if last_soc is not None:
            self._compare(soc, soc - last_soc)
        self._low_ws = self._high_ws = self._elapsed_s = 0.0
        return self._decide()

    def _sum(self, values: list[float | None]) -> float | None:
        power = values[self._power]
        for place in self._more_power:
            more = values[place]
            power = None if power is None or more is None else power + more
        return power

    def _begin(self) -> None:
        """Forget everything: the next values are taken as they are."""
        self._last_soc = self._last_power = None
        self._low_ws = self._high_ws = self._elapsed_s = 0.0
        self._ahead_pct = self._behind_pct = 0.0
        self._verdict.end()

    def _compare(self, soc: float, change_pct: float) -> None:
        rule = self._rule
        pct_per_ws = 100.0 / _S_PER_H / self._capacity_wh
        low, high = self._low_ws, self._high_ws
        most = pct_per_ws * high * (rule.fastest if high > 0.0 else rule.slowest)
        least = pct_per_ws * low * (rule.slowest if low > 0.0 else rule.fastest)
        if soc >= rule.full_pct:
            least = min(least, 0.0)
            most = max(most, change_pct) if change_pct > 0.0 else most
        if soc <= rule.empty_pct:
            most = max(most, 0.0)
            least = min(least, change_pct) if change_pct < 0.0 else least
        forgotten = rule.drift_pct_per_h * self._elapsed_s / _S_PER_H
        # The return of what ran ahead is not then lagging behind.
        ahead, behind = self._ahead_pct, self._behind_pct
        undo_ahead = ahead if ahead > rule.abs_pct else 0.0
        undo_behind = behind if behind > rule.abs_pct else 0.0
        self._ahead_pct = max(0.0, ahead + change_pct - most - forgotten - undo_behind)
        self._behind_pct = max(0.0, behind + least - change_pct - forgotten - undo_ahead)

    def _decide(self) -> str:
        ahead, behind = self._ahead_pct, self._behind_pct
        if not max(ahead, behind) > self._rule.abs_pct:
            return self._verdict.succeed() if self._verdict.holds else ""
        words = f"{ahead:.1f} % higher" if ahead > behind else f"{behind:.1f} % lower"
        return self._verdict.fail(f"{words} than {self._rule.power} explains")
