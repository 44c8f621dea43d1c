"""What a device served of its truth under faults of values, as far as that follows from the record. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from bessai.campaign.record import Truth
from bessai.campaign.step import Kind
from bessai.campaign.terms import Terms
from bessai.simulator.faults import Fault, FaultKind

UNKNOWN = math.nan
"""A value that the judge cannot tell."""
BOTH = frozenset(Kind)
_NEITHER: frozenset[Kind] = frozenset()


class Lie(NamedTuple):
    """A fault of values while it lasts, nanoseconds on the monotonic clock."""

    began_ns: int
    ended_ns: int
    fault: Fault


class Served(NamedTuple):
    """What a client could read. None is no value, or one that means nothing; UNKNOWN one that the judge cannot tell."""

    soc_pct: float | None
    temperature_c: float | None
    battery_power_w: float | None
    max_charge_w: float | None
    max_discharge_w: float | None


_FIELDS = {
    "soc_pct": ("soc_pct", 0.0, 100.0),
    "temperature_c": ("battery_temperature_c", -50.0, 120.0),
    "battery_power_w": ("battery_power_w", -1e6, 1e6),
    "max_charge_w": ("max_charge_w", 0.0, 1e6),
    "max_discharge_w": ("max_discharge_w", 0.0, 1e6),
}
"""By field: its register, and the range in which it means anything (docs/plausibility.md)."""


def served(truth: Truth, lies: Iterable[Lie]) -> Served:
    """Return what the device served at the time of `truth` under `lies`."""
    told = [lie for lie in lies if lie.began_ns <= truth.mono_ns < lie.ended_ns]
    return Served(*(_bent(field, truth, told) for field in Served._fields))


def closed(seen: Served, terms: Terms) -> frozenset[Kind]:
    """Return the directions that what was `seen` closes for certain."""
    found = _closed_by_soc(seen.soc_pct, terms) | _closed_by_temperature(seen.temperature_c, terms)
    if seen.battery_power_w is None:
        found |= BOTH
    if seen.max_charge_w is None or seen.max_charge_w <= 0.0:
        found |= {Kind.CHARGE}
    if seen.max_discharge_w is None or seen.max_discharge_w <= 0.0:
        found |= {Kind.DISCHARGE}
    return found


def trips(seen: Served, terms: Terms) -> bool:
    """Return whether the temperature that was `seen` trips."""
    celsius = seen.temperature_c
    return celsius is not None and (celsius <= terms.trip_low_c or celsius >= terms.trip_high_c)


def _closed_by_soc(soc_pct: float | None, terms: Terms) -> frozenset[Kind]:
    if soc_pct is None:
        return BOTH
    if soc_pct <= terms.soc_min_pct:
        return frozenset({Kind.DISCHARGE})
    return frozenset({Kind.CHARGE}) if soc_pct >= terms.soc_max_pct else _NEITHER


def _closed_by_temperature(celsius: float | None, terms: Terms) -> frozenset[Kind]:
    if celsius is None:
        return BOTH
    found = _NEITHER
    if celsius <= terms.charge_min_c or celsius >= terms.charge_max_c:
        found |= {Kind.CHARGE}
    if celsius <= terms.discharge_min_c or celsius >= terms.discharge_max_c:
        found |= {Kind.DISCHARGE}
    return found


def _bent(field: str, truth: Truth, told: list[Lie]) -> float | None:
    register, low, high = _FIELDS[field]
    value: float = getattr(truth, field)
    told = [lie for lie in told if lie.fault.register == register]
    if len(told) > 1:
        return UNKNOWN
    bent = _as_told(value, told[0], truth.mono_ns) if told else value
    if bent is None or math.isnan(bent):
        return bent
    if low == 0.0:
        bent = max(bent, 0.0)  # an unsigned register serves 0 in place of less
    return bent if low <= bent <= high else None


def _as_told(value: float, lie: Lie, now_ns: int) -> float | None:
    fault = lie.fault
    match fault.kind:
        case FaultKind.SENTINEL | FaultKind.NAN:
            return None
        case FaultKind.SPOOFED:
            return fault.value
        case FaultKind.SIGN_FLIPPED:
            return UNKNOWN if fault.register != "battery_power_w" else -value
        case FaultKind.DRIFTING:
            return value + fault.per_s * (now_ns - lie.began_ns) / 1e9
        case FaultKind.SCALED:
            return value * fault.factor
        case _:
            # Stuck at what it happened to serve first, or spiking by chance.
            return UNKNOWN
