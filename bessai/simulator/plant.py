"""What surrounds the battery: PV, a load, the hybrid inverter and the grid meter, such that power and energy balance.

Battery and PV share the DC side; the inverter turns the DC surplus to AC (or the lack of it back) with one efficiency.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from random import Random

INVERTER_EFFICIENCY = 0.98
"""Model parameter, both directions."""
VARIATION_TIME_CONSTANT_S = 60.0


class Flows(msgspec.Struct, frozen=True, kw_only=True):
    """The powers of one instant, in watts."""

    pv_w: float
    load_w: float
    ac_w: float
    """Inverter output, + delivering to house and grid."""
    export_w: float
    """At the grid meter, + export, - import."""


def balance(*, pv_w: float, load_w: float, battery_w: float, rated_ac_w: float) -> Flows:
    """Return the flows for a battery at `battery_w` (+ charging); PV the inverter cannot carry is curtailed."""
    pv_w = max(min(pv_w, battery_w + rated_ac_w / INVERTER_EFFICIENCY), 0.0)
    dc_w = pv_w - battery_w
    ac_w = dc_w * INVERTER_EFFICIENCY if dc_w >= 0.0 else dc_w / INVERTER_EFFICIENCY
    return Flows(pv_w=pv_w, load_w=load_w, ac_w=ac_w, export_w=ac_w - load_w)


class Fluctuation:
    """A factor around 1 that wanders with a time constant of a minute; exactly 1 when `relative` is 0."""

    def __init__(self, random: Random, relative: float) -> None:
        """Wander with the relative standard deviation `relative`."""
        self._random = random
        self._relative = relative
        self._state = 0.0

    def step(self, dt_s: float) -> float:
        """Advance by `dt_s` seconds and return the factor, never negative."""
        if self._relative == 0.0:
            return 1.0
        keep = math.exp(-dt_s / VARIATION_TIME_CONSTANT_S)
        spread = self._relative * math.sqrt(1.0 - keep * keep)
        self._state = self._state * keep + self._random.gauss(0.0, spread)
        return max(1.0 + self._state, 0.0)


class EnergyCounters:
    """Energies since the start of the simulation, in watt-hours, each never falling."""

    def __init__(self) -> None:
        """Start at zero."""
        self.pv_wh = 0.0
        self.ac_yield_wh = 0.0
        self.exported_wh = 0.0
        self.imported_wh = 0.0
        self.charged_wh = 0.0
        self.discharged_wh = 0.0
        self.load_wh = 0.0
        self.inverter_loss_wh = 0.0

    def add(self, dt_s: float, flows: Flows, battery_w: float) -> None:
        """Count `dt_s` seconds of `flows` and of the battery at `battery_w`."""
        hours = dt_s / 3600.0
        self.pv_wh += flows.pv_w * hours
        self.ac_yield_wh += max(flows.ac_w, 0.0) * hours
        self.exported_wh += max(flows.export_w, 0.0) * hours
        self.imported_wh += max(-flows.export_w, 0.0) * hours
        self.charged_wh += max(battery_w, 0.0) * hours
        self.discharged_wh += max(-battery_w, 0.0) * hours
        self.load_wh += flows.load_w * hours
        self.inverter_loss_wh += (flows.pv_w - battery_w - flows.ac_w) * hours


class Plant:
    """PV, load, grid and counters of one device; `pv_w` and `load_w` are the mean values one may set."""

    def __init__(self, random: Random, *, rated_ac_w: float, variation: float) -> None:
        """Start without PV and load on a 230 V, 50 Hz grid."""
        self.pv_w = 0.0
        self.load_w = 0.0
        self.load_share = 1.0
        """What the hour makes of the mean load."""
        self.ambient_c = 25.0
        self.grid_voltage_v = 230.0
        self.grid_frequency_hz = 50.0
        self.rated_ac_w = rated_ac_w
        self.counters = EnergyCounters()
        self.peak_ac_w = 0.0
        self._pv = Fluctuation(random, variation)
        self._load = Fluctuation(random, variation)
        self._factors = (1.0, 1.0)
        self.flows = self._balance(0.0)

    @property
    def pv_now_w(self) -> float:
        """PV power available now, before the inverter curtails it."""
        return self.pv_w * self._factors[0]

    @property
    def load_now_w(self) -> float:
        """Load now."""
        return self.load_w * self.load_share * self._factors[1]

    def vary(self, dt_s: float) -> None:
        """Let PV and load wander for `dt_s` seconds."""
        self._factors = (self._pv.step(dt_s), self._load.step(dt_s))

    def settle(self, dt_s: float, battery_w: float) -> None:
        """Balance the powers around the battery at `battery_w` and count `dt_s` seconds of them."""
        self.flows = self._balance(battery_w)
        self.peak_ac_w = max(self.peak_ac_w, self.flows.ac_w)
        self.counters.add(dt_s, self.flows, battery_w)

    def _balance(self, battery_w: float) -> Flows:
        return balance(
            pv_w=self.pv_now_w,
            load_w=self.load_now_w,
            battery_w=battery_w,
            rated_ac_w=self.rated_ac_w,
        )
