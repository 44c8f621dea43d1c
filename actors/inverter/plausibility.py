"""What a device's values must have to do with one another, as data: the `[plausibility]` table of a profile.

Ranges and sentinels are the business of each point. The checks here look at a value beside its own past (rates,
counters, frozen) and beside the others (products, signs, integrals, balances). `plausibility_book` applies them to
polls. docs/plausibility.md tells what each finds, how fast, and what none of them can find.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain

import msgspec

from actors.inverter.profile_points import Condition, Part, refuse, require_between

MAX_S = 86_400.0
MAX_FIGURE = 1e9


class Rate(Part, frozen=True, kw_only=True):
    """A value that cannot jump: `step` at once, and `max_per_s` from then on."""

    point: str
    max_per_s: float
    """In the point's unit per second."""
    step: float
    """In the point's unit: resolution, noise and small corrections."""
    adopt_s: float = 10.0
    """A value that jumped is believed when it has stayed at its new level, or gone further away, for this long."""

    def __post_init__(self) -> None:
        """Refuse a rate that means nothing."""
        where = f"plausibility.rates, {self.point}"
        require_between(f"{where}: max_per_s", self.max_per_s, 1e-9, MAX_FIGURE)
        require_between(f"{where}: step", self.step, 0.0, MAX_FIGURE)
        require_between(f"{where}: adopt_s", self.adopt_s, 0.0, MAX_S)

    def needs(self) -> tuple[str, ...]:
        """Return the points that it looks at."""
        return (self.point,)

    def marks(self) -> tuple[str, ...]:
        """Return the points that it makes invalid."""
        return (self.point,)


class Counter(Part, frozen=True, kw_only=True):
    """A counter that never falls, unless it starts again from almost nothing."""

    point: str
    max_per_s: float
    """How fast it may rise, in its unit per second, beyond `step`."""
    step: float
    """How much it may rise at once: devices bring their counters up to date in leaps."""
    reset_below: float = 0.0
    """A fall to at most this is a new day or a new counter, not a fault. 0: only a fall to 0 is."""
    adopt_s: float = 60.0
    """As in a rate."""

    def __post_init__(self) -> None:
        """Refuse a counter that could not count."""
        where = f"plausibility.counters, {self.point}"
        require_between(f"{where}: max_per_s", self.max_per_s, 1e-9, MAX_FIGURE)
        require_between(f"{where}: step", self.step, 0.0, MAX_FIGURE)
        require_between(f"{where}: reset_below", self.reset_below, 0.0, MAX_FIGURE)
        require_between(f"{where}: adopt_s", self.adopt_s, 0.0, MAX_S)

    def needs(self) -> tuple[str, ...]:
        """Return the points that it looks at."""
        return (self.point,)

    def marks(self) -> tuple[str, ...]:
        """Return the points that it makes invalid."""
        return (self.point,)


class Product(Part, frozen=True, kw_only=True):
    """Power is voltage times current, sign included; which of the three is wrong cannot be told."""

    power: str = "battery_power_w"
    voltage: str = "battery_voltage_v"
    current: str = "battery_current_a"
    rel: float = 0.05
    """Allowed disagreement, as a share of the larger side."""
    abs_w: float = 100.0
    """Allowed disagreement in watts, beside `rel`: resolution of the registers and offsets."""
    lag_s: float = 1.0
    """How much older one of the registers may be than the others; one poll is always allowed."""
    late_growth_w: float = 1000.0
    """How much power may grow or turn within `lag_s`: more is no late register. Falling towards 0 may be any amount."""
    invalid: tuple[str, ...] = ()
    """What becomes invalid; without it all three."""

    def __post_init__(self) -> None:
        """Refuse tolerances that are none."""
        where = f"plausibility.products, {self.power}"
        require_between(f"{where}: rel", self.rel, 0.0, 1.0)
        require_between(f"{where}: abs_w", self.abs_w, 0.0, MAX_FIGURE)
        require_between(f"{where}: lag_s", self.lag_s, 0.0, 60.0)
        require_between(f"{where}: late_growth_w", self.late_growth_w, 0.0, MAX_FIGURE)
        _require_different(where, self.needs())

    def needs(self) -> tuple[str, ...]:
        """Return the points that it looks at."""
        return (self.power, self.voltage, self.current)

    def marks(self) -> tuple[str, ...]:
        """Return the points that it makes invalid."""
        return self.invalid or self.needs()


class Sign(Part, frozen=True, kw_only=True):
    """Two points that are positive and negative together."""

    first: str = "battery_power_w"
    first_dead: float = 200.0
    """Up to this, either way, `first` has no sign."""
    second: str = "battery_current_a"
    second_dead: float = 0.5
    for_s: float = 2.0
    """How long they must contradict each other, and for two polls at least."""
    invalid: tuple[str, ...] = ()
    """What becomes invalid; without it both."""

    def __post_init__(self) -> None:
        """Refuse dead bands and times that are none."""
        where = f"plausibility.signs, {self.first}"
        require_between(f"{where}: first_dead", self.first_dead, 0.0, MAX_FIGURE)
        require_between(f"{where}: second_dead", self.second_dead, 0.0, MAX_FIGURE)
        require_between(f"{where}: for_s", self.for_s, 0.0, MAX_S)
        _require_different(where, self.needs())

    def needs(self) -> tuple[str, ...]:
        """Return the points that it looks at."""
        return (self.first, self.second)

    def marks(self) -> tuple[str, ...]:
        """Return the points that it makes invalid."""
        return self.invalid or self.needs()


class Integral(Part, frozen=True, kw_only=True):
    """State of charge moves as far as the measured energy moves it."""

    soc: str = "soc_pct"
    power: str = "battery_power_w"
    """In watts, + charging."""
    more_power: tuple[str, ...] = ()
    """Powers of further units that `soc` speaks for."""
    only_if: Condition | None = None
    """Whether SOC, power and capacity are of the same thing; not judged where that is not known."""
    capacity_point: str = ""
    """The point that holds the capacity in Wh; where it was never read, `capacity_wh`."""
    capacity_wh: float = 0.0
    """The capacity where no point tells it; 0 for unknown, and then nothing is judged until the point is read."""
    slowest: float = 0.8
    """Least movement, as a share of energy / capacity: losses of charging, errors of power."""
    fastest: float = 1.75
    """Most movement: a battery aged to 60 % of its capacity, and losses of discharging."""
    abs_pct: float = 2.0
    """How far SOC may be off beside that, in percentage points: its resolution, and small corrections by the device."""
    drift_pct_per_h: float = 1.0
    """How fast disagreement is forgotten: slow corrections by the device."""
    full_pct: float = 95.0
    """From here up SOC may rise by itself or wait: the device finds out what full is."""
    empty_pct: float = 5.0
    """From here down SOC may fall by itself or wait."""
    invalid: tuple[str, ...] = ()
    """What becomes invalid; without it SOC."""

    def __post_init__(self) -> None:
        """Refuse figures that could not judge anything."""
        where = f"plausibility.integrals, {self.soc}"
        if not (self.capacity_point or self.capacity_wh):
            refuse(
                f"{where}: give capacity_point or capacity_wh, without which no SOC can be judged"
            )
        require_between(f"{where}: capacity_wh", self.capacity_wh, 0.0, MAX_FIGURE)
        require_between(f"{where}: slowest", self.slowest, 0.0, 1.0)
        require_between(f"{where}: fastest", self.fastest, 1.0, 100.0)
        require_between(f"{where}: abs_pct", self.abs_pct, 0.1, 100.0)
        require_between(f"{where}: drift_pct_per_h", self.drift_pct_per_h, 0.0, 1000.0)
        require_between(f"{where}: empty_pct", self.empty_pct, 0.0, 100.0)
        require_between(f"{where}: full_pct", self.full_pct, self.empty_pct, 100.0)
        _require_different(where, self.needs())

    def needs(self) -> tuple[str, ...]:
        """Return the points that it looks at, but for the capacity, which hardly changes."""
        return (self.soc, self.power, *self.more_power)

    def marks(self) -> tuple[str, ...]:
        """Return the points that it makes invalid."""
        return self.invalid or (self.soc,)


class Frozen(Part, frozen=True, kw_only=True):
    """Points of which at least one must change while energy flows."""

    name: str
    """What is frozen, for people: `battery`."""
    points: tuple[str, ...]
    power: str = "battery_power_w"
    for_s: float = 30.0
    """How long nothing must have changed, and for ten polls at least."""
    flow_wh: float = 25.0
    """How much energy must have flowed meanwhile; choose more than one step of the SOC register is worth."""
    flow_w: float = 100.0
    """Less power is no flow."""
    invalid: tuple[str, ...] = ()
    """What becomes invalid; without it all `points`."""

    def __post_init__(self) -> None:
        """Refuse a group that says nothing."""
        where = f"plausibility.frozen, {self.name}"
        if not self.points:
            refuse(f"{where}: points is empty; name those of which at least one must change")
        require_between(f"{where}: for_s", self.for_s, 0.0, MAX_S)
        require_between(f"{where}: flow_wh", self.flow_wh, 0.0, MAX_FIGURE)
        require_between(f"{where}: flow_w", self.flow_w, 0.0, MAX_FIGURE)
        _require_different(where, self.points)

    def needs(self) -> tuple[str, ...]:
        """Return the points that it looks at."""
        return (*self.points, self.power)

    def marks(self) -> tuple[str, ...]:
        """Return the points that it makes invalid."""
        return self.invalid or self.points


class Balance(Part, frozen=True, kw_only=True):
    """A weighted sum that is 0: powers around a node, or the same thing measured twice."""

    name: str
    terms: dict[str, float]
    """By point its weight; judged only while all are read."""
    invalid: tuple[str, ...]
    """What becomes invalid."""
    only_if: Condition | None = None
    """Whether these are all terms; not judged where that is not known."""
    rel: float = 0.05
    """Allowed rest, as a share of the sum of all magnitudes: losses between the places of measurement."""
    abs: float = 300.0
    """Allowed rest beside `rel`, in the points' unit."""
    for_s: float = 15.0
    """How long the rest must be too large, always with the same sign, and for two polls at least: the points are read
    one after the other."""

    def __post_init__(self) -> None:
        """Refuse a sum that says nothing."""
        where = f"plausibility.balances, {self.name}"
        if len(self.terms) < 2:  # noqa: PLR2004 - one value is no sum
            refuse(f"{where}: terms = {self.terms} needs two points at least")
        for point, weight in self.terms.items():
            if not 0 < abs(weight) < MAX_FIGURE:
                refuse(f"{where}: the weight of {point} is {weight}; use a number other than 0")
        if not self.invalid:
            refuse(f"{where}: invalid is empty; name the points that are not to be trusted")
        require_between(f"{where}: rel", self.rel, 0.0, 1.0)
        require_between(f"{where}: abs", self.abs, 0.0, MAX_FIGURE)
        require_between(f"{where}: for_s", self.for_s, 0.0, MAX_S)

    def needs(self) -> tuple[str, ...]:
        """Return the points that it looks at."""
        return tuple(self.terms)

    def marks(self) -> tuple[str, ...]:
        """Return the points that it makes invalid."""
        return self.invalid


Rule = Rate | Counter | Product | Sign | Integral | Frozen | Balance


def names_of(rule: Rule) -> tuple[str, ...]:
    """Return every point that `rule` names."""
    also = rule.capacity_point if isinstance(rule, Integral) else ""
    condition = rule.only_if if isinstance(rule, Integral | Balance) else None
    if condition is not None:
        return (*rule.needs(), *rule.marks(), condition.point, *filter(None, [also]))
    return (*rule.needs(), *rule.marks(), *filter(None, [also]))


class Plausibility(Part, frozen=True, kw_only=True):
    """Every check of a profile. Without any, nothing but ranges and sentinels is judged."""

    rates: tuple[Rate, ...] = ()
    counters: tuple[Counter, ...] = ()
    products: tuple[Product, ...] = ()
    signs: tuple[Sign, ...] = ()
    integrals: tuple[Integral, ...] = ()
    frozen: tuple[Frozen, ...] = ()
    balances: tuple[Balance, ...] = ()
    gap_s: float = 15.0
    """After a longer silence (a reconnect) nothing is judged by how fast it changed."""
    clear_polls: int = 3
    """So many plausible polls in a row make a value good again. As safety's `good_cycles`."""

    def __post_init__(self) -> None:
        """Refuse two rates of one point, and figures that mean nothing."""
        require_between("plausibility.gap_s", self.gap_s, 0.1, MAX_S)
        require_between("plausibility.clear_polls", self.clear_polls, 1, 1000)
        seen: set[str] = set()
        for point in [rule.point for rule in self.rates] + [rule.point for rule in self.counters]:
            if point in seen:
                refuse(f"plausibility: {point} has two rates or counters; keep one")
            seen.add(point)

    def rules(self) -> Iterable[Rule]:
        """Return every check."""
        return chain(
            self.rates,
            self.counters,
            self.products,
            self.signs,
            self.integrals,
            self.frozen,
            self.balances,
        )

    def require_points(self, names: Collection[str]) -> None:
        """Refuse checks that name something else than `names`, the points of the profile.

        Raises:
            ValueError: it names the check and the point.
        """
        for rule in self.rules():
            for name in names_of(rule):
                if name not in names:
                    kind = type(rule).__name__.lower()
                    refuse(f"plausibility, {kind}: {name!r} is not a point of any block")

    def split(self, safety: Collection[str]) -> tuple[Plausibility, Plausibility]:
        """Return the checks that can make one of the points in `safety` invalid, and the others.

        The first are to be judged before safety is told, with what else they need as last read; the others when the
        whole poll is through.
        """

        def keep(*, first: bool) -> Plausibility:
            chosen = {
                field: tuple(rule for rule in getattr(self, field) if touches(rule) is first)
                for field in _KINDS
            }
            return msgspec.structs.replace(self, **chosen)

        def touches(rule: Rule) -> bool:
            return any(name in safety for name in rule.marks())

        return keep(first=True), keep(first=False)


_KINDS = ("rates", "counters", "products", "signs", "integrals", "frozen", "balances")


def _require_different(where: str, points: tuple[str, ...]) -> None:
    if len(set(points)) < len(points):
        refuse(f"{where}: {', '.join(points)} names a point twice")
