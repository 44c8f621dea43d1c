"""What the device reports: every register's value computed from the physics, with the vendor's signs and units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessai.simulator.registers import Value

if TYPE_CHECKING:
    from bessai.simulator.device import SimulatedDevice

SQRT_3 = 3.0**0.5
STATE_1_ON_GRID = 0b110
"""32000: grid-connected, normally."""
STATE_2_RUNNING = 0b111
"""32002: unlocked, PV connected, DSP collects data."""
STATUS_ON_GRID = 0x0200
RUNNING_STANDBY, RUNNING = 1, 2
RUNNING_THRESHOLD_W = 10.0
"""Below this battery power the storage reports standby; a model parameter."""
LUNA2000 = 2
VOLT_PER_PV_STRING = 600.0
MODEL_ID = 425
"""In the documented range of the M0 and M1 models; which id is the 10KTL-M1 is not verified."""


def identity(serial_number: str, rated_power_w: float) -> dict[str, Value]:
    """Return what never changes: identity, ratings and versions of an SUN2000-10KTL-M1 with one LUNA2000."""
    return {
        "model": "SUN2000-10KTL-M1",
        "serial_number": serial_number,
        "part_number": "SIMULATED-PN",
        "firmware_version": "V100R001C00SPC141",
        "software_version": "V100R001C00SPC141",
        "protocol_version": 3,
        "model_id": MODEL_ID,
        "pv_strings": 2,
        "mpp_trackers": 2,
        "rated_power_w": rated_power_w,
        "max_active_power_w": rated_power_w * 1.1,
        "max_apparent_power_va": rated_power_w * 1.1,
        "max_reactive_to_grid_var": rated_power_w * 0.6,
        "max_reactive_from_grid_var": -rated_power_w * 0.6,
        "esu1_dcdc_version": "V100R002C00SPC120",
        "esu1_bms_version": "V100R002C00SPC120",
        "esu1_serial_number": f"B{serial_number}"[:20],
        "pack1_serial_number": f"P{serial_number}"[:20],
        "pack1_firmware": "V100R002C00SPC120",
        "esu1_product_model": LUNA2000,
        "esu2_product_model": 0,
        "esu1_number": 1,
        "esu2_number": 0,
        "esu1_pack1_number": 1,
        "meter_status": 1,
        "meter_type": 1,
        "meter_model_check": 1,
        "power_factor": 1.0,
        "meter_power_factor": 1.0,
        "insulation_resistance_mohm": 3.0,
        "efficiency_pct": 98.0,
        "state_1": STATE_1_ON_GRID,
        "state_2": STATE_2_RUNNING,
        "device_status": STATUS_ON_GRID,
        "active_power_gradient_pct_per_s": 100.0,
    }


def measure(device: SimulatedDevice) -> dict[str, Value]:
    """Return the values of all registers that change, by register name."""
    return {
        **_battery(device),
        **_battery_energies(device),
        **_inverter(device),
        **_meter(device),
        **device.control.settings,
        **device.alarms,
    }


def _battery(device: SimulatedDevice) -> dict[str, Value]:
    battery = device.battery
    voltage_v, current_a, power_w = battery.voltage_v, battery.current_a, battery.power_w
    status = RUNNING if abs(power_w) >= RUNNING_THRESHOLD_W else RUNNING_STANDBY
    soc_pct, temperature_c = battery.soc_pct, battery.temperature_c
    return {
        "esu1_running_status": status,
        "storage_running_status": status,
        "esu1_power_w": power_w,
        "storage_power_w": power_w,
        "pack1_power_w": power_w,
        "esu1_voltage_v": voltage_v,
        "storage_voltage_v": voltage_v,
        "pack1_voltage_v": voltage_v,
        "esu1_current_a": current_a,
        "storage_current_a": current_a,
        "pack1_current_a": current_a,
        "esu1_soc_pct": soc_pct,
        "storage_soc_pct": soc_pct,
        "pack1_soc_pct": soc_pct,
        "esu1_temperature_c": temperature_c,
        "pack1_max_temperature_c": temperature_c,
        "pack1_min_temperature_c": temperature_c,
        "esu1_working_mode": device.control.active_mode,
        "esu1_remaining_min": device.control.remaining_min,
        "esu1_rated_charge_w": battery.spec.rated_charge_w,
        "esu1_rated_discharge_w": battery.spec.rated_discharge_w,
        "rated_capacity_wh": battery.spec.capacity_wh,
        "max_charge_w": int(device.max_charge_w),
        "max_discharge_w": int(device.max_discharge_w),
    }


def _battery_energies(device: SimulatedDevice) -> dict[str, Value]:
    charged_kwh = device.plant.counters.charged_wh / 1000.0
    discharged_kwh = device.plant.counters.discharged_wh / 1000.0
    prefixes = {"esu1": ("total", "today"), "storage": ("total", "today"), "pack1": ("total",)}
    values: dict[str, Value] = {}
    for prefix, spans in prefixes.items():
        for span in spans:
            values[f"{prefix}_charged_{span}_kwh"] = charged_kwh
            values[f"{prefix}_discharged_{span}_kwh"] = discharged_kwh
    return values


def _inverter(device: SimulatedDevice) -> dict[str, Value]:
    plant = device.plant
    flows, counters, volt = plant.flows, plant.counters, plant.grid_voltage_v
    phase_current_a = flows.ac_w / 3.0 / volt
    string_v = VOLT_PER_PV_STRING if flows.pv_w > 0.0 else 0.0
    string_a = flows.pv_w / 2.0 / VOLT_PER_PV_STRING
    values: dict[str, Value] = {
        "pv_power_w": flows.pv_w,
        "pv1_voltage_v": string_v,
        "pv2_voltage_v": string_v,
        "pv1_current_a": string_a,
        "pv2_current_a": string_a,
        "ac_power_w": flows.ac_w,
        "ac_power_fast_w": flows.ac_w,
        "peak_power_today_w": plant.peak_ac_w,
        "grid_frequency_hz": plant.grid_frequency_hz,
        "internal_temperature_c": plant.ambient_c + 10.0,
        "startup_time_s": device.startup_time_s,
        "system_time_s": device.system_time_s,
        "total_dc_input_kwh": counters.pv_wh / 1000.0,
    }
    for phase in "abc":
        values[f"phase_{phase}_voltage_v"] = volt
        values[f"phase_{phase}_current_a"] = phase_current_a
    for pair in ("ab", "bc", "ca"):
        values[f"line_voltage_{pair}_v"] = volt * SQRT_3
    for span in ("accumulated", "hourly", "daily", "monthly", "yearly"):
        values[f"{span}_yield_kwh"] = counters.ac_yield_wh / 1000.0
    return values


def _meter(device: SimulatedDevice) -> dict[str, Value]:
    plant = device.plant
    export_w, volt = plant.flows.export_w, plant.grid_voltage_v
    values: dict[str, Value] = {
        "meter_power_w": export_w,
        "meter_frequency_hz": plant.grid_frequency_hz,
        "meter_exported_kwh": plant.counters.exported_wh / 1000.0,
        "meter_imported_kwh": plant.counters.imported_wh / 1000.0,
    }
    for phase in "abc":
        values[f"meter_phase_{phase}_voltage_v"] = volt
        values[f"meter_phase_{phase}_current_a"] = export_w / 3.0 / volt
        values[f"meter_phase_{phase}_power_w"] = export_w / 3.0
    for pair in ("ab", "bc", "ca"):
        values[f"meter_line_voltage_{pair}_v"] = volt * SQRT_3
    return values
