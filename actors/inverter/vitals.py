"""Makes one vital of what several battery units say: the whole for flows, the extremes for states.

A unit that exists counts, or nothing does: a vital that one of them cannot give is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from actors.inverter.profile import GRID_POINTS, Condition, Profile
from actors.messages import Vitals
from supervision.actor import ActorContext

_Look = Callable[["Unit"], tuple[float | None, str]]


class Unit(NamedTuple):
    """One point that makes a vital, or a part of it."""

    name: str
    place: int
    """In the sample."""
    conditions: tuple[Condition, ...]
    """What must hold for the unit to exist."""


_COMBINE: Mapping[str, Callable[[Sequence[float]], float]] = {
    "soc_pct": min,
    "battery_temperature_c": max,
    "battery_power_w": sum,
    "battery_voltage_v": fmean,  # the units hang on one bus
    "battery_current_a": sum,
    "max_charge_w": sum,
    "max_discharge_w": sum,
}
_OTHER_EXTREME: Mapping[str, tuple[str, Callable[[Sequence[float]], float]]] = {
    "soc_pct": ("soc_high_pct", max),
    "battery_temperature_c": ("battery_temperature_low_c", min),
}


def units_of(profile: Profile, places: Mapping[str, int]) -> dict[str, tuple[Unit, ...]]:
    """Return by vital the points that make it; one object for all devices that share `profile`."""
    if "units" not in profile.memo:
        profile.memo["units"] = {
            vital: tuple(_unit(name, profile, places) for name in names)
            for vital, names in profile.vital_points().items()
        }
    units: dict[str, tuple[Unit, ...]] = profile.memo["units"]
    return units


def grid_units_of(profile: Profile, places: Mapping[str, int]) -> tuple[Unit, ...]:
    """Return the points that tell of the grid."""
    return tuple(_unit(name, profile, places) for name in profile.grid_points())


def _unit(name: str, profile: Profile, places: Mapping[str, int]) -> Unit:
    conditions = (profile.homes[name].only_if, profile.points[name].only_if)
    return Unit(name, places[name], tuple(each for each in conditions if each is not None))


def gather_grid(
    units: Sequence[Unit], look: _Look
) -> tuple[dict[str, float | None], list[str], list[str]]:
    """Return what is known of the grid, why the rest is unknown, and what the device does not tell at all."""
    numbers: dict[str, float | None] = {}
    faults: list[str] = []
    absent = [name for name in GRID_POINTS if all(unit.name != name for unit in units)]
    for unit in units:
        value, reason = look(unit)
        numbers[unit.name] = value
        if reason:
            faults.append(f"{unit.name}: {reason}")
        elif value is None:
            absent.append(unit.name)
    return numbers, faults, absent


def blind_vitals(context: ActorContext, device_id: str, seq: int, why: str) -> Vitals:
    """Return what is told of a device of which not even the profile is known yet."""
    clock = context.clock
    return Vitals(
        device_id=device_id,
        seq=seq,
        epoch=context.epoch,
        wall_ns=clock.wall_ns(),
        mono_ns=clock.monotonic_ns(),
        faults=(f"device: {why}",),
    )


def gather(
    units: Mapping[str, tuple[Unit, ...]], look: _Look
) -> tuple[dict[str, float | None], list[str]]:
    """Return the vitals by their names in `Vitals`, and why those are unknown that are.

    `look` gives a unit's value, or None and why; an empty reason says that there is no such unit.
    """
    numbers: dict[str, float | None] = {}
    faults: list[str] = []
    for vital, parts in units.items():
        found: list[float] = []
        wrong: list[str] = []
        for part in parts:
            value, reason = look(part)
            if value is not None:
                found.append(value)
            elif reason:
                wrong.append(f"{part.name}: {reason}")
        if not (found or wrong):
            wrong.append(f"{vital}: there is no unit that tells it")
        faults += wrong
        numbers[vital] = None if wrong else _COMBINE[vital](found)
        if vital in _OTHER_EXTREME and len(found) > 1 and not wrong:
            name, extreme = _OTHER_EXTREME[vital]
            numbers[name] = extreme(found)
    return numbers, faults
