"""Applies the checks of a profile to one poll after another: pure, fast, and it never raises on what a device sends.

A value is evidence only as long as it is plausible itself: what one stage finds invalid the next stages do not see,
so an SOC that spikes does not make power suspect. First each value is judged by its own past, then voltage, current
and power by one another, then SOC by their energy, last the sums.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, Protocol, assert_never

from actors.inverter.agreement import BalanceCheck, ProductCheck, SignCheck
from actors.inverter.coulomb import CoulombCheck
from actors.inverter.frozen import FrozenCheck
from actors.inverter.plausibility import (
    Balance,
    Counter,
    Frozen,
    Integral,
    Plausibility,
    Product,
    Rate,
    Rule,
    Sign,
    names_of,
)
from actors.inverter.rates import CounterCheck, RateCheck
from supervision.clock import NS_PER_S

_GAP_S = -1.0
"""Stands for a time between two polls that is unknown or too long to judge by."""


class Checkup:
    """What is checked of a poll, and in which order: the same for all devices of a profile."""

    def __init__(self, spec: Plausibility, point_names: Sequence[str]) -> None:
        """Prepare to judge polls whose values are those of `point_names`, in this order.

        A check of which a point is not there is left out: `Plausibility.require_points` tells that it is a mistake.
        """
        self.spec = spec
        self.gap_ns = int(spec.gap_s * NS_PER_S)
        wanted = {name for rule in spec.rules() for name in names_of(rule)}
        named = sorted(wanted & set(point_names))
        self.places = tuple(point_names.index(name) for name in named)
        self.at = {name: index for index, name in enumerate(named)}
        self.pick = _picker(self.places)
        self.stages = tuple(_stages(spec, self.at))
        """The rules of each stage."""
        self.marks = tuple(
            tuple(
                tuple(self.at[name] for name in rule.marks() if name in self.at) for rule in rules
            )
            for rules in self.stages
        )
        """Of each rule, what it makes invalid."""


class PlausibilityBook:
    """What is remembered of one device's values, to judge the next ones by."""

    __slots__ = ("_checkup", "_last_ns", "_stages")

    def __init__(self, checkup: Checkup) -> None:
        """Begin with nothing seen."""
        self._checkup = checkup
        self._last_ns: int | None = None
        rates: dict[str, RateCheck] = {}
        self._stages = tuple(
            tuple(_check(rule, checkup.spec, checkup.at, rates) for rule in rules)
            for rules in checkup.stages
        )

    def check(
        self, values: Sequence[float | None], mono_ns: int, quality: Sequence[int] = b""
    ) -> dict[int, str]:
        """Judge the values of a poll, of which the answers came at `mono_ns`; return by place why a value is invalid.

        A value counts if it is a finite number and its `quality`, where given, is 0: good, and read in this poll.
        """
        dt_s = self._since_last(mono_ns)
        pick = self._checkup.pick
        picked = list(pick(values))
        if quality and any(unlike := pick(quality)):
            picked = [None if bad else value for value, bad in zip(picked, unlike, strict=True)]
        reasons: dict[int, str] = {}
        if not isfinite(sum([value for value in picked if value is not None])):
            self._drop_strange(picked, reasons)
        for stage, checks in enumerate(self._stages):
            whys = [check.judge(picked, dt_s) for check in checks]
            if any(whys):
                marks = self._checkup.marks[stage]
                failed = [each for each in zip(whys, marks, strict=True) if each[0]]
                self._invalidate(picked, failed, reasons)
        return reasons

    def _since_last(self, mono_ns: int) -> float:
        last_ns, self._last_ns = self._last_ns, mono_ns
        if last_ns is None or not 0 <= mono_ns - last_ns <= self._checkup.gap_ns:
            return _GAP_S
        return (mono_ns - last_ns) / NS_PER_S

    def _drop_strange(self, picked: list[float | None], reasons: dict[int, str]) -> None:
        """Drop and name what is no number: the range of its point should have kept it out already."""
        for index, value in enumerate(picked):
            if value is not None and not isfinite(value):
                picked[index] = None
                reasons[self._checkup.places[index]] = f"{value} is not a number"

    def _invalidate(
        self,
        picked: list[float | None],
        failed: list[tuple[str, tuple[int, ...]]],
        reasons: dict[int, str],
    ) -> None:
        for why, marks in failed:
            for index in marks:
                if picked[index] is not None:
                    reasons.setdefault(self._checkup.places[index], why)
        for _, marks in failed:
            for index in marks:
                picked[index] = None


def _picker(places: tuple[int, ...]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return what takes `places` out of a sequence."""
    if len(places) > 1:
        return operator.itemgetter(*places)
    return lambda found: [found[place] for place in places]


def _stages(spec: Plausibility, at: Mapping[str, int]) -> Iterable[tuple[Rule, ...]]:
    """Return the rules whose points are all `at` some index, in the order in which they are to judge."""
    plans: tuple[tuple[Rule, ...], ...] = (
        (*spec.rates, *spec.counters, *spec.frozen),
        (*spec.products, *spec.signs),
        spec.integrals,
        spec.balances,
    )
    for rules in plans:
        yield tuple(rule for rule in rules if set(rule.needs()) <= set(at))


class _Check(Protocol):
    """Judges by one rule."""

    def judge(self, values: list[float | None], dt_s: float) -> str: ...


def _check(
    rule: Rule, spec: Plausibility, at: Mapping[str, int], rates: dict[str, RateCheck]
) -> _Check:
    """Return what judges by `rule`; `rates` are the checks of single values made so far."""
    match rule:
        case Rate():
            rates[rule.point] = RateCheck(rule, at, spec)
            return rates[rule.point]
        case Counter():
            return CounterCheck(rule, at, spec)
        case Frozen():
            return FrozenCheck(rule, at, spec)
        case Product():
            return ProductCheck(rule, at, spec)
        case Sign():
            return SignCheck(rule, at, spec)
        case Integral():
            return CoulombCheck(rule, at, spec, rates.get(rule.soc))
        case Balance():
            return BalanceCheck(rule, at, spec)
    assert_never(rule)
