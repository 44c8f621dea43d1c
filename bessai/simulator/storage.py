"""The battery units of one device, which carry a common command between them."""

from __future__ import annotations

from bessai.simulator.physics import BatteryModel, BatterySpec


class Storage:
    """One battery unit, or two of a kind on one bus. Power is positive while charging."""

    def __init__(
        self, spec: BatterySpec, *, units: int, soc_pct: float, temperature_c: float
    ) -> None:
        """Start `units` batteries at rest, all at `soc_pct` and `temperature_c`."""
        self.units = tuple(
            BatteryModel(spec, soc_pct=soc_pct, temperature_c=temperature_c) for _ in range(units)
        )
        self._only = self.units[0] if units == 1 else None
        """The one unit that most devices have, so that hundreds of them are stepped without sums of one."""

    @property
    def power_w(self) -> float:
        """Power of all units."""
        if self._only is not None:
            return self._only.power_w
        return sum(unit.power_w for unit in self.units)

    @property
    def current_a(self) -> float:
        """Current of all units."""
        return sum(unit.current_a for unit in self.units)

    @property
    def voltage_v(self) -> float:
        """Voltage of the bus, which is the first unit's."""
        return self.units[0].voltage_v

    @property
    def capacity_wh(self) -> float:
        """Capacity of all units."""
        return sum(unit.spec.capacity_wh for unit in self.units)

    @property
    def soc_pct(self) -> float:
        """Common state of charge, 0 to 100 % of the whole capacity."""
        if self._only is not None:
            return self._only.soc_pct
        return 100.0 * sum(unit.energy_wh for unit in self.units) / self.capacity_wh

    @property
    def max_charge_w(self) -> float:
        """Largest charging power of all units now."""
        if self._only is not None:
            return self._only.max_charge_w
        return sum(unit.max_charge_w for unit in self.units)

    @property
    def max_discharge_w(self) -> float:
        """Largest discharging power of all units now."""
        if self._only is not None:
            return self._only.max_discharge_w
        return sum(unit.max_discharge_w for unit in self.units)

    def step(self, dt_s: float, *, target_w: float, ambient_c: float) -> None:
        """Advance by `dt_s` seconds; each unit takes the part of `target_w` that its limit is of the whole limit."""
        if self._only is not None:
            self._only.step(dt_s, target_w=target_w, ambient_c=ambient_c)
            return
        shares = self._shares(charging=target_w > 0.0)
        for unit, share in zip(self.units, shares, strict=True):
            unit.step(dt_s, target_w=target_w * share, ambient_c=ambient_c)

    def set_power_w(self, power_w: float) -> None:
        """Let the units run at `power_w` between them, in equal parts."""
        for unit in self.units:
            unit.power_w = power_w / len(self.units)

    def _shares(self, *, charging: bool) -> list[float]:
        limits = [unit.max_charge_w if charging else unit.max_discharge_w for unit in self.units]
        whole_w = sum(limits)
        return [limit / whole_w if whole_w > 0.0 else 0.0 for limit in limits]
