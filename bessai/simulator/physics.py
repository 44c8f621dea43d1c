"""Battery physics: energy balance, voltage, heat and a first-order power response. Pure; no clock and no input/output.

The figures in `BatterySpec` are those of a plausible 15 kWh stack, chosen for this model; they are not a manufacturer's
data sheet. The power response is fitted to what users measured on a SUN2000 with LUNA2000: from rest 19.7 s to 90 % of
1 kW, and 11.3 s to reverse 1 kW, which is taken to mean 90 % of that step too.
"""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec

OCV_CURVE: tuple[tuple[float, float], ...] = (
    (0.0, 0.900),
    (5.0, 0.945),
    (10.0, 0.965),
    (20.0, 0.980),
    (50.0, 1.000),
    (80.0, 1.015),
    (90.0, 1.025),
    (95.0, 1.040),
    (100.0, 1.080),
)
"""Open-circuit voltage per nominal voltage against SOC in percent: flat in the middle, as LFP is."""

TAPER_SOC_PCT = 5.0
"""Width of the band near full and near empty in which the power limit falls."""
TAPER_FLOOR = 0.05
"""Share of the rated power left at the end of that band, so that full and empty can be reached."""

MIN_CHARGE_C, FULL_CHARGE_C = 0.0, 10.0
MIN_DISCHARGE_C, FULL_DISCHARGE_C = -10.0, 0.0
FULL_HOT_C, MAX_HOT_C = 45.0, 55.0

REST_W = 10.0
"""A battery below this power, of which no more is wanted, is at rest."""


class BatterySpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The constants of one battery; every field is a model parameter that can be configured."""

    capacity_wh: float = 15_000.0
    rated_charge_w: float = 5_000.0
    rated_discharge_w: float = 5_000.0
    charge_efficiency: float = 0.97
    """Share of the terminal power that is stored while charging, in (0, 1]."""
    discharge_efficiency: float = 0.97
    """Share of the power taken from storage that reaches the terminals, in (0, 1]."""
    nominal_voltage_v: float = 720.0
    internal_resistance_ohm: float = 1.0
    heat_capacity_j_per_k: float = 130_000.0
    thermal_resistance_k_per_w: float = 0.08
    response_time_constant_s: float = 4.9
    """First-order lag of the power; 0 follows at once, without the delay from rest."""
    start_delay_s: float = 8.4
    """How long a battery at rest takes before its power moves at all."""

    def __post_init__(self) -> None:
        """Refuse constants that have no physical meaning.

        Raises:
            ValueError: if a constant that must be positive is not, or an efficiency is outside (0, 1].
        """
        positive = (
            "capacity_wh",
            "rated_charge_w",
            "rated_discharge_w",
            "nominal_voltage_v",
            "heat_capacity_j_per_k",
            "thermal_resistance_k_per_w",
        )
        for name in positive:
            if getattr(self, name) <= 0.0:
                msg = f"battery {name}={getattr(self, name)} must be greater than 0"
                raise ValueError(msg)
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not 0.0 < getattr(self, name) <= 1.0:
                msg = f"battery {name}={getattr(self, name)} must be greater than 0 and at most 1"
                raise ValueError(msg)
        for name in ("response_time_constant_s", "start_delay_s", "internal_resistance_ohm"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"battery {name}={getattr(self, name)} must not be negative")


def open_circuit_voltage_v(soc_pct: float, nominal_voltage_v: float) -> float:
    """Return the open-circuit voltage in volts at `soc_pct`, strictly rising from 0 to 100 %."""
    soc_pct = min(max(soc_pct, 0.0), 100.0)
    for (low_pct, low), (high_pct, high) in pairwise(OCV_CURVE):
        if soc_pct <= high_pct:
            share = (soc_pct - low_pct) / (high_pct - low_pct)
            return nominal_voltage_v * (low + share * (high - low))
    return nominal_voltage_v * OCV_CURVE[-1][1]


def _ramp(value: float, zero_at: float, one_at: float) -> float:
    """Return 0 at `zero_at`, 1 at `one_at`, linear between and clamped outside."""
    return min(max((value - zero_at) / (one_at - zero_at), 0.0), 1.0)


def _taper(room_pct: float) -> float:
    """Return the share of rated power allowed when `room_pct` of SOC is left in that direction."""
    if room_pct <= 0.0:
        return 0.0
    return max(TAPER_FLOOR, min(room_pct / TAPER_SOC_PCT, 1.0))


class BatteryModel:
    """One battery, advanced by `step`. Power is positive while charging and negative while discharging."""

    def __init__(
        self,
        spec: BatterySpec | None = None,
        *,
        soc_pct: float = 50.0,
        temperature_c: float = 25.0,
    ) -> None:
        """Start at rest at `soc_pct` and `temperature_c`."""
        self.spec = spec or BatterySpec()
        self.temperature_c = temperature_c
        self.power_w = 0.0
        self.time_constant_s = self.spec.response_time_constant_s
        self.loss_wh = 0.0
        """Energy turned to heat since the start, in watt-hours."""
        self.charged_wh = 0.0
        self.discharged_wh = 0.0
        """Energies at the terminals since the start, in watt-hours."""
        self._waited_s = 0.0
        self.energy_wh = 0.0
        self.set_soc_pct(soc_pct)

    @property
    def soc_pct(self) -> float:
        """State of charge in percent of the capacity, 0 to 100."""
        return 100.0 * self.energy_wh / self.spec.capacity_wh

    def set_soc_pct(self, soc_pct: float) -> None:
        """Place the battery at `soc_pct`, clamped to 0 to 100 %."""
        self.energy_wh = self.spec.capacity_wh * min(max(soc_pct, 0.0), 100.0) / 100.0

    @property
    def current_a(self) -> float:
        """Terminal current in amperes, + charging: the root of power = (OCV + R·I)·I nearest to no load."""
        resistance, ocv = self.spec.internal_resistance_ohm, self._ocv_v()
        if resistance == 0.0:
            return self.power_w / ocv
        discriminant = max(ocv * ocv + 4.0 * resistance * self.power_w, 0.0)
        return (math.sqrt(discriminant) - ocv) / (2.0 * resistance)

    @property
    def voltage_v(self) -> float:
        """Terminal voltage in volts: above open-circuit while charging, below while discharging."""
        return self._ocv_v() + self.spec.internal_resistance_ohm * self.current_a

    @property
    def max_charge_w(self) -> float:
        """Largest charging power now, in watts (not negative): falls near full, when cold and when hot."""
        temperature = min(_ramp(self.temperature_c, MIN_CHARGE_C, FULL_CHARGE_C), self._hot())
        return self.spec.rated_charge_w * _taper(100.0 - self.soc_pct) * temperature

    @property
    def max_discharge_w(self) -> float:
        """Largest discharging power now, in watts (not negative): falls near empty, when cold and when hot."""
        temperature = min(_ramp(self.temperature_c, MIN_DISCHARGE_C, FULL_DISCHARGE_C), self._hot())
        return self.spec.rated_discharge_w * _taper(self.soc_pct) * temperature

    def step(self, dt_s: float, *, target_w: float, ambient_c: float) -> None:
        """Advance by `dt_s` seconds towards `target_w` in surroundings of `ambient_c`."""
        self._follow(dt_s, min(max(target_w, -self.max_discharge_w), self.max_charge_w))
        loss_w = self._store(dt_s)
        self._warm(dt_s, loss_w, ambient_c)

    def _ocv_v(self) -> float:
        return open_circuit_voltage_v(self.soc_pct, self.spec.nominal_voltage_v)

    def _hot(self) -> float:
        return _ramp(self.temperature_c, MAX_HOT_C, FULL_HOT_C)

    def _follow(self, dt_s: float, target_w: float) -> None:
        lag_s = self.time_constant_s
        share = 1.0 if lag_s <= 0.0 else -math.expm1(-self._awake_s(dt_s, target_w) / lag_s)
        self.power_w += (target_w - self.power_w) * share
        self.power_w = min(max(self.power_w, -self.max_discharge_w), self.max_charge_w)

    def _awake_s(self, dt_s: float, target_w: float) -> float:
        """Return how much of the next `dt_s` seconds the power moves: a battery at rest takes its time to start."""
        if abs(self.power_w) >= REST_W:
            self._waited_s = self.spec.start_delay_s
        elif abs(target_w) < REST_W:
            self._waited_s = 0.0
            return dt_s
        waits_s = min(self.spec.start_delay_s - self._waited_s, dt_s)
        self._waited_s += waits_s
        return dt_s - waits_s

    def _store(self, dt_s: float) -> float:
        """Move energy for `dt_s`, never past full or empty, and return the power lost as heat."""
        hours = dt_s / 3600.0
        if hours <= 0.0:
            return 0.0
        spec = self.spec
        room_w = (spec.capacity_wh - self.energy_wh) / hours / spec.charge_efficiency
        stock_w = self.energy_wh / hours * spec.discharge_efficiency
        self.power_w = min(max(self.power_w, -stock_w), room_w)
        stored_w = (
            self.power_w * spec.charge_efficiency
            if self.power_w > 0.0
            else self.power_w / spec.discharge_efficiency
        )
        self.energy_wh = min(max(self.energy_wh + stored_w * hours, 0.0), spec.capacity_wh)
        self.loss_wh += (self.power_w - stored_w) * hours
        if self.power_w > 0.0:
            self.charged_wh += self.power_w * hours
        else:
            self.discharged_wh -= self.power_w * hours
        return self.power_w - stored_w

    def _warm(self, dt_s: float, loss_w: float, ambient_c: float) -> None:
        """Relax towards the equilibrium temperature; exact for any step length."""
        spec = self.spec
        equilibrium_c = ambient_c + loss_w * spec.thermal_resistance_k_per_w
        time_constant_s = spec.thermal_resistance_k_per_w * spec.heat_capacity_j_per_k
        share = -math.expm1(-dt_s / time_constant_s)
        self.temperature_c += (equilibrium_c - self.temperature_c) * share
