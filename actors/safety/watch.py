"""A rule with a device's figures, and how it stands: hysteresis, delays, and how far power must fall.

Pure: the time is handed in, and never goes back.
"""

from __future__ import annotations

import functools
import math

import msgspec

from actors.safety.config import DeviceLimits
from actors.safety.rules import Action, Holding, Rule, Side
from supervision.clock import NS_PER_S

DERATE_STEPS = 20
"""Power falls in so many steps, so that a set-point is not written for each tenth of a degree. Project's choice."""


class BoundRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with the figures of one device."""

    rule: Rule
    limit: float
    room: float
    """How far the value must come back before the rule ceases to hold."""
    delay_ns: int
    clear_ns: int
    band: float
    sign: float
    """By which a value is multiplied so that larger is worse."""
    worst: float
    """The limit, with that sign; `back` is where the rule ceases to hold, and `edge` where power begins to fall."""
    back: float
    edge: float

    def holding(self, value: float) -> Holding:
        """Return the record that this rule holds for `value`."""
        rule = self.rule
        figures = f"{value:.1f} {rule.unit}, limit {rule.side.value} {self.limit:g} {rule.unit}"
        return Holding(
            rule.name,
            figures,
            closes_charge=rule.direction.charges,
            closes_discharge=rule.direction.discharges,
            commands=rule.action in {Action.STOP, Action.TRIP},
        )

    def lowering(self, value: float, share: float) -> Holding:
        """Return the record that this rule leaves `share` of the power for `value`."""
        rule = self.rule
        edge = self.limit - self.band if rule.side is Side.ABOVE else self.limit + self.band
        figures = (
            f"{value:.1f} {rule.unit}, full power up to {edge:g} {rule.unit}:"
            f" {rule.direction.value} at {100 * share:.0f} %"
        )
        return Holding(rule.name, figures, closes_charge=False, closes_discharge=False)


@functools.cache
def bind(rule: Rule, limits: DeviceLimits) -> BoundRule:
    """Return `rule` with the figures that `limits` give it: one object for all devices that have these."""

    def figure(named: str | float) -> float:
        return getattr(limits, named) if isinstance(named, str) else named

    limit = figure(rule.limit)
    room = abs(figure(rule.back_at) - limit) if rule.back_at else figure(rule.hysteresis)
    sign, band = 1.0 if rule.side is Side.ABOVE else -1.0, figure(rule.band)
    return BoundRule(
        rule=rule,
        limit=limit,
        room=room,
        delay_ns=int(figure(rule.delay) * NS_PER_S),
        clear_ns=int(figure(rule.clear) * NS_PER_S),
        band=band,
        sign=sign,
        worst=limit * sign,
        back=limit * sign - room,
        edge=limit * sign - band,
    )


class Watch:
    """How one rule stands with one device.

    It begins as if it held: between a limit and its hysteresis a restart must not open what may have been closed
    before it. What was not seen to hold ceases with the first value that has come back far enough.
    """

    __slots__ = ("_gone_ns", "_seen", "_since_ns", "bound", "holds")

    def __init__(self, bound: BoundRule) -> None:
        """Watch `bound`; one that trips begins as not holding, because it latches."""
        self.bound = bound
        self.holds = bound.rule.action is not Action.TRIP
        self._seen = False
        self._since_ns: int | None = None
        self._gone_ns: int | None = None

    def judge(self, value: float, now_ns: int) -> bool:
        """Take in `value` at `now_ns`; return whether the rule holds."""
        bound = self.bound
        signed = value * bound.sign
        if signed >= bound.worst:
            return self._is_outside(now_ns)
        self._since_ns = None
        if not self.holds:
            return False
        if signed > bound.back:
            self._gone_ns = None
            return True
        return self._is_back(now_ns)

    def blind(self) -> None:
        """Note that the value is not measured now: for how long it has been back counts anew.

        For how long it has been outside goes on counting, since nothing says that it has come back.
        """
        self._gone_ns = None

    def is_clear(self, value: float) -> bool:
        """Return whether `value` is as far from the limit as it must come back, and not outside."""
        signed = value * self.bound.sign
        return signed <= self.bound.back and signed < self.bound.worst

    def _is_outside(self, now_ns: int) -> bool:
        self._gone_ns = None
        if self._since_ns is None:
            self._since_ns = now_ns
        if now_ns - self._since_ns >= self.bound.delay_ns:
            self.holds = self._seen = True
        return self.holds

    def _is_back(self, now_ns: int) -> bool:
        if self._gone_ns is None:
            self._gone_ns = now_ns
        if self._seen and now_ns - self._gone_ns < self.bound.clear_ns:
            return True
        self.holds = self._seen = False
        self._gone_ns = None
        return False


class Derating:
    """How much of the power one rule leaves."""

    __slots__ = ("bound",)

    def __init__(self, bound: BoundRule) -> None:
        """Lower power over the band of `bound`."""
        self.bound = bound

    def is_full(self, value: float) -> bool:
        """Return whether all of the power is left for `value`."""
        return value * self.bound.sign <= self.bound.edge

    def share(self, value: float) -> float:
        """Return how much of the power is left for `value`, from 0 to 1, in steps and never too much."""
        if self.is_full(value):
            return 1.0
        room = self.bound.worst - value * self.bound.sign
        return max(math.floor(DERATE_STEPS * room / self.bound.band), 0) / DERATE_STEPS
