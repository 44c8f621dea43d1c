"""What flows through the site's connection to the grid, and how much more may: a limit across devices. Pure.

Each device may change its own power by an equal share of the room that is left, counted from what it does now: so all
of them together never ask for more than the room, whatever they ask for at once.
"""

from __future__ import annotations

from typing import NamedTuple

from actors.messages import Vitals
from actors.safety.config import SiteLimits
from actors.safety.inputs import METER
from actors.safety.rules import Action, Direction, Holding, Rule, Side
from supervision.clock import NS_PER_S

MARGIN = 0.05
MARGIN_W = 100.0
"""Batteries are led to this share, or at least this much, below a limit, so that control does not cross it. Project's
choice."""

SITE_RULES = (
    Rule(
        name="site_import",
        hazard="overload of the connection; charging from a grid that does not allow it",
        signal="site_import_w",
        unit="W",
        side=Side.ABOVE,
        limit="site_import_max_w",
        direction=Direction.CHARGE,
    ),
    Rule(
        name="site_export",
        hazard="overload of the connection; export beyond what is allowed",
        signal="site_export_w",
        unit="W",
        side=Side.ABOVE,
        limit="site_export_max_w",
        direction=Direction.DISCHARGE,
    ),
    Rule(
        name="site_import_room",
        hazard="overload of the connection; charging from a grid that does not allow it",
        signal="site_import_w",
        unit="W",
        side=Side.ABOVE,
        limit="site_import_max_w",
        direction=Direction.CHARGE,
        action=Action.DERATE,
    ),
    Rule(
        name="site_export_room",
        hazard="overload of the connection; export beyond what is allowed",
        signal="site_export_w",
        unit="W",
        side=Side.ABOVE,
        limit="site_export_max_w",
        direction=Direction.DISCHARGE,
        action=Action.DERATE,
    ),
)
"""Limits of the site: the first two close a direction, the others lead power to what the connection has room for."""


class SiteView(NamedTuple):
    """What the connection allows now. None is no limit."""

    charge_room_w: float | None = None
    """By how much each device may charge more than now; negative where it must charge less."""
    discharge_room_w: float | None = None
    holdings: tuple[Holding, ...] = ()


UNLIMITED = SiteView()


class _Meter:
    def __init__(self) -> None:
        self.power_w: float | None = None
        self.fault = "never read"
        self.mono_ns = 0


class _Side:
    """Import or export: its limit, and whether it closes a direction now."""

    def __init__(self, rule: Rule, limit_w: float | None) -> None:
        self._rule = rule
        self._limit_w = limit_w
        self._target_w = 0.0 if limit_w is None else limit_w - max(MARGIN * limit_w, MARGIN_W)
        self._holds = True

    def room_w(self, import_w: float | None, devices: int) -> float | None:
        """Return by how much each device may change its power; None is no limit, and 0 that nothing is known."""
        if self._limit_w is None:
            return None
        return 0.0 if import_w is None else (self._target_w - self._flow_w(import_w)) / devices

    def holding(self, import_w: float | None, fault: str) -> Holding | None:
        """Return the rule if it holds: from its limit on, and until the flow is where it is led to."""
        if self._limit_w is None:
            return None
        figures = fault
        if import_w is not None:
            flow_w = self._flow_w(import_w)
            self._holds = flow_w >= self._limit_w or (self._holds and flow_w > self._target_w)
            if not self._holds:
                return None
            figures = f"{flow_w:.0f} W, limit {self._rule.side.value} {self._limit_w:g} W"
        charges = self._rule.direction.charges
        return Holding(self._rule.name, figures, charges, not charges)

    def _flow_w(self, import_w: float) -> float:
        return import_w if self._rule.direction.charges else -import_w


class SiteWatch:
    """The meters of one connection, and its limits."""

    def __init__(self, limits: SiteLimits, *, devices: int, stale_ns: int) -> None:
        """Watch `limits` for so many `devices`; a meter that was read longer ago than `stale_ns` is not known."""
        self._limits = limits
        self._devices = max(devices, 1)
        self._stale_ns = stale_ns
        self._meters = {device: _Meter() for device in limits.meters}
        self._sides = (
            _Side(SITE_RULES[0], limits.import_max_w),
            _Side(SITE_RULES[1], limits.export_max_w),
        )
        self.closed: tuple[bool, bool] = (True, True)
        """Whether import closed charging and export closed discharging, when it was last looked at."""

    def note(self, vitals: Vitals) -> None:
        """Take in what the meter of a device says, if it measures the connection."""
        meter = self._meters.get(vitals.device_id)
        if meter is None:
            return
        value = vitals.grid_power_w
        meter.fault = METER.fault(value, vitals.faults)
        meter.power_w = None if meter.fault else value
        meter.mono_ns = vitals.grid_mono_ns

    def view(self, now_ns: int) -> SiteView:
        """Return what the connection allows at `now_ns`; what is not known is not allowed."""
        if not self._limits.is_set:
            return UNLIMITED
        import_w, fault = self._import_w(now_ns)
        charging, discharging = self._sides
        charge_w = charging.room_w(import_w, self._devices)
        discharge_w = discharging.room_w(import_w, self._devices)
        holdings = [h for side in self._sides if (h := side.holding(import_w, fault)) is not None]
        self.closed = (
            any(holding.closes_charge for holding in holdings),
            any(holding.closes_discharge for holding in holdings),
        )
        return SiteView(charge_w, discharge_w, tuple(holdings))

    def _import_w(self, now_ns: int) -> tuple[float | None, str]:
        """Return the import over all meters, or None and why it is not known."""
        if not self._meters:
            return None, "no meter measures the connection"
        total_w = 0.0
        for device, meter in self._meters.items():
            if meter.power_w is None:
                return None, f"the meter of {device} is not known: {meter.fault}"
            age_ns = now_ns - meter.mono_ns
            if age_ns > self._stale_ns:
                age_s = age_ns / NS_PER_S
                return None, f"the meter of {device} was read {age_s:.1f} s ago"
            total_w += meter.power_w
        return total_w, ""
