"""How a simulated SunSpec storage takes commands: models 124 and 704 with their ranges and their own timers. Pure.

Model 704's WSet is the power of the whole device at the grid, + delivering. Model 124's rates are percent of WChaMax;
while a rate is active it is the power itself, or, on a device whose rates are limits, the end of the range in which the
device is free: there a negative rate of the other direction forces. Assumed where the models leave it open: a write of
a rate, a mode or a timer starts the timer again, 704 goes before 124, and what a timer ends falls back to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from bessai.simulator.plant import INVERTER_EFFICIENCY
from bessai.simulator.storage_control import Surroundings

CHARGE, DISCHARGE = 1, 2
"""Bits of 124.StorCtl_Mod."""
WATTS = 1
"""Of 704.WSetMod; 0 is percent."""
LONGEST_S = 65_534
SETTINGS: dict[str, float] = {
    "124.StorCtl_Mod": 0,
    "124.OutWRte": 100.0,
    "124.InWRte": 100.0,
    "124.InOutWRte_WinTms": 0,
    "124.InOutWRte_RvrtTms": 0,
    "124.InOutWRte_RmpTms": 0,
    "124.ChaGriSet": 1,
    "124.MinRsvPct": 5.0,
    "704.WSetEna": 0,
    "704.WSetMod": WATTS,
    "704.WSet": 0,
    "704.WSetRvrt": 0,
    "704.WSetPct": 0,
    "704.WSetPctRvrt": 0,
    "704.WSetEnaRvrt": 0,
    "704.WSetRvrtTms": 0,
}
"""What may be written, as a commissioned device has it."""

_RANGES: dict[str, tuple[float, float]] = {
    "124.StorCtl_Mod": (0, 3),
    "124.OutWRte": (-100, 100),
    "124.InWRte": (-100, 100),
    "124.InOutWRte_WinTms": (0, 300),
    "124.InOutWRte_RvrtTms": (0, LONGEST_S),
    "124.InOutWRte_RmpTms": (0, 600),
    "124.ChaGriSet": (0, 1),
    "124.MinRsvPct": (0, 100),
    "704.WSetEna": (0, 1),
    "704.WSetMod": (0, 1),
    "704.WSetPct": (-100, 100),
    "704.WSetPctRvrt": (-100, 100),
    "704.WSetEnaRvrt": (0, 1),
    "704.WSetRvrtTms": (0, LONGEST_S),
}
_RESTART_124 = frozenset({"124.StorCtl_Mod", "124.OutWRte", "124.InWRte", "124.InOutWRte_RvrtTms"})
_RESTART_704 = frozenset({"704.WSetEna", "704.WSet", "704.WSetPct", "704.WSetRvrtTms"})


class SunSpecControl:
    """Settings and timers of one device."""

    def __init__(
        self,
        settings: Mapping[str, float],
        *,
        rated_charge_w: float,
        rated_ac_w: float,
        rates_are_limits: bool = False,
        countdown_s_per_min: float = 60.0,
    ) -> None:
        """Start with the commissioned settings overlaid by `settings`.

        Raises:
            ValueError: a setting is unknown.
        """
        unknown = set(settings) - set(SETTINGS)
        if unknown:
            msg = f"unknown setting {sorted(unknown)}; valid: {', '.join(SETTINGS)}"
            raise ValueError(msg)
        self.settings = SETTINGS | dict(settings)
        self._full_w = rated_charge_w
        self._rated_ac_w = rated_ac_w
        self._limits_only = rates_are_limits
        self._pace = 60.0 / countdown_s_per_min if countdown_s_per_min > 0 else math.inf
        self._left_s = {124: math.inf, 704: math.inf}

    @property
    def remaining_s(self) -> float:
        """Seconds of the device's clock until the command in force ends by itself; infinite without a timer."""
        return self._left_s[704 if self.settings["704.WSetEna"] else 124]

    @property
    def forced(self) -> int:
        """1 while charging is forced, 2 while discharging is, 0 otherwise."""
        settings = self.settings
        if settings["704.WSetEna"]:
            return _direction(-self._set_w)
        mode, inward, outward = (settings[f"124.{n}"] for n in ("StorCtl_Mod", "InWRte", "OutWRte"))
        if self._limits_only:
            charging = int(mode) & DISCHARGE and outward < 0
            return CHARGE if charging else DISCHARGE * bool(int(mode) & CHARGE and inward < 0)
        return int(mode) if mode in {CHARGE, DISCHARGE} else 0

    @property
    def _set_w(self) -> float:
        settings = self.settings
        if settings["704.WSetMod"] == WATTS:
            return settings["704.WSet"]
        return settings["704.WSetPct"] / 100.0 * self._rated_ac_w

    def in_range(self, name: str, value: float) -> bool:
        """Return whether a write of `value` to the setting `name` is accepted."""
        low, high = _RANGES.get(name, (-self._rated_ac_w, self._rated_ac_w))
        return low <= value <= high

    def apply(self, changes: Mapping[str, float]) -> None:
        """Take accepted writes; those that belong to a command start its timer again."""
        self.settings.update(changes)
        if _RESTART_124 & set(changes):
            self._left_s[124] = self.settings["124.InOutWRte_RvrtTms"] or math.inf
        if _RESTART_704 & set(changes):
            self._left_s[704] = self.settings["704.WSetRvrtTms"] or math.inf

    def step(self, dt_s: float) -> None:
        """Run the timers for `dt_s` seconds and end what is due."""
        for model in self._left_s:
            self._left_s[model] -= dt_s * self._pace
        if self._left_s[124] <= 0:
            self._left_s[124] = math.inf
            self.settings |= {"124.StorCtl_Mod": 0, "124.InWRte": 100.0, "124.OutWRte": 100.0}
        if self._left_s[704] <= 0:
            self._left_s[704] = math.inf
            self._revert()

    def target_w(self, around: Surroundings) -> float:
        """Return the battery power that is wanted now, + charging."""
        wanted_w = self._wanted_w(around)
        if wanted_w > 0:
            grid_w = around.max_charge_w if self.settings["124.ChaGriSet"] else 0.0
            return min(wanted_w, around.max_charge_w, around.pv_w + grid_w)
        if around.soc_pct <= self.settings["124.MinRsvPct"]:
            return 0.0
        return max(wanted_w, -around.max_discharge_w)

    def _wanted_w(self, around: Surroundings) -> float:
        if self.settings["704.WSetEna"]:
            ac_w = self._set_w
            dc_w = ac_w / INVERTER_EFFICIENCY if ac_w >= 0 else ac_w * INVERTER_EFFICIENCY
            return around.pv_w - dc_w
        free_w = around.pv_w - around.load_w / INVERTER_EFFICIENCY
        mode = int(self.settings["124.StorCtl_Mod"])
        inward_w = self.settings["124.InWRte"] / 100.0 * self._full_w
        outward_w = self.settings["124.OutWRte"] / 100.0 * self._full_w
        if not self._limits_only and mode == CHARGE:
            return inward_w
        if not self._limits_only and mode == DISCHARGE:
            return -outward_w
        if mode & DISCHARGE:
            free_w = max(free_w, -outward_w)
        if mode & CHARGE:
            free_w = min(free_w, inward_w)
        return free_w

    def _revert(self) -> None:
        settings = self.settings
        settings["704.WSet"] = settings["704.WSetRvrt"]
        settings["704.WSetPct"] = settings["704.WSetPctRvrt"]
        settings["704.WSetEna"] = settings["704.WSetEnaRvrt"]


def _direction(power_w: float) -> int:
    """Return 1 for charging, 2 for discharging, 0 for neither."""
    return 0 if power_w == 0 else CHARGE if power_w > 0 else DISCHARGE
