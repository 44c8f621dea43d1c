"""One simulated device: battery, plant, storage control and registers, advanced by `step`, reached by read and write.

It has no socket and no clock of its own; `server` gives it the one and `site` the other.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Mapping

import msgspec

from bessai.simulator import measurements
from bessai.simulator.daybook import Daybook
from bessai.simulator.device_state import set_state
from bessai.simulator.device_writes import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    RefusedError,
    decode_write,
)
from bessai.simulator.huawei_map import HUAWEI, MAX_PACKS, MAX_STRINGS, MAX_UNITS, TABLES
from bessai.simulator.huawei_quirks import HangUpError, apart, touches_meter
from bessai.simulator.image import Layout, RegisterImage
from bessai.simulator.late_settings import LateSettings
from bessai.simulator.physics import BatteryModel, BatterySpec
from bessai.simulator.plant import Plant
from bessai.simulator.record import DeviceRecord, TruthRecord
from bessai.simulator.rest import DARK_W, Rest
from bessai.simulator.storage import Storage
from bessai.simulator.storage_control import FACTORY_SETTINGS, StorageControl, Surroundings
from bessai.simulator.weather import Weather

__all__ = ["ILLEGAL_ADDRESS", "ILLEGAL_VALUE", "DeviceConfig", "RefusedError", "SimulatedDevice"]

_INSTANTANEOUS = measurements.instantaneous()


ONLY_HUAWEI = (
    *("battery_units", "packs", "pv_strings", "meter"),
    *("time_zone_min", "settings_late_s", "standby_after_s"),
)
"""Start values that other kinds of devices do not know."""


class DeviceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a device starts."""

    battery: BatterySpec = msgspec.field(default_factory=BatterySpec)
    soc_pct: float = 50.0
    temperature_c: float = 25.0
    ambient_c: float = 25.0
    pv_w: float = 0.0
    load_w: float = 0.0
    rated_power_w: float = 10_000.0
    variation: float = 0.0
    """Relative standard deviation of the wandering of PV and load; 0 keeps them constant."""
    countdown_s_per_min: float = 60.0
    """Seconds that a minute of the forced-command countdown lasts."""
    settings: dict[str, float] = {}
    """Storage-control registers by name that differ from the commissioned defaults."""
    pv_peak_w: float = 0.0
    """PV power by sun and clouds instead of `pv_w`: that at 1000 W/m² on the level; 0 keeps `pv_w`."""
    latitude_deg: float = 40.0
    cloud_cover: float = 0.0
    """Share of the time in which clouds cover the sun, 0 to 1."""
    household: int = 0
    """Whether the load follows a household's day, with `load_w` as its mean."""
    clock_s: float = 0.0
    """Seconds since 1970 on the device's local clock at the start; 0 takes this machine's."""
    # From here on what only a SUN2000 has: see `of_any_kind`.
    battery_units: int = 1
    """Battery units like `battery`, 1 or 2."""
    packs: int = 1
    """Packs of each battery unit, 1 to 3."""
    pv_strings: int = 2
    """PV strings, 1 to 24, two to a tracker."""
    meter: int = 1
    """Whether there is a grid meter; without one the device closes connections that ask what it measures."""
    time_zone_min: int = 0
    """Minutes that the device's clock is ahead of UTC."""
    settings_late_s: float = 0.0
    """How long written settings go on reading as before."""
    standby_after_s: float = 0.0
    """Dark and idle seconds until the inverter goes to standby and an empty battery sleeps; 0 never does."""

    def __post_init__(self) -> None:
        """Refuse a device that cannot be.

        Raises:
            ValueError: naming the field, its value and its range.
        """
        ranges: tuple[tuple[str, float, float], ...] = (
            ("battery_units", 1, MAX_UNITS),
            ("packs", 1, MAX_PACKS),
            ("pv_strings", 1, MAX_STRINGS),
            ("meter", 0, 1),
            ("pv_peak_w", 0, 100_000),
            ("latitude_deg", -90, 90),
            ("cloud_cover", 0, 1),
            ("household", 0, 1),
            ("clock_s", 0, 2**32 - 1),
            ("time_zone_min", -720, 840),
            ("settings_late_s", 0, 3600),
            ("standby_after_s", 0, 86_400),
        )
        for name, low, high in ranges:
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name}={getattr(self, name):g} must be {low:g} to {high:g}")

    def of_any_kind(self) -> None:
        """Refuse what only a SUN2000 has.

        Raises:
            ValueError: naming the field.
        """
        for name in ONLY_HUAWEI:
            if getattr(self, name) != getattr(DeviceConfig(), name):
                raise ValueError(
                    f"{name}={getattr(self, name):g} is for devices of the kind huawei"
                )

    def weather(self, draw: random.Random) -> Weather:
        """Return what sun, clouds and the hour make of PV and load; clouds are drawn from `draw`."""
        return Weather(
            draw,
            peak_w=self.pv_peak_w,
            latitude_deg=self.latitude_deg,
            cover=self.cloud_cover,
            household_load=bool(self.household),
        )


class SimulatedDevice:
    """A SUN2000-10KTL-M1 with a LUNA2000 behind it."""

    def __init__(
        self,
        name: str,
        config: DeviceConfig,
        *,
        seed: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Start `name` as `config` says; `seed` decides its serial number and how PV and load wander."""
        self.name = name
        self._wall_ns = wall_ns
        self.storage: Storage = Storage(
            config.battery,
            units=config.battery_units,
            soc_pct=config.soc_pct,
            temperature_c=config.temperature_c,
        )
        self.battery: BatteryModel = self.storage.units[0]
        """The first battery unit."""
        self.plant: Plant = Plant(
            random.Random(f"{seed}/{name}"),
            rated_ac_w=config.rated_power_w,
            variation=config.variation,
        )
        self.plant.pv_w, self.plant.load_w = config.pv_w, config.load_w
        self.plant.ambient_c = config.ambient_c
        self.weather = config.weather(random.Random(f"{seed}/{name}/weather"))
        self.control = StorageControl(
            _commissioned(config), countdown_s_per_min=config.countdown_s_per_min
        )
        self.late: LateSettings = LateSettings(config.settings_late_s)
        self.rest = Rest(after_s=config.standby_after_s)
        self.at_dusk: dict[str, float] = {}
        """What the inverter said of itself when it was last light."""
        self.meter = bool(config.meter)
        self.packs, self.pv_strings = config.packs, config.pv_strings
        self.time_zone_min = config.time_zone_min
        self.alarms: dict[str, int] = {"alarm_1": 0, "alarm_2": 0, "alarm_3": 0}
        self.record = DeviceRecord(name)
        self.sim_time_s = 0.0
        self.steps = 0
        self.serial_number = f"SIM{seed:05d}-{name}"[:20]
        self.clock_s = config.clock_s or wall_ns() / 1e9 + 60.0 * config.time_zone_min
        self.totals = _totals(self.plant, self.storage)
        self.daybook = Daybook(self.clock_s, self.totals)
        self.plant.settle(0.0, 0.0)
        fixed = measurements.identity(
            self.serial_number,
            config.rated_power_w,
            units=config.battery_units,
            packs=config.packs,
            strings=config.pv_strings,
        )
        fixed["startup_time_s"] = self.system_time_s
        self.image = RegisterImage(_layout(sleeps=self.rest.ever), self, fixed)
        self.map = self.image.map

    @property
    def second(self) -> BatteryModel:
        """The second battery unit.

        Raises:
            ValueError: if there is none.
        """
        if len(self.storage.units) < MAX_UNITS:
            raise ValueError(f"{self.name} has one battery unit; start it with battery_units=2")
        return self.storage.units[1]

    @property
    def existing(self) -> frozenset[int]:
        """Every address that answers."""
        return self.map.existing

    @property
    def system_time_s(self) -> int:
        """The device's clock in seconds since 1970, local; it runs with the simulation."""
        return int(self.clock_s)

    @property
    def max_charge_w(self) -> float:
        """The dynamic limit of 37046: the storage's or the inverter's."""
        return min(self.storage.max_charge_w, self.plant.rated_ac_w)

    @property
    def max_discharge_w(self) -> float:
        """The dynamic limit of 37048: the storage's or the inverter's."""
        return min(self.storage.max_discharge_w, self.plant.rated_ac_w)

    def step(self, dt_s: float) -> None:
        """Advance physics, clock and countdown by `dt_s` seconds; registers are encoded when somebody reads them."""
        self.clock_s += dt_s
        if self.daybook.turn(self.clock_s):
            self.plant.peak_ac_w = 0.0
        self.weather.shine(self.plant, self.clock_s, dt_s)
        self.late.step(dt_s)
        self.control.step(dt_s, self.storage.soc_pct)
        target_w = self.control.target_w(self.surroundings())
        self.storage.step(dt_s, target_w=target_w, ambient_c=self.plant.ambient_c)
        self.plant.settle(dt_s, self.storage.power_w)
        self._rest(dt_s, target_w)
        self.sim_time_s += dt_s
        self.steps += 1
        self.image.touch()

    def refresh(self) -> None:
        """Make the registers show the present state."""
        self.image.touch()

    def read(self, address: int, count: int) -> list[int]:
        """Return the words of `count` registers, which the caller must not change.

        Raises:
            RefusedError: with exception 2 if one of them is a hole, or a part of what must be read together.
            HangUpError: if the meter is asked while it is offline.
        """
        if not self.meter and touches_meter(address, count):
            raise HangUpError
        if not self.map.answers(address, count) or apart(address, count):
            raise RefusedError(ILLEGAL_ADDRESS)
        return self.image.read(address, count)

    def write(self, address: int, words: list[int]) -> None:
        """Take a write of whole registers: all of it, or nothing.

        Raises:
            RefusedError: exception 2 for a hole or a read-only register, 3 for half a value, one out of range, or a
                table that tells more periods than it holds.
        """
        changes, tables = decode_write(self.map, address, words)
        around = self.surroundings()
        accepted = all(
            self.control.in_range(name, value, around) for name, value in changes.items()
        )
        if not accepted or any(table[0] > TABLES[name] for name, table in tables.items()):
            raise RefusedError(ILLEGAL_VALUE)
        self.late.written(changes, self.control.settings)
        self.control.apply(changes)
        for name, table in tables.items():
            self.image.store(self.map.by_name[name].address, table)
        self.refresh()

    def describe_write(self, address: int, words: list[int]) -> dict[str, float]:
        """Return the numeric registers that a write names, decoded; what matches no whole register is left out."""
        return self.map.describe_write(address, words)

    def change(self, what: str, action: Callable[[], None]) -> int:
        """Run `action`, which changes state or spoofs, and watch for the responses that carry its effect.

        Returns the index of the exposure.
        """
        before = self.image.snapshot()
        action()
        self.refresh()
        changed = self.image.changed_since(before)
        names = {address: self.map.name_at.get(address, str(address)) for address in changed}
        return self.record.exposures.changed(what, names)

    def set_state(self, values: Mapping[str, float]) -> None:
        """Set physical state, alarm words or settings by name.

        Raises:
            KeyError: with the valid names, if one is unknown.
            ValueError: with the valid range, if a value is outside it.
        """
        set_state(self, values)

    def truth(self) -> TruthRecord:
        """Return the present physical state, with the index that it would be recorded under."""
        battery, plant, flows = self.storage, self.plant, self.plant.flows
        second = self.storage.units[1] if len(self.storage.units) > 1 else None
        return TruthRecord(
            index=self.record.truths.next_index,
            device=self.name,
            mono_ns=time.monotonic_ns(),
            wall_ns=self._wall_ns(),
            sim_time_s=self.sim_time_s,
            steps=self.steps,
            soc_pct=battery.soc_pct,
            temperature_c=self.battery.temperature_c,
            ambient_c=plant.ambient_c,
            battery_power_w=battery.power_w,
            battery_voltage_v=battery.voltage_v,
            battery_current_a=battery.current_a,
            max_charge_w=self.max_charge_w,
            max_discharge_w=self.max_discharge_w,
            pv_w=flows.pv_w,
            load_w=flows.load_w,
            ac_power_w=flows.ac_w,
            grid_export_w=flows.export_w,
            charged_wh=plant.counters.charged_wh,
            discharged_wh=plant.counters.discharged_wh,
            forced_mode=int(self.control.forced),
            remaining_min=self.control.remaining_min,
            active_mode=self.control.active_mode,
            second_soc_pct=second.soc_pct if second else None,
            second_power_w=second.power_w if second else None,
            second_temperature_c=second.temperature_c if second else None,
        )

    def surroundings(self) -> Surroundings:
        """Return what the control logic looks at."""
        return Surroundings(
            pv_w=self.plant.pv_now_w,
            load_w=self.plant.load_now_w,
            soc_pct=self.storage.soc_pct,
            max_charge_w=self.max_charge_w,
            max_discharge_w=self.max_discharge_w,
        )

    def _rest(self, dt_s: float, target_w: float) -> None:
        """Fall asleep or wake, and remember what the inverter said before dark."""
        if not self.rest.ever:
            return
        if self.plant.pv_now_w >= DARK_W or not self.at_dusk:
            self.at_dusk = {name: measure(self) for name, measure in _INSTANTANEOUS.items()}
        self.rest.step(
            dt_s,
            pv_w=self.plant.pv_now_w,
            battery_w=max(abs(target_w), abs(self.storage.power_w)),
            empty=self.storage.soc_pct <= self.control.settings["discharge_cutoff_soc_pct"],
        )


def _totals(plant: Plant, storage: Storage) -> dict[str, Callable[[], float]]:
    """Return the energies that are also counted by the day, in watt-hours since the start."""
    found: dict[str, Callable[[], float]] = {"ac_yield": lambda: plant.counters.ac_yield_wh}
    for number in range(MAX_UNITS):
        for way in ("charged", "discharged"):
            unit = storage.units[number] if number < len(storage.units) else None
            found[f"{way}_{number + 1}"] = (
                functools.partial(getattr, unit, f"{way}_wh") if unit else float
            )
    return found


def _commissioned(config: DeviceConfig) -> dict[str, float]:
    """Return the settings of a new site: two battery units may do twice as much, unless `config` says otherwise."""
    units = config.battery_units
    caps = {"max_charging_power_w": units, "max_discharging_power_w": units}
    return {name: FACTORY_SETTINGS[name] * by for name, by in caps.items()} | config.settings


@functools.cache
def _layout(*, sleeps: bool) -> Layout[SimulatedDevice]:
    """Return what all devices of this kind share that sleep at times, or never."""
    return Layout(HUAWEI, measurements.measured(sleeps=sleeps))
