"""The vendor's storage control: working modes, the forced command with its countdown, caps and range checks. Pure.

A forced command (47100) runs for 47083 minutes when 47246 is 0 and then ends by itself, which is the device's own
dead-man; writing 47100 again restarts the countdown. With 47246 = 1 it runs until the SOC of 47101 is reached and has
no time-out. Assumed where no public text exists: 47083 keeps its value when a command ends, and a remote mode (47589)
overrides a forced command.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import assert_never

import msgspec

from bessai.simulator.plant import INVERTER_EFFICIENCY

FACTORY_SETTINGS: dict[str, float] = {
    "max_charging_power_w": 5_000,
    "max_discharging_power_w": 5_000,
    "charging_cutoff_soc_pct": 100.0,
    "discharge_cutoff_soc_pct": 5.0,
    "forced_period_min": 0,
    "working_mode": 2,
    "charge_from_grid": 1,
    "grid_charge_cutoff_soc_pct": 100.0,
    "forced_mode": 0,
    "forced_target_soc_pct": 0.0,
    "backup_soc_pct": 0.0,
    "grid_charge_power_w": 5_000,
    "max_grid_charge_power_w": 5_000,
    "forced_setting_mode": 0,
    "forced_charge_power_w": 0,
    "forced_discharge_power_w": 0,
    "excess_pv_in_tou": 0,
    "active_power_control_mode": 0,
    "max_feed_in_power_w": 10_000,
    "max_feed_in_pct": 100.0,
    "remote_control_mode": 0,
    "dongle_max_grid_charge_w": 30_000,
    "default_max_feed_in_power_w": 10_000,
}
"""Settings of a commissioned site: charging from the grid is allowed up to 100 % (a new device has 0 and 50 %)."""

STATIC_RANGES: dict[str, tuple[float, float]] = {
    "charging_cutoff_soc_pct": (90, 100),
    "discharge_cutoff_soc_pct": (0, 20),
    "forced_period_min": (0, 1440),
    "working_mode": (0, 5),
    "charge_from_grid": (0, 1),
    "grid_charge_cutoff_soc_pct": (20, 100),
    "forced_mode": (0, 2),
    "forced_target_soc_pct": (0, 100),
    "backup_soc_pct": (0, 100),
    "forced_setting_mode": (0, 1),
    "excess_pv_in_tou": (0, 1),
    "active_power_control_mode": (0, 7),
    "max_feed_in_power_w": (-1000, 100_000),
    "max_feed_in_pct": (0, 100),
    "remote_control_mode": (0, 4),
    "dongle_max_grid_charge_w": (0, 30_000),
}
"""Ranges that a write must keep, from the register document."""

CHARGE_BOUNDED = frozenset({"max_charging_power_w", "forced_charge_power_w"})
"""Bounded by the dynamic limit of 37046."""
DISCHARGE_BOUNDED = frozenset({"max_discharging_power_w", "forced_discharge_power_w"})
"""Bounded by the dynamic limit of 37048."""

ACTIVE_MODE_OF_WORKING_MODE = {0: 0, 1: 3, 2: 4, 3: 2, 4: 5, 5: 6}
"""37006 is numbered unlike its setter 47086."""
ACTIVE_MODE_FORCED = 1
ACTIVE_MODE_REMOTE_OFFSET = 6
"""47589 = 1 to 4 reads back as 37006 = 7 to 10."""


class ForcedMode(enum.IntEnum):
    """Values of 47100."""

    STOP = 0
    CHARGE = 1
    DISCHARGE = 2


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the control logic looks at, in watts and percent."""

    pv_w: float
    load_w: float
    soc_pct: float
    max_charge_w: float
    max_discharge_w: float


class StorageControl:
    """Settings and forced command of one device."""

    def __init__(self, settings: Mapping[str, float], *, countdown_s_per_min: float) -> None:
        """Start with the factory settings overlaid by `settings`; a minute of 47083 lasts `countdown_s_per_min`.

        Raises:
            ValueError: if a setting is unknown, listing the valid ones.
        """
        unknown = set(settings) - set(FACTORY_SETTINGS)
        if unknown:
            msg = f"unknown setting {sorted(unknown)}; valid: {', '.join(FACTORY_SETTINGS)}"
            raise ValueError(msg)
        self.settings = FACTORY_SETTINGS | dict(settings)
        self._countdown_s_per_min = countdown_s_per_min
        self._remaining_s = 0.0

    @property
    def forced(self) -> ForcedMode:
        """The forced command in force."""
        return ForcedMode(int(self.settings["forced_mode"]))

    @property
    def remaining_min(self) -> int:
        """Minutes left of the forced command, rounded up as 37025 shows them; 0 without a countdown."""
        if self.forced is ForcedMode.STOP or self._until_soc:
            return 0
        return math.ceil(self._remaining_s / self._countdown_s_per_min - 1e-9)

    @property
    def active_mode(self) -> int:
        """The mode that is really active, in the numbering of 37006."""
        remote = int(self.settings["remote_control_mode"])
        if remote:
            return remote + ACTIVE_MODE_REMOTE_OFFSET
        if self.forced is not ForcedMode.STOP:
            return ACTIVE_MODE_FORCED
        return ACTIVE_MODE_OF_WORKING_MODE[int(self.settings["working_mode"])]

    @property
    def _until_soc(self) -> bool:
        return self.settings["forced_setting_mode"] == 1

    def in_range(self, name: str, value: float, around: Surroundings) -> bool:
        """Tell whether a write of `value` to the setting `name` is accepted."""
        if name in CHARGE_BOUNDED:
            return 0 <= value <= math.floor(around.max_charge_w)
        if name in DISCHARGE_BOUNDED:
            return 0 <= value <= math.floor(around.max_discharge_w)
        if name == "grid_charge_power_w":
            return 0 <= value <= self.settings["max_grid_charge_power_w"]
        low, high = STATIC_RANGES.get(name, (-math.inf, math.inf))
        return low <= value <= high

    def apply(self, changes: Mapping[str, float]) -> None:
        """Take accepted writes; a write of 47100 starts, restarts or stops the forced command."""
        self.settings.update(changes)
        if "forced_mode" in changes:
            minutes = self.settings["forced_period_min"]
            self._remaining_s = minutes * self._countdown_s_per_min
            if minutes == 0 and not self._until_soc:
                self._end()

    def step(self, dt_s: float, soc_pct: float) -> None:
        """Run the countdown for `dt_s` seconds and end a forced command that is due."""
        if self.forced is ForcedMode.STOP:
            return
        if self._until_soc:
            self._end_at_target(soc_pct)
            return
        self._remaining_s -= dt_s
        if self._remaining_s <= 0.0:
            self._end()

    def target_w(self, around: Surroundings) -> float:
        """Return the battery power wanted now, + charging, within caps, cut-offs and the grid-charge rules."""
        wanted_w = self._wanted_w(around)
        if wanted_w > 0.0:
            return min(wanted_w, self._charge_ceiling_w(around))
        return max(wanted_w, -self._discharge_ceiling_w(around))

    def _wanted_w(self, around: Surroundings) -> float:
        if self.settings["remote_control_mode"] == 0:
            match self.forced:
                case ForcedMode.CHARGE:
                    return self.settings["forced_charge_power_w"]
                case ForcedMode.DISCHARGE:
                    return -self.settings["forced_discharge_power_w"]
                case ForcedMode.STOP:
                    pass
                case _:
                    assert_never(self.forced)
        if self.active_mode in {0, 4, 7}:
            return around.pv_w - around.load_w / INVERTER_EFFICIENCY
        return 0.0

    def _charge_ceiling_w(self, around: Surroundings) -> float:
        settings = self.settings
        if around.soc_pct >= settings["charging_cutoff_soc_pct"]:
            return 0.0
        grid_w = 0.0
        if (
            settings["charge_from_grid"] == 1
            and around.soc_pct < settings["grid_charge_cutoff_soc_pct"]
        ):
            grid_w = min(
                settings["grid_charge_power_w"],
                settings["max_grid_charge_power_w"],
                settings["dongle_max_grid_charge_w"],
            )
        return min(settings["max_charging_power_w"], around.max_charge_w, around.pv_w + grid_w)

    def _discharge_ceiling_w(self, around: Surroundings) -> float:
        if around.soc_pct <= self.settings["discharge_cutoff_soc_pct"]:
            return 0.0
        return min(self.settings["max_discharging_power_w"], around.max_discharge_w)

    def _end_at_target(self, soc_pct: float) -> None:
        target = self.settings["forced_target_soc_pct"]
        reached = soc_pct >= target if self.forced is ForcedMode.CHARGE else soc_pct <= target
        if reached:
            self._end()

    def _end(self) -> None:
        self.settings["forced_mode"] = ForcedMode.STOP
        self._remaining_s = 0.0
