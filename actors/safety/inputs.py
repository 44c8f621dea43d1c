"""What the guard must know of a battery, and when it does not know it: the second look at every value.

The InverterActor judged these values already, by the profile of the device. The guard looks again and trusts no
sender: type, finiteness and range of each value hold whatever a profile says (docs/adr/0016).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import msgspec

from actors.messages import Vitals
from actors.safety.rules import Direction, Holding

_SHOWN = 1e300


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A value that must be there, and the range its sensor can mean."""

    point: str
    unit: str
    low: float
    high: float
    direction: Direction = Direction.BOTH
    """What is closed while it cannot be trusted."""
    extreme: str = ""
    """The point that holds the other extreme where a battery has several units; as if equal while it is None."""
    worse: Callable[[float, float], float] = max
    """Which of both is the extreme, so that one that contradicts the value opens nothing."""
    optional: bool = False
    """Whether a device may be without it. One that had it and has it no more cannot be trusted."""
    grid: bool = False
    """Whether it is read with the rest of the poll, and so has an age of its own."""

    @property
    def rule(self) -> str:
        """The name under which it is told that the value cannot be trusted."""
        return f"input_{self.point}"

    def fault(self, value: object, reasons: tuple[str, ...]) -> str:
        """Return why `value` cannot be trusted, or an empty string; `reasons` are the device's own words."""
        kind = type(value)
        if kind is float or kind is int:
            if self.low <= value <= self.high:  # type: ignore[operator]  # it is a number; NaN is in no range
                return ""
            return self._outside(value)  # type: ignore[arg-type]  # as above
        if value is None:
            told = [reason for reason in reasons if reason.startswith(f"{self.point}:")]
            return told[0].partition(":")[2].strip() if told else "missing"
        return f"is {kind.__name__}, not a number"

    def _outside(self, value: float) -> str:
        if value != value or abs(value) == math.inf:  # noqa: PLR0124 - `isfinite` stumbles over large whole numbers
            return f"is {value}"
        shown = max(min(value, _SHOWN), -_SHOWN)  # a whole number may be too large for any format
        return f"{shown:.6g} {self.unit} is outside {self.low:g} to {self.high:g} {self.unit}"

    def holding(self, fault: str) -> Holding:
        """Return the record that this value cannot be trusted."""
        figures = f"{fault}, closes {self.direction.value}"
        return Holding(self.rule, figures, self.direction.charges, self.direction.discharges)


INPUTS = (
    Input(point="soc_pct", unit="%", low=0, high=100, extreme="soc_high_pct", worse=max),
    Input(
        point="battery_temperature_c",
        unit="degC",
        low=-60,
        high=120,
        extreme="battery_temperature_low_c",
        worse=min,
    ),
    Input(point="battery_power_w", unit="W", low=-2e6, high=2e6),
    Input(point="max_charge_w", unit="W", low=0, high=2e6, direction=Direction.CHARGE),
    Input(point="max_discharge_w", unit="W", low=0, high=2e6, direction=Direction.DISCHARGE),
    Input(point="battery_voltage_v", unit="V", low=0, high=2000, optional=True),
    Input(point="battery_current_a", unit="A", low=-5000, high=5000, optional=True),
    Input(point="grid_frequency_hz", unit="Hz", low=0, high=100, optional=True, grid=True),
    Input(point="grid_voltage_v", unit="V", low=0, high=2000, optional=True, grid=True),
)
"""Ranges are the project's choice: wider than any battery, narrower than a register gone wrong."""

GRID_POINTS = frozenset(wanted.point for wanted in INPUTS if wanted.grid)

METER = Input(point="grid_power_w", unit="W", low=-1e8, high=1e8)
"""Only the meters that measure a limited connection are looked at, and those must be there: `site`."""


class Readout(msgspec.Struct, frozen=True):
    """What one measurement said."""

    values: dict[str, float]
    faults: tuple[Holding, ...]
    has_grid: bool
    """Whether values of the grid are among them, whose age counts."""


class Reader:
    """Takes the values of one device out of its vitals, and remembers what it was seen to have."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._seen: frozenset[str] = frozenset()

    def forget(self) -> None:
        """Begin anew: another incarnation of the InverterActor may measure another device."""
        self._seen = frozenset()

    def read(self, vitals: Vitals) -> Readout:
        """Return what `vitals` say, and what in them cannot be trusted."""
        values: dict[str, float] = {}
        faults: list[Holding] = []
        has_grid = False
        for wanted in INPUTS:
            value: Any = getattr(vitals, wanted.point)
            if wanted.optional and self._is_absent(wanted.point, value, vitals):
                continue
            fault = wanted.fault(value, vitals.faults)
            if wanted.extreme and not fault:
                told: Any = getattr(vitals, wanted.extreme)
                other: Any = value if told is None else told
                fault = wanted.fault(other, ())
                values[wanted.extreme] = other if fault else wanted.worse(value, other)
            if fault:
                values.pop(wanted.extreme, None)
                faults.append(wanted.holding(fault))
                continue
            values[wanted.point] = value
            has_grid |= wanted.grid
        if not values.keys() <= self._seen:
            self._seen = _shared(self._seen.union(values))
        return Readout(values, tuple(faults), has_grid)

    def _is_absent(self, point: str, value: object, vitals: Vitals) -> bool:
        return value is None and point in vitals.absent and point not in self._seen


@functools.cache
def _shared(names: frozenset[str]) -> frozenset[str]:
    """Return one object for all devices that were seen to have `names`."""
    return names
