"""A simulated battery and plant as a poll shows them: rounded to the registers, some registers a little late."""

from __future__ import annotations

import random
from collections import deque

from actors.inverter.plausibility import Plausibility, names_of
from actors.inverter.plausibility_book import Checkup, PlausibilityBook
from bessai.simulator.physics import BatteryModel, BatterySpec
from bessai.simulator.plant import Plant
from tests.actors.inverter.driven import PROFILE

LUNA2000: Plausibility = PROFILE.plausibility
NAMES = tuple(sorted({name for rule in LUNA2000.rules() for name in names_of(rule)}))
DIGITS = {
    "soc_pct": 1,
    "battery_temperature_c": 1,
    "battery_voltage_v": 1,
    "battery_current_a": 1,
    "grid_frequency_hz": 2,
    "charged_today_kwh": 2,
    "discharged_today_kwh": 2,
    "exported_kwh": 2,
    "imported_kwh": 2,
}
LATE_S = 0.8
_STEP_S = 0.4

Values = dict[str, float | None]


class ReadBattery:
    """What the registers show of a battery beside PV and a load."""

    def __init__(
        self, spec: BatterySpec | None = None, *, soc_pct: float = 50.0, pv_w: float = 3000.0
    ) -> None:
        self.battery = BatteryModel(spec, soc_pct=soc_pct)
        self.plant = Plant(random.Random(1), rated_ac_w=20_000.0, variation=0.05)
        self.plant.pv_w, self.plant.load_w = pv_w, 800.0
        self.now_s = 0.0
        self._shown: deque[tuple[float, Values]] = deque([(0.0, self.values())])

    def step(self, dt_s: float, target_w: float) -> None:
        """Let `dt_s` pass."""
        until_s = self.now_s + dt_s
        while self.now_s < until_s - 1e-9:
            part_s = min(_STEP_S, until_s - self.now_s)
            self.plant.vary(part_s)
            self.battery.step(part_s, target_w=target_w, ambient_c=25.0)
            self.plant.settle(part_s, self.battery.power_w)
            self.now_s += part_s
            self._shown.append((self.now_s, self.values()))
        while len(self._shown) > 1 and self._shown[1][0] <= self.now_s - LATE_S:
            self._shown.popleft()

    def values(self) -> Values:
        """Return what the registers show now."""
        battery, flows, counters = self.battery, self.plant.flows, self.plant.counters
        exact = {
            "soc_pct": battery.soc_pct,
            "battery_temperature_c": battery.temperature_c,
            "battery_power_w": battery.power_w,
            "battery_voltage_v": battery.voltage_v,
            "battery_current_a": battery.current_a,
            "esu2_model": 0.0,
            "rated_capacity_wh": battery.spec.capacity_wh,
            "grid_frequency_hz": self.plant.grid_frequency_hz,
            "internal_temperature_c": self.plant.ambient_c + 10.0,
            "charged_today_kwh": counters.charged_wh / 1000.0,
            "discharged_today_kwh": counters.discharged_wh / 1000.0,
            "exported_kwh": counters.exported_wh / 1000.0,
            "imported_kwh": counters.imported_wh / 1000.0,
            "pv_power_w": flows.pv_w,
            "active_power_w": flows.ac_w,
        }
        shown: Values = {name: round(value, DIGITS.get(name, 0)) for name, value in exact.items()}
        return shown

    def values_with_late(self, *late: str) -> Values:
        """Return what the registers show, those in `late` as they were up to `LATE_S` ago."""
        old = self._shown[0][1]
        return self.values() | {name: old[name] for name in late}


class Judged:
    """A book that is asked by name and told time in seconds."""

    def __init__(self, spec: Plausibility = LUNA2000, names: tuple[str, ...] = NAMES) -> None:
        self.book = PlausibilityBook(Checkup(spec, names))
        self.names = names

    def check(self, values: Values, now_s: float) -> dict[str, str]:
        """Return the reasons by name."""
        row = [values.get(name) for name in self.names]
        found = self.book.check(row, int(now_s * 1e9))
        return {self.names[place]: why for place, why in found.items()}
