"""Limits per device: defaults for LFP behind a LUNA2000, and outer bounds that no configuration can cross.

The gateway supervises operational limits; the battery's own management system and relays stay the primary protection.
Configuration may tighten a limit freely and loosen it up to its outer bound. Each figure says where it comes from.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec


class Bound(NamedTuple):
    """What configuration may set a field to, and why not more."""

    low: float
    high: float
    why: str


OUTER_BOUNDS: dict[str, Bound] = {
    "soc_min_pct": Bound(5, 50, "a LUNA2000 kept below 5 % must be recharged within 7 days"),
    "soc_max_pct": Bound(50, 100, "100 % is full"),
    "soc_hysteresis_pct": Bound(0.5, 10, "less lets a direction flap, more wastes the battery"),
    "charge_min_c": Bound(0, 30, "LFP cells must not be charged below 0 degC"),
    "charge_max_c": Bound(20, 60, "LFP cell data sheets allow charging up to 60 degC"),
    "discharge_min_c": Bound(-20, 30, "LFP packs are specified for discharge down to -20 degC"),
    "discharge_max_c": Bound(20, 60, "LFP cell data sheets allow discharging up to 60 degC"),
    "temperature_hysteresis_k": Bound(1, 10, "less lets a direction flap, more wastes the battery"),
    "trip_high_c": Bound(30, 60, "no LFP cell data sheet allows more than 60 degC"),
    "trip_low_c": Bound(-30, 0, "no LFP cell data sheet is relied on below -30 degC"),
    "max_charge_w": Bound(0, 1e6, "one device never has more than 1 MW"),
    "max_discharge_w": Bound(0, 1e6, "one device never has more than 1 MW"),
    "deadband_w": Bound(1, 1000, "a larger flow into a closed direction must be answered"),
    "stale_after_s": Bound(0.1, 10, "an older measurement says nothing about the battery now"),
    "good_cycles": Bound(1, 100, "at least one measurement must be seen"),
    "lease_s": Bound(0.2, 30, "a silent safety actor must end a set-point soon"),
    "reassert_s": Bound(0.1, 10, "an unanswered safe command must be repeated soon"),
}


class DeviceLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of one device. A value *at* a limit is already outside.

    Raises:
        ValueError: names every field that is out of bounds, its value, the allowed range and why.
    """

    soc_min_pct: float = 5.0
    """No discharging at or below. LUNA2000-(7,14,21)-S1 manual 7.5: below 5 % recharge within 7 days."""
    soc_max_pct: float = 98.0
    """No charging at or above. Project's choice: room for the error of an SOC estimate near full."""
    soc_hysteresis_pct: float = 2.0
    """How far SOC must come back before a direction opens again. Project's choice."""
    charge_min_c: float = 0.0
    """No charging at or below. EVE LF280N and Lishen cells: 0 to 60 degC; Sunland prohibits charging below 0."""
    charge_max_c: float = 50.0
    """No charging at or above. Victron LFP pack: +5 to +50 degC."""
    discharge_min_c: float = -10.0
    """No discharging at or below. Project's choice, inside the -20 degC of the Victron LFP pack."""
    discharge_max_c: float = 50.0
    """No discharging at or above. Victron LFP pack: -20 to +50 degC."""
    temperature_hysteresis_k: float = 5.0
    """How far the temperature must come back before a direction opens again. Project's choice."""
    trip_high_c: float = 55.0
    """Latched trip at or above. Project's choice, below the 60 degC of LFP cell data sheets."""
    trip_low_c: float = -20.0
    """Latched trip at or below. Lower end of the Victron LFP pack."""
    max_charge_w: float = 5000.0
    """Largest approved charging power. Project's choice; the device's own limit holds beside it."""
    max_discharge_w: float = 5000.0
    """Largest approved discharging power, as a positive number. Project's choice, as `max_charge_w`."""
    deadband_w: float = 100.0
    """Smaller battery power is no movement. Project's choice: stand-by and measuring error."""
    stale_after_s: float = 5.0
    """Age at which a measurement counts as missing. Project's choice."""
    good_cycles: int = 3
    """Good measurements in a row before anything is approved. Project's choice."""
    lease_s: float = 5.0
    """How long an approved set-point holds without renewal. Project's choice."""
    reassert_s: float = 1.0
    """How often a safe command is repeated until it is verified. Project's choice."""

    def __post_init__(self) -> None:
        """Refuse limits that cross an outer bound or contradict one another."""
        faults = [*_bound_faults(self), *_order_faults(self)]
        if faults:
            raise ValueError("; ".join(faults))


class SafetyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What SafetyActor is told: where latches are kept, and every device it answers for."""

    state_dir: str
    """Folder of the latch journal; made if it does not exist."""
    devices: dict[str, DeviceLimits]
    """By device id. A device that is not named here is never approved anything."""
    max_ttl_s: float = 900.0
    """Longest time a set-point request may ask for. Project's choice: one market quarter-hour."""

    def __post_init__(self) -> None:
        """Refuse a life of requests that is no limit."""
        if not 1 <= self.max_ttl_s <= 3600:  # noqa: PLR2004 - the range is said in the message
            raise ValueError(
                f"safety.max_ttl_s = {self.max_ttl_s} is not allowed: expected 1 to 3600 s,"
                " because a forgotten request must end"
            )


def _bound_faults(limits: DeviceLimits) -> list[str]:
    faults = []
    for field, bound in OUTER_BOUNDS.items():
        value = getattr(limits, field)
        if not bound.low <= value <= bound.high:
            faults.append(
                f"{field} = {value} is not allowed: expected {bound.low:g} to {bound.high:g},"
                f" because {bound.why}"
            )
    return faults


def _order_faults(limits: DeviceLimits) -> list[str]:
    """Name the pairs that leave no room between them, hysteresis included."""
    soc_band, band = 2 * limits.soc_hysteresis_pct, 2 * limits.temperature_hysteresis_k
    pairs = (
        ("soc_min_pct", "soc_max_pct", soc_band, "both directions must open again in between"),
        ("charge_min_c", "charge_max_c", band, "charging must open again in between"),
        ("discharge_min_c", "discharge_max_c", band, "discharging must open again in between"),
        ("trip_low_c", "charge_min_c", 0.0, "a direction closes before the device trips"),
        ("trip_low_c", "discharge_min_c", 0.0, "a direction closes before the device trips"),
        ("charge_max_c", "trip_high_c", 0.0, "a direction closes before the device trips"),
        ("discharge_max_c", "trip_high_c", 0.0, "a direction closes before the device trips"),
    )
    return [
        f"{low} = {getattr(limits, low)} is not allowed: expected at most {high} - {room:g}"
        f" = {getattr(limits, high) - room:g}, because {why}"
        for low, high, room, why in pairs
        if getattr(limits, low) > getattr(limits, high) - room
    ]
