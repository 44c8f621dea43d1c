"""What a device may do now, what is asked of it, and what is allowed of that: the guard's words."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from actors.messages import BatteryPowerW, Ruling, SafetyState
from actors.safety.rules import Holding


class PowerBound(NamedTuple):
    """The largest power in one direction, and which rule makes it so."""

    limit_w: float
    rule: str


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What a device may do now, and why not more."""

    device_id: str
    state: SafetyState
    may_charge: bool
    may_discharge: bool
    holdings: tuple[Holding, ...]
    """The rules that hold, closing or only lowering."""
    charge: PowerBound
    """Largest charging power, at least 0; 0 while charging is closed."""
    discharge: PowerBound
    """Largest discharging power as a positive number; 0 while discharging is closed."""
    valid_until_ns: int
    """Monotonic time after which the measurement behind this is stale; 0 without one."""
    setpoint_w: BatteryPowerW = 0.0
    """What was approved last, from which the ramp is counted."""
    step_w: float = 0.0
    """By how much a set-point may move away from 0 now."""
    inverter_epoch: int = 0
    """The InverterActor incarnation that measured last; 0 before the first."""
    power_w: BatteryPowerW | None = None
    """Battery power, or None if it is not known now."""
    forced: bool | None = None
    trip: Holding | None = None
    """The trip that latched in this very assessment."""

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that hold, as `name: figures`."""
        return tuple(holding.text for holding in self.holdings)

    @property
    def charge_limit_w(self) -> float:
        """Largest charging power, at least 0; 0 while charging is closed."""
        return self.charge.limit_w

    @property
    def discharge_limit_w(self) -> float:
        """Largest discharging power as a positive number; 0 while discharging is closed."""
        return self.discharge.limit_w

    def stopping(self) -> Holding | None:
        """Return the first rule that calls for the safe state, in which not even 0 W is approved; None without one."""
        return next((holding for holding in self.holdings if holding.commands), None)

    def closing(self, power_w: BatteryPowerW) -> Holding | None:
        """Return the first rule that closes the direction of `power_w`, or None if it is open."""
        for holding in self.holdings:
            if (holding.closes_charge and power_w > 0) or (
                holding.closes_discharge and power_w < 0
            ):
                return holding
        return None


class Setpoint(msgspec.Struct, frozen=True):
    """Battery power that somebody asks for. 0 W ends forced power; it needs a device that is well like any other."""

    device_id: str
    power_w: BatteryPowerW


class Stop(msgspec.Struct, frozen=True):
    """The safe state that somebody asks for: nothing is forced any more. Always allowed, and at once."""

    device_id: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed of a set-point: the rule that decided, the value it looked at and its limit."""

    ruling: Ruling
    power_w: BatteryPowerW = 0.0
    """What is approved; 0 where nothing is."""
    rule: str = ""
    value: float = 0.0
    limit: float = 0.0
    detail: str = ""


def denied(rule: str, detail: str) -> Verdict:
    """Return that nothing is allowed, by `rule` and whatever the figures."""
    return Verdict(ruling=Ruling.DENIED, rule=rule, detail=detail)
