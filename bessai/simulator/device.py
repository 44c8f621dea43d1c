"""One simulated device: battery, plant, storage control and registers, advanced by `step`, reached by read and write.

It has no socket and no clock of its own; `server` gives it the one and `site` the other.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from bessai.simulator import measurements
from bessai.simulator.image import EXISTING, RegisterImage
from bessai.simulator.physics import BatteryModel, BatterySpec
from bessai.simulator.plant import Plant
from bessai.simulator.record import DeviceRecord, TruthRecord
from bessai.simulator.register_map import BY_NAME, POINTS
from bessai.simulator.registers import Point, Value
from bessai.simulator.storage_control import FACTORY_SETTINGS, StorageControl, Surroundings

ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3

_POINT_AT: dict[int, Point] = {point.address: point for point in POINTS}
_NAME_AT: dict[int, str] = {
    address: point.name for point in POINTS for address in range(point.address, point.end)
}


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


class RefusedError(Exception):
    """The device answers a request with a Modbus exception."""

    def __init__(self, code: int) -> None:
        """Refuse with the exception `code`."""
        super().__init__(f"exception {code}")
        self.code = code


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
        self.control = StorageControl(
            config.settings, countdown_s_per_min=config.countdown_s_per_min
        )
        self.alarms: dict[str, Value] = {"alarm_1": 0, "alarm_2": 0, "alarm_3": 0}
        self.record = DeviceRecord(name)
        self.image = RegisterImage()
        self.sim_time_s = 0.0
        self.steps = 0
        self.startup_time_s = self.system_time_s
        self.serial_number = f"SIM{seed:05d}-{name}"[:20]
        self.plant.settle(0.0, 0.0)
        self.image.report(measurements.identity(self.serial_number, config.rated_power_w))
        self.refresh()

    @property
    def system_time_s(self) -> int:
        """The device's clock in seconds since 1970."""
        return self._wall_ns() // 1_000_000_000

    @property
    def max_charge_w(self) -> float:
        """The dynamic limit of 37046: the battery's or the inverter's."""
        return min(self.battery.max_charge_w, self.plant.rated_ac_w)

    @property
    def max_discharge_w(self) -> float:
        """The dynamic limit of 37048: the battery's or the inverter's."""
        return min(self.battery.max_discharge_w, self.plant.rated_ac_w)

    def step(self, dt_s: float) -> None:
        """Advance physics, countdown and registers by `dt_s` seconds."""
        self.plant.vary(dt_s)
        self.control.step(dt_s, self.battery.soc_pct)
        target_w = self.control.target_w(self._surroundings())
        self.battery.step(dt_s, target_w=target_w, ambient_c=self.plant.ambient_c)
        self.plant.settle(dt_s, self.battery.power_w)
        self.sim_time_s += dt_s
        self.steps += 1
        self.refresh()

    def refresh(self) -> None:
        """Make the registers show the present state."""
        self.image.report(measurements.measure(self))

    def read(self, address: int, count: int) -> list[int]:
        """Return the words of `count` registers.

        Raises:
            RefusedError: with exception 2 if one of them is a hole.
        """
        if any(each not in EXISTING for each in range(address, address + count)):
            raise RefusedError(ILLEGAL_ADDRESS)
        return self.image.read(address, count)

    def write(self, address: int, words: list[int]) -> None:
        """Take a write of whole registers: all of it, or nothing.

        Raises:
            RefusedError: exception 2 for a hole or a read-only register, 3 for half a value or one out of range.
        """
        changes = self._decode_write(address, words)
        around = self._surroundings()
        if not all(self.control.in_range(name, value, around) for name, value in changes.items()):
            raise RefusedError(ILLEGAL_VALUE)
        self.control.apply(changes)
        self.refresh()

    def change(self, what: str, action: Callable[[], None]) -> int:
        """Run `action`, which changes state or spoofs, and watch for the responses that carry its effect.

        Returns the index of the exposure.
        """
        before = self.image.snapshot()
        action()
        self.refresh()
        changed = self.image.changed_since(before)
        names = {address: _NAME_AT.get(address, str(address)) for address in changed}
        return self.record.exposures.changed(what, names)

    def set_state(self, values: Mapping[str, float]) -> None:
        """Set physical state, alarm words or settings by name.

        Raises:
            KeyError: with the valid names, if one is unknown.
            ValueError: with the valid range, if a value is outside it. Nothing is changed in either case.
        """
        unknown = [name for name in values if name not in SETTERS and name not in FACTORY_SETTINGS]
        if unknown:
            valid = ", ".join([*SETTERS, *FACTORY_SETTINGS])
            msg = f"unknown state {unknown[0]!r}; valid: {valid}"
            raise KeyError(msg)
        for name, value in values.items():
            self._check_state(name, value)
        self.control.apply({name: v for name, v in values.items() if name in FACTORY_SETTINGS})
        for name, value in values.items():
            if name in SETTERS:
                SETTERS[name].apply(self, value)
        self.plant.settle(0.0, self.battery.power_w)

    def truth(self) -> TruthRecord:
        """Return the present physical state, with the index that it would be recorded under."""
        battery, plant, flows = self.battery, self.plant, self.plant.flows
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
            forced_mode=int(self.control.forced),
            remaining_min=self.control.remaining_min,
            active_mode=self.control.active_mode,
        )

    def _check_state(self, name: str, value: float) -> None:
        if name in FACTORY_SETTINGS:
            BY_NAME[name].encode(value)
            if not self.control.in_range(name, value, self._surroundings()):
                msg = f"{name}={value} is out of the range that the device accepts now"
                raise ValueError(msg)
            return
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

    def _decode_write(self, address: int, words: list[int]) -> dict[str, float]:
        end = address + len(words)
        if any(each not in _NAME_AT for each in range(address, end)):
            raise RefusedError(ILLEGAL_ADDRESS)
        changes: dict[str, float] = {}
        while address < end:
            point = _POINT_AT.get(address)
            if point is None or point.end > end:
                raise RefusedError(ILLEGAL_VALUE)
            if not point.writable:
                raise RefusedError(ILLEGAL_ADDRESS)
            offset = address - end + len(words)
            changes[point.name] = float(point.decode(words[offset : offset + point.count]))
            address = point.end
        return changes


def describe_write(address: int, words: list[int]) -> dict[str, float]:
    """Return the numeric registers that a write names, decoded; what matches no whole register is left out."""
    values: dict[str, float] = {}
    for offset in range(len(words)):
        point = _POINT_AT.get(address + offset)
        if point is not None and offset + point.count <= len(words):
            value = point.decode(words[offset : offset + point.count])
            if not isinstance(value, str):
                values[point.name] = value
    return values


class _Setter(NamedTuple):
    """The range of a physical value and how to set it."""

    low: float
    high: float
    apply: Callable[[SimulatedDevice, float], None]


def _battery(low: float, high: float, name: str) -> _Setter:
    return _Setter(low, high, lambda device, value: setattr(device.battery, name, value))


def _plant(low: float, high: float, name: str) -> _Setter:
    return _Setter(low, high, lambda device, value: setattr(device.plant, name, value))


def _alarm(name: str) -> _Setter:
    return _Setter(0, 0xFFFF, lambda device, value: device.alarms.update({name: int(value)}))


SETTERS: dict[str, _Setter] = {
    "soc_pct": _Setter(0, 100, lambda device, value: device.battery.set_soc_pct(value)),
    "temperature_c": _battery(-100, 200, "temperature_c"),
    "battery_power_w": _battery(-100_000, 100_000, "power_w"),
    "response_time_constant_s": _battery(0, 3600, "time_constant_s"),
    "ambient_c": _plant(-100, 100, "ambient_c"),
    "pv_w": _plant(0, 100_000, "pv_w"),
    "load_w": _plant(0, 100_000, "load_w"),
    "grid_voltage_v": _plant(1, 1000, "grid_voltage_v"),
    "grid_frequency_hz": _plant(0, 100, "grid_frequency_hz"),
    "alarm_1": _alarm("alarm_1"),
    "alarm_2": _alarm("alarm_2"),
    "alarm_3": _alarm("alarm_3"),
}
"""Physical state that the control channel may set, by name, each with its range."""
