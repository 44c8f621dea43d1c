"""Values that must fit together in every poll: products, signs and balances.

The registers of a device are not all of the same instant: a disagreement counts where no late register explains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import copysign

from actors.inverter.plausibility import Balance, Plausibility, Product, Sign
from actors.inverter.verdict import Applies, Lasting, Verdict

_NEVER = -1.0


class ProductCheck:
    """Power beside voltage times current."""

    __slots__ = (
        "_abs_w",
        "_current",
        "_now_s",
        "_odd_s",
        "_power",
        "_recent",
        "_rel",
        "_rule",
        "_verdict",
        "_voltage",
    )

    def __init__(self, rule: Product, at: Mapping[str, int], spec: Plausibility) -> None:
        """Judge values, which are `at` their places, by `rule` of `spec`."""
        self._rule = rule
        self._power, self._voltage, self._current = (at[name] for name in rule.needs())
        self._rel, self._abs_w = rule.rel, rule.abs_w
        self._verdict = Verdict(spec.clear_polls)
        self._now_s = 0.0
        self._odd_s = _NEVER
        self._recent: list[tuple[float, float, float]] = []
        """Time, power and product of the last polls that agreed or were explained."""

    def judge(self, values: list[float | None], dt_s: float) -> str:
        """Return why the values are invalid, or an empty string; `dt_s` is negative after a gap."""
        power, voltage, current = (
            values[self._power],
            values[self._voltage],
            values[self._current],
        )
        self._pass(dt_s)
        if power is None or voltage is None or current is None:
            return self._verdict.keep()
        product = voltage * current
        room = self._abs_w + self._rel * max(abs(power), abs(product))
        apart_w = abs(power - product)
        explained = apart_w <= room or self._is_late(power, product, room)
        if explained:
            self._odd_s = _NEVER
        elif not self._may_be_late(apart_w - room, dt_s):
            return self._verdict.fail(
                f"{self._rule.power} {power:g} is not {self._rule.voltage} {voltage:g}"
                f" x {self._rule.current} {current:g} = {product:.0f}"
            )
        self._recent.append((self._now_s, power, product))
        if not self._verdict.holds:
            return ""
        return self._verdict.succeed() if apart_w <= room else self._verdict.keep()

    def _pass(self, dt_s: float) -> None:
        """Let time pass, and forget what is older than registers are; but never the last poll."""
        recent = self._recent
        if dt_s < 0.0:
            recent.clear()
            return
        self._now_s += dt_s
        oldest_s = self._now_s - self._rule.lag_s
        while len(recent) > 1 and recent[1][0] <= oldest_s:
            del recent[0]

    def _is_late(self, power: float, product: float, room: float) -> bool:
        """Return whether one of the two is what the other was lately, and the change one that batteries make."""
        recent = self._recent
        if not recent:
            return False
        product_was_power = _within(product, [power, *(old for _, old, _ in recent)], room)
        power_was_product = _within(power, [product, *(old for _, _, old in recent)], room)
        if abs(power - product) <= self._rule.late_growth_w + room:
            return product_was_power or power_was_product
        if power * product < 0.0:
            return False
        return product_was_power if abs(product) > abs(power) else power_was_product

    def _may_be_late(self, excess_w: float, dt_s: float) -> bool:
        """Return whether a disagreement that the last polls do not explain is small, and younger than `lag_s`."""
        if excess_w > self._rule.late_growth_w:
            return False
        self._odd_s = 0.0 if self._odd_s < 0.0 else self._odd_s + max(dt_s, 0.0)
        return self._odd_s == 0.0 or self._odd_s < self._rule.lag_s


class SignCheck:
    """Two values that are positive and negative together."""

    __slots__ = (
        "_first",
        "_first_dead",
        "_lasting",
        "_rule",
        "_second",
        "_second_dead",
        "_verdict",
    )

    def __init__(self, rule: Sign, at: Mapping[str, int], spec: Plausibility) -> None:
        """Judge values, which are `at` their places, by `rule` of `spec`."""
        self._rule = rule
        self._first, self._second = at[rule.first], at[rule.second]
        self._first_dead, self._second_dead = rule.first_dead, rule.second_dead
        self._verdict = Verdict(spec.clear_polls)
        self._lasting = Lasting(rule.for_s)

    def judge(self, values: list[float | None], dt_s: float) -> str:
        """Return why the values are invalid, or an empty string; `dt_s` is negative after a gap."""
        first, second = values[self._first], values[self._second]
        if first is None or second is None:
            return self._verdict.keep()
        contradict = (
            first * second < 0.0
            and abs(first) > self._first_dead
            and abs(second) > self._second_dead
        )
        if not contradict:
            self._lasting.stop()
            return self._verdict.succeed() if self._verdict.holds else ""
        if self._lasting.lasts(copysign(1.0, first), dt_s):
            rule = self._rule
            return self._verdict.fail(
                f"{rule.first} {first:g} and {rule.second} {second:g} have opposite signs"
            )
        return self._verdict.keep()


class BalanceCheck:
    """A weighted sum that is 0."""

    __slots__ = ("_abs", "_applies", "_lasting", "_rel", "_rule", "_terms", "_verdict")

    def __init__(self, rule: Balance, at: Mapping[str, int], spec: Plausibility) -> None:
        """Judge values, which are `at` their places, by `rule` of `spec`."""
        self._rule = rule
        self._rel, self._abs = rule.rel, rule.abs
        self._applies = Applies(rule.only_if, at)
        self._terms = tuple((at[name], weight) for name, weight in rule.terms.items())
        self._verdict = Verdict(spec.clear_polls)
        self._lasting = Lasting(rule.for_s)

    def judge(self, values: list[float | None], dt_s: float) -> str:
        """Return why the values are invalid, or an empty string; `dt_s` is negative after a gap."""
        if not self._applies.to(values):
            return ""
        rest = magnitude = 0.0
        for place, weight in self._terms:
            value = values[place]
            if value is None:
                return self._verdict.keep()
            rest += weight * value
            magnitude += abs(weight * value)
        if not abs(rest) > self._abs + self._rel * magnitude:
            self._lasting.stop()
            return self._verdict.succeed() if self._verdict.holds else ""
        if self._lasting.lasts(copysign(1.0, rest), dt_s):
            return self._verdict.fail(f"the balance of {self._rule.name} is off by {rest:.0f}")
        return self._verdict.keep()


def _within(value: float, others: list[float], room: float) -> bool:
    """Return whether `value` is between the least and the greatest of `others`, give or take `room`."""
    return min(others) - room <= value <= max(others) + room
