"""The rules as data: which value, which limit, which direction it closes, and whether it trips.

Rules know nothing of time, devices or messages. `SafetyGuard` applies them to what a device reports.
"""

from __future__ import annotations

import enum
import math

import msgspec

from actors.safety.config import DeviceLimits


class Side(enum.Enum):
    """On which side of its limit a value is unsafe."""

    BELOW = "at or below"
    ABOVE = "at or above"


class Holding(msgspec.Struct, frozen=True):
    """A rule that holds now, with its figures."""

    rule: str
    figures: str
    closes_charge: bool
    closes_discharge: bool
    commands: bool = False
    """Whether it calls for the safe state even if the battery does not move."""

    @property
    def text(self) -> str:
        """The rule and its figures, as people read them."""
        return f"{self.rule}: {self.figures}"


class LimitRule(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of one measured value."""

    name: str
    point: str
    unit: str
    side: Side
    limit: float
    hysteresis: float = 0.0
    """How far the value must come back before the rule ceases to hold."""
    closes_charge: bool = False
    closes_discharge: bool = False
    trips: bool = False

    def holds(self, value: float, *, held: bool) -> bool:
        """Return whether the rule holds for `value`, given that it `held` before."""
        room = self.hysteresis if held else 0.0
        if self.side is Side.BELOW:
            return value <= self.limit or value < self.limit + room
        return value >= self.limit or value > self.limit - room

    def holding(self, value: float) -> Holding:
        """Return the record that this rule holds for `value`."""
        figures = f"{value:.1f} {self.unit}, limit {self.side.value} {self.limit:g} {self.unit}"
        return Holding(self.name, figures, self.closes_charge, self.closes_discharge)


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A value that must be there, and the range its sensor can mean."""

    point: str
    unit: str
    low: float
    high: float
    closes_charge: bool = True
    closes_discharge: bool = True

    def fault(self, value: object, reasons: tuple[str, ...]) -> str:
        """Return why `value` cannot be trusted, or an empty string; `reasons` are the device's own words."""
        if value is None:
            told = [reason for reason in reasons if reason.startswith(f"{self.point}:")]
            return told[0].partition(":")[2].strip() if told else "missing"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"is {type(value).__name__}, not a number"
        if not math.isfinite(value):
            return f"is {value}"
        if not self.low <= value <= self.high:
            return f"{value:g} {self.unit} is outside {self.low:g} to {self.high:g} {self.unit}"
        return ""

    def holding(self, fault: str) -> Holding:
        """Return the record that this value cannot be trusted."""
        closed = "charging" if self.closes_charge else "discharging"
        if self.closes_charge and self.closes_discharge:
            closed = "both directions"
        figures = f"{fault}, closes {closed}"
        return Holding(f"input_{self.point}", figures, self.closes_charge, self.closes_discharge)


INPUTS = (
    Input(point="soc_pct", unit="%", low=0, high=100),
    Input(point="battery_temperature_c", unit="degC", low=-60, high=120),
    Input(point="battery_power_w", unit="W", low=-2e6, high=2e6),
    Input(point="max_charge_w", unit="W", low=0, high=2e6, closes_discharge=False),
    Input(point="max_discharge_w", unit="W", low=0, high=2e6, closes_charge=False),
)
"""Ranges are the project's choice: wider than any battery, narrower than a register gone wrong."""


def limit_rules(limits: DeviceLimits) -> tuple[LimitRule, ...]:
    """Return the rules that `limits` stand for."""
    return (*_soc_rules(limits), *_temperature_rules(limits), *_device_rules())


def _soc_rules(limits: DeviceLimits) -> tuple[LimitRule, ...]:
    return (
        LimitRule(
            name="soc_min",
            point="soc_pct",
            unit="%",
            side=Side.BELOW,
            limit=limits.soc_min_pct,
            hysteresis=limits.soc_hysteresis_pct,
            closes_discharge=True,
        ),
        LimitRule(
            name="soc_max",
            point="soc_pct",
            unit="%",
            side=Side.ABOVE,
            limit=limits.soc_max_pct,
            hysteresis=limits.soc_hysteresis_pct,
            closes_charge=True,
        ),
    )


def _temperature_rules(limits: DeviceLimits) -> tuple[LimitRule, ...]:
    def rule(name: str, side: Side, limit_c: float, closes: str) -> LimitRule:
        return LimitRule(
            name=name,
            point="battery_temperature_c",
            unit="degC",
            side=side,
            limit=limit_c,
            hysteresis=limits.temperature_hysteresis_k,
            closes_charge=closes != "discharge",
            closes_discharge=closes != "charge",
            trips=closes == "trip",
        )

    return (
        rule("trip_cold", Side.BELOW, limits.trip_low_c, "trip"),
        rule("trip_hot", Side.ABOVE, limits.trip_high_c, "trip"),
        rule("charge_cold", Side.BELOW, limits.charge_min_c, "charge"),
        rule("charge_hot", Side.ABOVE, limits.charge_max_c, "charge"),
        rule("discharge_cold", Side.BELOW, limits.discharge_min_c, "discharge"),
        rule("discharge_hot", Side.ABOVE, limits.discharge_max_c, "discharge"),
    )


def _device_rules() -> tuple[LimitRule, ...]:
    """Return the rules of a device that itself allows nothing in a direction."""
    return (
        LimitRule(
            name="device_charge_limit",
            point="max_charge_w",
            unit="W",
            side=Side.BELOW,
            limit=0.0,
            closes_charge=True,
        ),
        LimitRule(
            name="device_discharge_limit",
            point="max_discharge_w",
            unit="W",
            side=Side.BELOW,
            limit=0.0,
            closes_discharge=True,
        ),
    )
