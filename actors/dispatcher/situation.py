"""What a decision is made from, and what it is: values only, so that every policy can be tested without an actor."""

from __future__ import annotations

import enum
import math

import msgspec

from actors.dispatcher.config import DispatchedDevice
from actors.dispatcher.prices import Outlook
from actors.messages import BatteryPowerW


class Policy(enum.Enum):
    """Who decided."""

    ONNX = "onnx"
    TIME_OF_USE = "time_of_use"
    HOLD = "hold"


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a battery and of the prices at the moment of a decision."""

    device: DispatchedDevice
    outlook: Outlook
    soc_pct: float | None = None
    max_charge_w: float | None = None
    """The device's own limit at this moment, or None if it tells none."""
    max_discharge_w: float | None = None
    """As `max_charge_w`, a positive number."""
    may_charge: bool = True
    may_discharge: bool = True

    @property
    def usable_soc(self) -> float | None:
        """Charge between the device's working limits, 0 to 1; None if unknown or impossible."""
        if self.soc_pct is None or not 0 <= self.soc_pct <= 100:  # noqa: PLR2004 - percent
            return None
        span = self.device.soc_max_pct - self.device.soc_min_pct
        return min(max((self.soc_pct - self.device.soc_min_pct) / span, 0.0), 1.0)

    @property
    def charge_limit_w(self) -> float:
        """The most that may be asked for now while charging."""
        return self._limit_w(self.max_charge_w) if self.may_charge else 0.0

    @property
    def discharge_limit_w(self) -> float:
        """The most that may be asked for now while discharging, a positive number."""
        return self._limit_w(self.max_discharge_w) if self.may_discharge else 0.0

    def _limit_w(self, told_w: float | None) -> float:
        rated_w = self.device.rated_power_w
        if told_w is None:
            return rated_w
        return min(told_w, rated_w) if told_w > 0 else 0.0


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask SafetyActor for, and why."""

    policy: Policy
    power_w: BatteryPowerW
    reason: str


def within_limits(situation: Situation, power_w: BatteryPowerW) -> BatteryPowerW:
    """Return `power_w` cut to what may be asked for: nothing into a full battery, nothing out of an empty one."""
    soc = situation.usable_soc
    if soc is None or not math.isfinite(power_w):
        return 0.0
    upper = situation.charge_limit_w if soc < 1 else 0.0
    lower = -situation.discharge_limit_w if soc > 0 else 0.0
    return min(max(power_w, lower), upper)
