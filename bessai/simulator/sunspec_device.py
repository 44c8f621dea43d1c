"""One simulated SunSpec storage: the same battery and plant as the others, behind the models that it is given."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from bessai.simulator import sunspec_measure
from bessai.simulator.device import ILLEGAL_ADDRESS, ILLEGAL_VALUE, DeviceConfig, RefusedError
from bessai.simulator.physics import BatteryModel
from bessai.simulator.plant import Plant
from bessai.simulator.record import DeviceRecord, TruthRecord
from bessai.simulator.registers import Value
from bessai.simulator.storage_control import Surroundings
from bessai.simulator.sunspec_control import SETTINGS, SunSpecControl
from bessai.simulator.sunspec_image import SunSpecImage
from bessai.simulator.sunspec_map import DEFAULT_BASE, chain, headers

LEGACY = (1, 103, 120, 121, 123, 124, 160, 802, 803)
"""A hybrid inverter of the first generation of models, with scaled integers."""
LEGACY_FLOAT = (1, 113, *LEGACY[2:])
DER = (1, 701, 702, 704, 713, 803)
"""A storage without PV by the models of IEEE 1547-2018, with the lithium-ion bank for its temperature."""

ALIASES: dict[str, tuple[str, ...]] = {
    "soc_pct": ("713.SoC", "802.SoC", "124.ChaState"),
    "battery_temperature_c": ("803.ModTmpMax", "803.ModTmpMin", "803.ModTmpAvg"),
    "battery_power_w": ("802.W",),
    "battery_voltage_v": ("802.V", "124.InBatV"),
    "battery_current_a": ("802.A",),
    "active_power_w": (
        *("101.W", "102.W", "103.W", "111.W", "112.W", "113.W"),
        "701.W",
    ),
}
"""One physical quantity that several points report, with the device's own sign."""


class SunSpecOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What kind of SunSpec device it is."""

    models: tuple[int, ...] = LEGACY
    base: int = DEFAULT_BASE
    manufacturer: str = "BESSAI"
    rates_are_limits: bool = False
    """Whether 124's rates only bound what the device does, so that forcing needs a negative one."""
    settings: dict[str, float] = {}
    """Writable points that differ from the commissioned device, such as `124.ChaGriSet`."""


class SunSpecDevice:
    """A storage that tells what it is."""

    def __init__(
        self,
        name: str,
        config: DeviceConfig,
        options: SunSpecOptions | None = None,
        *,
        seed: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Start `name` as `config` and `options` say; `seed` decides its serial number and how PV and load wander."""
        config.of_any_kind()
        options = options or SunSpecOptions()
        self.name = name
        self._wall_ns = wall_ns
        self.battery = BatteryModel(
            config.battery, soc_pct=config.soc_pct, temperature_c=config.temperature_c
        )
        self.plant = Plant(
            random.Random(f"{seed}/{name}"),
            rated_ac_w=config.rated_power_w,
            variation=config.variation,
        )
        self.plant.pv_w, self.plant.load_w = config.pv_w, config.load_w
        self.plant.ambient_c = config.ambient_c
        self.weather = config.weather(random.Random(f"{seed}/{name}/weather"))
        self.clock_s = config.clock_s or wall_ns() / 1e9
        self.control = SunSpecControl(
            options.settings,
            rated_charge_w=config.battery.rated_charge_w,
            rated_ac_w=config.rated_power_w,
            rates_are_limits=options.rates_are_limits,
            countdown_s_per_min=config.countdown_s_per_min,
        )
        self.alarms: dict[str, Value] = {"inverter": 0, "battery": 0}
        self.record = DeviceRecord(name)
        self.sim_time_s = 0.0
        self.steps = 0
        self.serial_number = f"SUN{seed:05d}-{name}"[:32]
        self.models = frozenset(options.models)
        self.map = chain(options.models, options.base)
        constant = headers(self.map) | sunspec_measure.identity(
            options.manufacturer, self.serial_number
        )
        self.image = SunSpecImage(
            self.map, ALIASES, lambda: {**constant, **sunspec_measure.measure(self)}
        )
        self._point_at = {point.address: point for point in self.map.points}
        self.plant.settle(0.0, 0.0)

    @property
    def existing(self) -> range:
        """Every address that answers."""
        return range(self.map.base, self.map.end)

    @property
    def max_charge_w(self) -> float:
        """What the battery, or the inverter, takes now."""
        return min(self.battery.max_charge_w, self.plant.rated_ac_w)

    @property
    def max_discharge_w(self) -> float:
        """What the battery, or the inverter, gives now."""
        return min(self.battery.max_discharge_w, self.plant.rated_ac_w)

    def step(self, dt_s: float) -> None:
        """Advance physics, timers and registers by `dt_s` seconds."""
        self.clock_s += dt_s
        self.weather.shine(self.plant, self.clock_s, dt_s)
        self.control.step(dt_s)
        target_w = self.control.target_w(self._surroundings())
        self.battery.step(dt_s, target_w=target_w, ambient_c=self.plant.ambient_c)
        self.plant.settle(dt_s, self.battery.power_w)
        self.sim_time_s += dt_s
        self.steps += 1
        self.image.touch()

    def refresh(self) -> None:
        """Make the registers show the present state."""
        self.image.touch()

    def read(self, address: int, count: int) -> list[int]:
        """Return the words of `count` registers.

        Raises:
            RefusedError: with exception 2 outside the chain.
        """
        if not (self.map.base <= address and address + count <= self.map.end):
            raise RefusedError(ILLEGAL_ADDRESS)
        return self.image.read(address, count)

    def write(self, address: int, words: list[int]) -> None:
        """Take a write of whole points: all of it, or nothing.

        Raises:
            RefusedError: exception 2 outside the chain or for what cannot be written, 3 for half a point or a value out
                of range.
        """
        changes: dict[str, float] = {}
        end = address + len(words)
        while address < end:
            point = self._point_at.get(address)
            if point is None or point.name not in SETTINGS:
                raise RefusedError(ILLEGAL_ADDRESS)
            if point.end > end:
                raise RefusedError(ILLEGAL_VALUE)
            offset = len(words) - (end - address)
            changes[point.name] = float(point.decode(words[offset : offset + point.count]))
            address = point.end
        if not all(self.control.in_range(name, value) for name, value in changes.items()):
            raise RefusedError(ILLEGAL_VALUE)
        self.control.apply(changes)
        self.image.touch()

    def describe_write(self, address: int, words: list[int]) -> dict[str, float]:
        """Return the points that a write names, decoded; what matches no whole point is left out."""
        values: dict[str, float] = {}
        for offset in range(len(words)):
            point = self._point_at.get(address + offset)
            if point is not None and offset + point.count <= len(words):
                value = point.decode(words[offset : offset + point.count])
                if not isinstance(value, str):
                    values[point.name] = value
        return values

    def change(self, what: str, action: Callable[[], None]) -> int:
        """Run `action`, which changes state or spoofs, and watch for the responses that carry its effect.

        Returns the index of the exposure.
        """
        before = self.image.snapshot()
        action()
        self.image.touch()
        changed = self.image.changed_since(before)
        names = {
            address: point.name
            for point in self.map.points
            for address in range(point.address, point.end)
            if address in changed
        }
        return self.record.exposures.changed(what, names)

    def set_state(self, values: Mapping[str, float]) -> None:
        """Set physical state, alarm words or settings by name.

        Raises:
            KeyError: with the valid names, if one is unknown.
            ValueError: with the valid range, if a value is outside it. Nothing is changed in either case.
        """
        for name, value in values.items():
            self._check_state(name, value)
        self.control.apply({name: v for name, v in values.items() if name in SETTINGS})
        for name, value in values.items():
            if name in SETTERS:
                SETTERS[name].apply(self, value)
        self.plant.settle(0.0, self.battery.power_w)
        self.image.touch()

    def truth(self) -> TruthRecord:
        """Return the present physical state, with the index that it would be recorded under."""
        battery, plant, flows = self.battery, self.plant, self.plant.flows
        left_s = self.control.remaining_s
        forced = self.control.forced
        return TruthRecord(
            index=self.record.truths.next_index,
            device=self.name,
            mono_ns=time.monotonic_ns(),
            wall_ns=self._wall_ns(),
            sim_time_s=self.sim_time_s,
            steps=self.steps,
            soc_pct=battery.soc_pct,
            temperature_c=battery.temperature_c,
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
            forced_mode=forced,
            remaining_min=0 if left_s == float("inf") else -int(-left_s // 60),
            active_mode=1 if forced else 4,
        )

    def _check_state(self, name: str, value: float) -> None:
        if name in SETTINGS:
            if not self.control.in_range(name, value):
                msg = f"{name}={value} is out of the range that the device accepts"
                raise ValueError(msg)
            return
        if name not in SETTERS:
            msg = f"unknown state {name!r}; valid: {', '.join([*SETTERS, *SETTINGS])}"
            raise KeyError(msg)
        setter = SETTERS[name]
        if not setter.low <= value <= setter.high:
            msg = f"{name}={value} must be {setter.low:g} to {setter.high:g}"
            raise ValueError(msg)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            pv_w=self.plant.pv_now_w,
            load_w=self.plant.load_now_w,
            soc_pct=self.battery.soc_pct,
            max_charge_w=self.max_charge_w,
            max_discharge_w=self.max_discharge_w,
        )


class _Setter(NamedTuple):
    """The range of a physical value and how to set it."""

    low: float
    high: float
    apply: Callable[[SunSpecDevice, float], None]


def _battery(low: float, high: float, name: str) -> _Setter:
    return _Setter(low, high, lambda device, value: setattr(device.battery, name, value))


def _plant(low: float, high: float, name: str) -> _Setter:
    return _Setter(low, high, lambda device, value: setattr(device.plant, name, value))


def _set_sun_w(device: SunSpecDevice, value: float) -> None:
    device.weather.still()
    device.plant.pv_w = value


def _alarm(name: str) -> _Setter:
    return _Setter(0, 0xFFFF_FFFE, lambda device, value: device.alarms.update({name: int(value)}))


SETTERS: dict[str, _Setter] = {
    "soc_pct": _Setter(0, 100, lambda device, value: device.battery.set_soc_pct(value)),
    "temperature_c": _battery(-100, 200, "temperature_c"),
    "battery_power_w": _battery(-100_000, 100_000, "power_w"),
    "response_time_constant_s": _battery(0, 3600, "time_constant_s"),
    "ambient_c": _plant(-100, 100, "ambient_c"),
    "pv_w": _Setter(0, 100_000, _set_sun_w),
    "load_w": _plant(0, 100_000, "load_w"),
    "grid_voltage_v": _plant(1, 1000, "grid_voltage_v"),
    "grid_frequency_hz": _plant(0, 100, "grid_frequency_hz"),
    "clock_s": _Setter(0, 2**32 - 1, lambda device, value: setattr(device, "clock_s", value)),
    "alarm_inverter": _alarm("inverter"),
    "alarm_battery": _alarm("battery"),
}
"""Physical state that the control channel may set, by name, each with its range."""
