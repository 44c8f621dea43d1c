"""What the device reports: how each register is measured from the physics, with the vendor's signs and units.

Every register has a function of its own, so that a read costs what it asks for and no more. The storage's are in
`storage_measurements`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from bessai.simulator.daybook import Span
from bessai.simulator.huawei_map import MAX_STRINGS, MAX_TRACKERS
from bessai.simulator.registers import Value
from bessai.simulator.storage_control import FACTORY_SETTINGS
from bessai.simulator.storage_measurements import Measure, storage_identity, storage_measured

if TYPE_CHECKING:
    from bessai.simulator.device import SimulatedDevice

SQRT_3 = 3.0**0.5
STATE_1_STANDBY = 0b1
STATE_1_ON_GRID = 0b110
"""32000: grid-connected, normally."""
STATE_2_RUNNING = 0b111
"""32002: unlocked, PV connected, DSP collects data."""
STATUS_ON_GRID = 0x0200
STATUS_NO_IRRADIATION = 0xA000
VOLT_PER_PV_STRING = 600.0
MODEL_ID = 425
"""In the documented range of the M0 and M1 models; which id is the 10KTL-M1 is not verified."""
FULL_POWER_PER_MILLE = 1000
PERCENT_COMMAND = 40125
"""35303: the register whose command is in force; a device that nobody has limited is taken to name its percentage."""


def identity(
    serial_number: str, rated_power_w: float, *, units: int, packs: int, strings: int
) -> dict[str, Value]:
    """Return what never changes: identity, ratings, versions and what hangs on an SUN2000-10KTL-M1."""
    version = "V100R001C00SPC141"
    return {
        "model": "SUN2000-10KTL-M1",
        "serial_number": serial_number,
        "part_number": "SIMULATED-PN",
        "firmware_version": version,
        "software_version": version,
        "protocol_version": 3,
        "model_id": MODEL_ID,
        "pv_strings": strings,
        "mpp_trackers": trackers(strings),
        "rated_power_w": rated_power_w,
        "max_active_power_w": rated_power_w * 1.1,
        "max_apparent_power_va": rated_power_w * 1.1,
        "max_reactive_to_grid_var": rated_power_w * 0.6,
        "max_reactive_from_grid_var": -rated_power_w * 0.6,
        "hardware_version": "A",
        "monitoring_serial_number": f"M{serial_number}"[:20],
        "monitoring_version": version,
        "dsp_version": version,
        "slave_dsp_version": version,
        "active_adjustment_value": FULL_POWER_PER_MILLE,
        "active_adjustment_command": PERCENT_COMMAND,
        "meter_type": 1,
        "meter_model_check": 1,
        "power_factor": 1.0,
        "meter_power_factor": 1.0,
        "insulation_resistance_mohm": 3.0,
        "efficiency_pct": 98.0,
        "state_2": STATE_2_RUNNING,
        "active_power_gradient_pct_per_s": 100.0,
        **storage_identity(serial_number, units=units, packs=packs),
    }


def trackers(strings: int) -> int:
    """Return how many trackers `strings` PV strings hang on: two on each, but two strings on one each."""
    return min(max((strings + 1) // 2, min(strings, 2)), MAX_TRACKERS)


def measured(*, sleeps: bool) -> dict[str, Measure]:
    """Return how to measure every register that changes, by name, of a device that `sleeps` at times or never."""
    values: dict[str, Measure] = {
        **storage_measured(sleeps=sleeps),
        **instantaneous(),
        **_counters(),
        **_meter(),
        **{name: _setting(name) for name in FACTORY_SETTINGS},
        **{f"alarm_{number}": _alarm(f"alarm_{number}") for number in (1, 2, 3)},
        "state_1": lambda _device: STATE_1_ON_GRID,
        "device_status": lambda _device: STATUS_ON_GRID,
        "system_time_s": attrgetter("system_time_s"),
        "time_zone_min": attrgetter("time_zone_min"),
    }
    if not sleeps:
        return values
    return {
        **values,
        **{name: _until_dusk(name, measure) for name, measure in instantaneous().items()},
        "state_1": _by_rest(STATE_1_STANDBY, STATE_1_ON_GRID),
        "device_status": _by_rest(STATUS_NO_IRRADIATION, STATUS_ON_GRID),
    }


def _by_rest(asleep: int, awake: int) -> Measure:
    return lambda device: asleep if device.rest.inverter else awake


def _until_dusk(name: str, measure: Measure) -> Measure:
    """Return a measure that in standby says what it said before dark."""
    return lambda device: device.at_dusk[name] if device.rest.inverter else measure(device)


def _setting(name: str) -> Measure:
    return lambda device: device.late.shown(name, device.control.settings[name])


def _alarm(name: str) -> Measure:
    return lambda device: device.alarms[name]


def _times(path: str, factor: float) -> Measure:
    """Return how to measure the attribute `path` of a device, times `factor`."""
    get: Measure = attrgetter(path)
    return lambda device: get(device) * factor


def instantaneous() -> dict[str, Measure]:
    """Return how to measure what the inverter says of this moment, by register name."""
    values: dict[str, Measure] = {
        "pv_power_w": attrgetter("plant.flows.pv_w"),
        "ac_power_w": attrgetter("plant.flows.ac_w"),
        "ac_power_fast_w": attrgetter("plant.flows.ac_w"),
        "grid_frequency_hz": attrgetter("plant.grid_frequency_hz"),
        "internal_temperature_c": lambda device: device.plant.ambient_c + 10.0,
        "dc_bus_voltage_v": attrgetter("storage.voltage_v"),
    }
    for string in range(1, MAX_STRINGS + 1):
        values[f"pv{string}_voltage_v"] = _string(string, _string_v)
        values[f"pv{string}_current_a"] = _string(string, _string_a)
    for phase in "abc":
        values[f"phase_{phase}_voltage_v"] = attrgetter("plant.grid_voltage_v")
        values[f"phase_{phase}_current_a"] = lambda device: (
            device.plant.flows.ac_w / 3.0 / device.plant.grid_voltage_v
        )
    for pair in ("ab", "bc", "ca"):
        values[f"line_voltage_{pair}_v"] = _times("plant.grid_voltage_v", SQRT_3)
    return values


def _string(number: int, measure: Measure) -> Measure:
    return lambda device: measure(device) if number <= device.pv_strings else 0.0


def _string_v(device: SimulatedDevice) -> float:
    return VOLT_PER_PV_STRING if device.plant.flows.pv_w > 0.0 else 0.0


def _string_a(device: SimulatedDevice) -> float:
    return device.plant.flows.pv_w / device.pv_strings / VOLT_PER_PV_STRING


def _counters() -> dict[str, Measure]:
    values: dict[str, Measure] = {
        "total_dc_input_kwh": _times("plant.counters.pv_wh", 1e-3),
        "accumulated_yield_kwh": _times("plant.counters.ac_yield_wh", 1e-3),
        "peak_power_today_w": attrgetter("plant.peak_ac_w"),
        "hourly_yield_kwh": _yield(Span.HOUR),
        "daily_yield_kwh": _yield(Span.DAY),
        "monthly_yield_kwh": _yield(Span.MONTH),
        "yearly_yield_kwh": _yield(Span.YEAR),
    }
    for number in range(1, MAX_TRACKERS + 1):
        values[f"mppt{number}_energy_kwh"] = _tracker(number)
    return values


def _yield(span: Span) -> Measure:
    return lambda device: device.daybook.since(span, "ac_yield") / 1000.0


def _tracker(number: int) -> Measure:
    def measure(device: SimulatedDevice) -> float:
        there = trackers(device.pv_strings)
        return device.plant.counters.pv_wh / there / 1000.0 if number <= there else 0.0

    return measure


def _meter() -> dict[str, Measure]:
    values: dict[str, Measure] = {
        "meter_status": lambda device: int(device.meter),
        "meter_power_w": attrgetter("plant.flows.export_w"),
        "meter_frequency_hz": attrgetter("plant.grid_frequency_hz"),
        "meter_exported_kwh": _times("plant.counters.exported_wh", 1e-3),
        "meter_imported_kwh": _times("plant.counters.imported_wh", 1e-3),
    }
    for phase in "abc":
        values[f"meter_phase_{phase}_voltage_v"] = attrgetter("plant.grid_voltage_v")
        values[f"meter_phase_{phase}_current_a"] = lambda device: (
            device.plant.flows.export_w / 3.0 / device.plant.grid_voltage_v
        )
        values[f"meter_phase_{phase}_power_w"] = _times("plant.flows.export_w", 1.0 / 3.0)
    for pair in ("ab", "bc", "ca"):
        values[f"meter_line_voltage_{pair}_v"] = _times("plant.grid_voltage_v", SQRT_3)
    return values
