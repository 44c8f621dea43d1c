"""What battery units, their packs and the whole storage report, by register name.

A unit or pack that the device lacks reads 0 and has an empty serial number; a sleeping one reads the vendor's mark for
"no value". Whether real devices answer for a missing unit at all is not documented.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, TypeAlias

from bessai.simulator.daybook import Span
from bessai.simulator.huawei_map import MAX_PACKS, MAX_UNITS
from bessai.simulator.registers import Value

if TYPE_CHECKING:
    from bessai.simulator.device import SimulatedDevice
    from bessai.simulator.physics import BatteryModel

Measure: TypeAlias = "Callable[[SimulatedDevice], float]"
Quantity: TypeAlias = "Callable[[BatteryModel], float]"

RUNNING_STANDBY, RUNNING, SLEEPING = 1, 2, 4
RUNNING_THRESHOLD_W = 10.0
"""Below this battery power the storage reports standby; a model parameter."""
NO_VALUE = 1e12
"""More than any register holds: shown as the largest number that fits, which is the vendor's mark for "no value"."""
LUNA2000 = 2
VERSION = "V100R002C00SPC120"


def storage_identity(serial_number: str, *, units: int, packs: int) -> dict[str, Value]:
    """Return what never changes of `units` battery units with `packs` packs each."""
    values: dict[str, Value] = {
        "esu1_dcdc_version": VERSION,
        "esu1_bms_version": VERSION,
    }
    for unit in range(1, units + 1):
        values[f"esu{unit}_serial_number"] = _serial("BC"[unit - 1], serial_number)
        values[f"esu{unit}_software_version"] = VERSION
        values[f"esu{unit}_product_model"] = LUNA2000
        values[f"esu{unit}_number"] = unit
        for pack in range(1, packs + 1):
            name = f"esu{unit}_pack{pack}"
            letter = "PQRSTU"[(unit - 1) * MAX_PACKS + pack - 1]
            values[f"{name}_serial_number"] = _serial(letter, serial_number)
            values[f"{name}_firmware"] = VERSION
            values[f"{name}_number"] = pack
    return values


def _serial(letter: str, serial_number: str) -> str:
    return f"{letter}{serial_number}"[:20]


def storage_measured(*, sleeps: bool) -> dict[str, Measure]:
    """Return how to measure every register of the storage that changes, by register name, if it `sleeps` at times."""
    values = _whole() | _unit(0, "battery", _status) | _second_unit()
    for number in range(MAX_UNITS):
        for pack in range(MAX_PACKS):
            values |= _pack(number, pack)
    if not sleeps:
        return values
    silent = [
        f"{prefix}_{quantity}"
        for prefix in ("storage", "esu1", "esu2")
        for quantity in ("power_w", "voltage_v", "current_a", "soc_pct")
    ]
    states = [f"{prefix}_running_status" for prefix in ("storage", "esu1", "esu2")]
    return (
        values
        | {name: _awake(values[name], NO_VALUE) for name in silent}
        | {name: _awake(values[name], SLEEPING) for name in states}
    )


def _whole() -> dict[str, Measure]:
    values: dict[str, Measure] = {
        "storage_running_status": lambda device: _status(device.storage.power_w),
        "rated_capacity_wh": attrgetter("storage.capacity_wh"),
        "max_charge_w": lambda device: int(device.max_charge_w),
        "max_discharge_w": lambda device: int(device.max_discharge_w),
        "esu1_working_mode": attrgetter("control.active_mode"),
        "esu1_remaining_min": attrgetter("control.remaining_min"),
        "esu1_rated_charge_w": attrgetter("battery.spec.rated_charge_w"),
        "esu1_rated_discharge_w": attrgetter("battery.spec.rated_discharge_w"),
    }
    for quantity in ("power_w", "voltage_v", "current_a", "soc_pct"):
        values[f"storage_{quantity}"] = attrgetter(f"storage.{quantity}")
    for way in ("charged", "discharged"):
        totals = [f"{way}_{unit}" for unit in range(1, MAX_UNITS + 1)]
        values[f"storage_{way}_total_kwh"] = _total(totals)
        values[f"storage_{way}_today_kwh"] = _today(totals)
    return values


def _unit(number: int, path: str, status: Callable[[float], int]) -> dict[str, Measure]:
    """Return the measures of the unit that stands at `path` of a device."""
    name = f"esu{number + 1}"
    power: Measure = attrgetter(f"{path}.power_w")
    values: dict[str, Measure] = {
        f"{name}_running_status": lambda device: status(power(device)),
        f"{name}_temperature_c": attrgetter(f"{path}.temperature_c"),
    }
    for quantity in ("power_w", "voltage_v", "current_a", "soc_pct"):
        values[f"{name}_{quantity}"] = attrgetter(f"{path}.{quantity}")
    for way in ("charged", "discharged"):
        totals = [f"{way}_{number + 1}"]
        values[f"{name}_{way}_total_kwh"] = _total(totals)
        values[f"{name}_{way}_today_kwh"] = _today(totals)
    return values


def _second_unit() -> dict[str, Measure]:
    """Return the measures of the second unit, which are 0 where there is none."""
    return {name: _if_there(each) for name, each in _unit(1, "second", _status).items()}


def _if_there(measure: Measure) -> Measure:
    return lambda device: measure(device) if len(device.storage.units) > 1 else 0.0


def _pack(number: int, pack: int) -> dict[str, Measure]:
    """Return the measures of one pack: all packs of a unit bear alike."""
    quantities: dict[str, tuple[Quantity, bool]] = {
        "soc_pct": (lambda unit: unit.soc_pct, False),
        "power_w": (lambda unit: unit.power_w, True),
        "voltage_v": (lambda unit: unit.voltage_v, False),
        "current_a": (lambda unit: unit.current_a, True),
        "charged_total_kwh": (lambda unit: unit.charged_wh / 1000.0, True),
        "discharged_total_kwh": (lambda unit: unit.discharged_wh / 1000.0, True),
        "max_temperature_c": (lambda unit: unit.temperature_c, False),
        "min_temperature_c": (lambda unit: unit.temperature_c, False),
    }
    return {
        f"esu{number + 1}_pack{pack + 1}_{name}": _of_pack(number, pack, quantity, shared=shared)
        for name, (quantity, shared) in quantities.items()
    }


def _of_pack(number: int, pack: int, quantity: Quantity, *, shared: bool) -> Measure:
    def measure(device: SimulatedDevice) -> float:
        if number >= len(device.storage.units) or pack >= device.packs:
            return 0.0
        value = quantity(device.storage.units[number])
        return value / device.packs if shared else value

    return measure


def _awake(measure: Measure, asleep: float) -> Measure:
    return lambda device: asleep if device.rest.battery else measure(device)


def _status(power_w: float) -> int:
    return RUNNING if abs(power_w) >= RUNNING_THRESHOLD_W else RUNNING_STANDBY


def _total(names: list[str]) -> Measure:
    return lambda device: sum(device.totals[name]() for name in names) / 1000.0


def _today(names: list[str]) -> Measure:
    if len(names) == 1:
        name = names[0]
        return lambda device: device.daybook.since(Span.DAY, name) / 1000.0
    return lambda device: sum(device.daybook.since(Span.DAY, name) for name in names) / 1000.0
