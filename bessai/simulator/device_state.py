"""Physical state, alarms and settings of a device by name, as the control channel sets them, each with its range."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from bessai.simulator.storage_control import FACTORY_SETTINGS

if TYPE_CHECKING:
    from bessai.simulator.device import SimulatedDevice


def set_state(device: SimulatedDevice, values: Mapping[str, float]) -> None:
    """Set physical state, alarm words or settings of `device` by name.

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
        _check(device, name, value)
    device.control.apply({name: v for name, v in values.items() if name in FACTORY_SETTINGS})
    for name, value in values.items():
        if name in SETTERS:
            SETTERS[name].apply(device, value)
    device.plant.settle(0.0, device.storage.power_w)


def _check(device: SimulatedDevice, name: str, value: float) -> None:
    if name in FACTORY_SETTINGS:
        device.map.by_name[name].encode(value)
        if not device.control.in_range(name, value, device.surroundings()):
            msg = f"{name}={value} is out of the range that the device accepts now"
            raise ValueError(msg)
        return
    if name.startswith("second_"):
        _ = device.second
    setter = SETTERS[name]
    if not setter.low <= value <= setter.high:
        msg = f"{name}={value} must be {setter.low:g} to {setter.high:g}"
        raise ValueError(msg)


class _Setter(NamedTuple):
    """The range of a physical value and how to set it."""

    low: float
    high: float
    apply: Callable[[SimulatedDevice, float], None]


def _units(low: float, high: float, name: str) -> _Setter:
    def apply(device: SimulatedDevice, value: float) -> None:
        for unit in device.storage.units:
            setattr(unit, name, value)

    return _Setter(low, high, apply)


def _set_soc_pct(device: SimulatedDevice, value: float) -> None:
    for unit in device.storage.units:
        unit.set_soc_pct(value)


def _set_sun_w(device: SimulatedDevice, value: float) -> None:
    device.weather.still()
    device.plant.pv_w = value


def _plant(low: float, high: float, name: str) -> _Setter:
    return _Setter(low, high, lambda device, value: setattr(device.plant, name, value))


def _alarm(name: str) -> _Setter:
    return _Setter(0, 0xFFFF, lambda device, value: device.alarms.update({name: int(value)}))


SETTERS: dict[str, _Setter] = {
    "soc_pct": _Setter(0, 100, _set_soc_pct),
    "second_soc_pct": _Setter(0, 100, lambda device, value: device.second.set_soc_pct(value)),
    "temperature_c": _units(-100, 200, "temperature_c"),
    "second_temperature_c": _Setter(
        -100, 200, lambda device, value: setattr(device.second, "temperature_c", value)
    ),
    "battery_power_w": _Setter(
        -100_000, 100_000, lambda device, value: device.storage.set_power_w(value)
    ),
    "response_time_constant_s": _units(0, 3600, "time_constant_s"),
    "ambient_c": _plant(-100, 100, "ambient_c"),
    "pv_w": _Setter(0, 100_000, _set_sun_w),
    "load_w": _plant(0, 100_000, "load_w"),
    "grid_voltage_v": _plant(1, 1000, "grid_voltage_v"),
    "grid_frequency_hz": _plant(0, 100, "grid_frequency_hz"),
    "meter": _Setter(0, 1, lambda device, value: setattr(device, "meter", bool(value))),
    "clock_s": _Setter(0, 2**32 - 1, lambda device, value: setattr(device, "clock_s", value)),
    "settings_late_s": _Setter(
        0, 3600, lambda device, value: setattr(device.late, "late_s", value)
    ),
    "alarm_1": _alarm("alarm_1"),
    "alarm_2": _alarm("alarm_2"),
    "alarm_3": _alarm("alarm_3"),
}
"""Physical state that the control channel may set, by name, each with its range."""
