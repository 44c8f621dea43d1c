"""The SUN2000/LUNA2000 holding registers that the simulated device serves (public register document and field reports).

Documented registers are points. `RESERVED` lists the undocumented registers inside blocks that are known to be readable
in one request in the field; they read 0. Every other address is a hole and answers exception 2.
"""

from __future__ import annotations

from bessai.simulator.register_map import RegisterMap
from bessai.simulator.registers import Point, RegisterType

_TABLE = """
30000 15 STR 1 R model
30015 10 STR 1 R serial_number
30025 10 STR 1 R part_number
30035 15 STR 1 R firmware_version
30050 15 STR 1 R software_version
30068 2 U32 1 R protocol_version
30070 1 U16 1 R model_id
30071 1 U16 1 R pv_strings
30072 1 U16 1 R mpp_trackers
30073 2 U32 1 R rated_power_w
30075 2 U32 1 R max_active_power_w
30077 2 U32 1 R max_apparent_power_va
30079 2 I32 1 R max_reactive_to_grid_var
30081 2 I32 1 R max_reactive_from_grid_var
31000 15 STR 1 R hardware_version
31015 10 STR 1 R monitoring_serial_number
31025 15 STR 1 R monitoring_version
31040 15 STR 1 R dsp_version
31055 15 STR 1 R slave_dsp_version
32000 1 B16 1 R state_1
32002 1 B16 1 R state_2
32003 2 B32 1 R state_3
32008 1 B16 1 R alarm_1
32009 1 B16 1 R alarm_2
32010 1 B16 1 R alarm_3
32064 2 I32 1 R pv_power_w
32066 1 U16 10 R line_voltage_ab_v
32067 1 U16 10 R line_voltage_bc_v
32068 1 U16 10 R line_voltage_ca_v
32069 1 U16 10 R phase_a_voltage_v
32070 1 U16 10 R phase_b_voltage_v
32071 1 U16 10 R phase_c_voltage_v
32072 2 I32 1000 R phase_a_current_a
32074 2 I32 1000 R phase_b_current_a
32076 2 I32 1000 R phase_c_current_a
32078 2 I32 1 R peak_power_today_w
32080 2 I32 1 R ac_power_w
32082 2 I32 1 R reactive_power_var
32084 1 I16 1000 R power_factor
32085 1 U16 100 R grid_frequency_hz
32086 1 U16 100 R efficiency_pct
32087 1 I16 10 R internal_temperature_c
32088 1 U16 1000 R insulation_resistance_mohm
32089 1 U16 1 R device_status
32090 1 U16 1 R fault_code
32091 2 U32 1 R startup_time_s
32093 2 U32 1 R shutdown_time_s
32095 2 I32 1 R ac_power_fast_w
32106 2 U32 100 R accumulated_yield_kwh
32108 2 U32 100 R total_dc_input_kwh
32112 2 U32 100 R hourly_yield_kwh
32114 2 U32 100 R daily_yield_kwh
32116 2 U32 100 R monthly_yield_kwh
32118 2 U32 100 R yearly_yield_kwh
32172 2 U32 1 R latest_alarm_number
32174 2 U32 1 R latest_past_alarm_number
32176 1 I16 10 R dc_bus_voltage_v
35300 1 U16 1 R active_adjustment_mode
35301 2 U32 1 R active_adjustment_value
35303 1 U16 1 R active_adjustment_command
35304 1 U16 1 R reactive_adjustment_mode
35305 2 U32 1 R reactive_adjustment_value
35307 1 U16 1 R reactive_adjustment_command
37000 1 U16 1 R esu1_running_status
37001 2 I32 1 R esu1_power_w
37003 1 U16 10 R esu1_voltage_v
37004 1 U16 10 R esu1_soc_pct
37006 1 U16 1 R esu1_working_mode
37007 2 U32 1 R esu1_rated_charge_w
37009 2 U32 1 R esu1_rated_discharge_w
37014 1 U16 1 R esu1_fault_id
37015 2 U32 100 R esu1_charged_today_kwh
37017 2 U32 100 R esu1_discharged_today_kwh
37021 1 I16 10 R esu1_current_a
37022 1 I16 10 R esu1_temperature_c
37025 1 U16 1 R esu1_remaining_min
37026 10 STR 1 R esu1_dcdc_version
37036 10 STR 1 R esu1_bms_version
37046 2 U32 1 R max_charge_w
37048 2 U32 1 R max_discharge_w
37052 10 STR 1 R esu1_serial_number
37066 2 U32 100 R esu1_charged_total_kwh
37068 2 U32 100 R esu1_discharged_total_kwh
37100 1 U16 1 R meter_status
37101 2 I32 10 R meter_phase_a_voltage_v
37103 2 I32 10 R meter_phase_b_voltage_v
37105 2 I32 10 R meter_phase_c_voltage_v
37107 2 I32 100 R meter_phase_a_current_a
37109 2 I32 100 R meter_phase_b_current_a
37111 2 I32 100 R meter_phase_c_current_a
37113 2 I32 1 R meter_power_w
37115 2 I32 1 R meter_reactive_power_var
37117 1 I16 1000 R meter_power_factor
37118 1 I16 100 R meter_frequency_hz
37119 2 I32 100 R meter_exported_kwh
37121 2 I32 100 R meter_imported_kwh
37123 2 I32 100 R meter_reactive_kvarh
37125 1 U16 1 R meter_type
37126 2 I32 10 R meter_line_voltage_ab_v
37128 2 I32 10 R meter_line_voltage_bc_v
37130 2 I32 10 R meter_line_voltage_ca_v
37132 2 I32 1 R meter_phase_a_power_w
37134 2 I32 1 R meter_phase_b_power_w
37136 2 I32 1 R meter_phase_c_power_w
37138 1 U16 1 R meter_model_check
37700 10 STR 1 R esu2_serial_number
37738 1 U16 10 R esu2_soc_pct
37741 1 U16 1 R esu2_running_status
37743 2 I32 1 R esu2_power_w
37746 2 U32 100 R esu2_charged_today_kwh
37748 2 U32 100 R esu2_discharged_today_kwh
37750 1 U16 10 R esu2_voltage_v
37751 1 I16 10 R esu2_current_a
37752 1 I16 10 R esu2_temperature_c
37753 2 U32 100 R esu2_charged_total_kwh
37755 2 U32 100 R esu2_discharged_total_kwh
37758 2 U32 1 R rated_capacity_wh
37760 1 U16 10 R storage_soc_pct
37762 1 U16 1 R storage_running_status
37763 1 U16 10 R storage_voltage_v
37764 1 I16 10 R storage_current_a
37765 2 I32 1 R storage_power_w
37780 2 U32 100 R storage_charged_total_kwh
37782 2 U32 100 R storage_discharged_total_kwh
37784 2 U32 100 R storage_charged_today_kwh
37786 2 U32 100 R storage_discharged_today_kwh
37799 15 STR 1 R esu2_software_version
37814 15 STR 1 R esu1_software_version
37920 1 U16 1 R esu1_pack1_soh_calibration
37921 1 U16 1 R esu1_pack2_soh_calibration
37922 1 U16 1 R esu1_pack3_soh_calibration
37923 1 U16 1 R esu2_pack1_soh_calibration
37924 1 U16 1 R esu2_pack2_soh_calibration
37925 1 U16 1 R esu2_pack3_soh_calibration
37926 1 U16 1 R storage_soh_calibration
37927 1 U16 10 R soh_lower_soc_pct
37928 1 U16 10 R soh_backup_soc_pct
40000 2 U32 1 R system_time_s
43006 1 I16 1 R time_zone_min
47000 1 U16 1 R esu1_product_model
47004 1 I16 1 R legacy_working_mode
47027 1 I16 1 R lg_price_enabled
47028 41 MLD 1 W lg_price_periods
47075 2 U32 1 W max_charging_power_w
47077 2 U32 1 W max_discharging_power_w
47079 2 I32 1 R grid_tied_point_limit_w
47081 1 U16 10 W charging_cutoff_soc_pct
47082 1 U16 10 W discharge_cutoff_soc_pct
47083 1 U16 1 W forced_period_min
47084 2 I32 1 R forced_power_legacy_w
47086 1 U16 1 W working_mode
47087 1 U16 1 W charge_from_grid
47088 1 U16 10 W grid_charge_cutoff_soc_pct
47089 1 U16 1 R esu2_product_model
47100 1 U16 1 W forced_mode
47101 1 U16 10 W forced_target_soc_pct
47102 1 U16 10 W backup_soc_pct
47107 1 U16 1 R esu1_number
47108 1 U16 1 R esu2_number
47200 41 MLD 1 W fixed_power_periods
47242 2 U32 1 W grid_charge_power_w
47244 2 U32 1 W max_grid_charge_power_w
47246 1 U16 1 W forced_setting_mode
47247 2 U32 1 W forced_charge_power_w
47249 2 U32 1 W forced_discharge_power_w
47255 43 MLD 1 W luna_periods
47299 1 U16 1 W excess_pv_in_tou
47415 1 U16 1 W active_power_control_mode
47416 2 I32 1 W max_feed_in_power_w
47418 1 I16 10 W max_feed_in_pct
47589 1 I16 1 W remote_control_mode
47590 2 U32 1 W dongle_max_grid_charge_w
47675 2 I32 1 W default_max_feed_in_power_w
47677 2 U32 1000 R active_power_gradient_pct_per_s
47750 1 U16 1 R esu1_pack1_number
47751 1 U16 1 R esu1_pack2_number
47752 1 U16 1 R esu1_pack3_number
47753 1 U16 1 R esu2_pack1_number
47754 1 U16 1 R esu2_pack2_number
47755 1 U16 1 R esu2_pack3_number
"""

_PACK = """
0 10 STR 1 R serial_number
10 15 STR 1 R firmware
28 1 U16 1 R working_status
29 1 U16 10 R soc_pct
33 2 I32 1 R power_w
35 1 U16 10 R voltage_v
36 1 I16 10 R current_a
38 2 U32 100 R charged_total_kwh
40 2 U32 100 R discharged_total_kwh
"""
"""One pack, by its offset."""

MAX_STRINGS, MAX_TRACKERS = 24, 10
MAX_UNITS, MAX_PACKS = 2, 3
TABLES = {"lg_price_periods": 10, "fixed_power_periods": 10, "luna_periods": 14}
"""The most periods that each table holds; its first register tells how many it does."""

RESERVED: tuple[range, ...] = (
    range(30000, 30083),
    range(32000, 32011),
    range(32016, 32120),
    range(37000, 37023),
    range(37100, 37138),
    range(37758, 37788),
    range(37738, 37753),
    *(range(first + 28, first + 42) for first in range(38200, 38452, 42)),
    range(47101, 47107),
)
"""Blocks that answer in one read in the field, whose undocumented registers therefore exist."""


def _parse(line: str, *, first: int = 0, prefix: str = "") -> Point:
    address, count, kind, gain, access, name = line.split()
    return Point(
        name=prefix + name,
        address=first + int(address),
        count=int(count),
        type=RegisterType(kind),
        gain=int(gain),
        writable=access == "W",
    )


def _strings() -> list[str]:
    lines = []
    for number in range(1, MAX_STRINGS + 1):
        lines.append(f"{32014 + 2 * number} 1 I16 10 R pv{number}_voltage_v")
        lines.append(f"{32015 + 2 * number} 1 I16 100 R pv{number}_current_a")
    trackers = range(1, MAX_TRACKERS + 1)
    return lines + [
        f"{32210 + 2 * number} 2 U32 100 R mppt{number}_energy_kwh" for number in trackers
    ]


def _packs() -> list[Point]:
    points = []
    for place in range(MAX_UNITS * MAX_PACKS):
        prefix = f"esu{place // MAX_PACKS + 1}_pack{place % MAX_PACKS + 1}_"
        lines = [
            *_PACK.strip().splitlines(),
            f"{252 - 40 * place} 1 I16 10 R max_temperature_c",
            f"{253 - 40 * place} 1 I16 10 R min_temperature_c",
        ]
        points += [_parse(line, first=38200 + 42 * place, prefix=prefix) for line in lines]
    return points


_ALIASES: dict[str, tuple[str, ...]] = {
    "soc_pct": ("esu1_soc_pct", "storage_soc_pct", "esu1_pack1_soc_pct"),
    "battery_temperature_c": (
        "esu1_temperature_c",
        "esu1_pack1_max_temperature_c",
        "esu1_pack1_min_temperature_c",
    ),
    "battery_power_w": ("esu1_power_w", "storage_power_w", "esu1_pack1_power_w"),
    "battery_voltage_v": ("esu1_voltage_v", "storage_voltage_v", "esu1_pack1_voltage_v"),
    "battery_current_a": ("esu1_current_a", "storage_current_a", "esu1_pack1_current_a"),
    "running_status": ("esu1_running_status", "storage_running_status"),
    "grid_export_w": ("meter_power_w",),
    "active_power_w": ("ac_power_w", "ac_power_fast_w"),
}
"""One physical quantity that several registers of unit and pack 1 report; spoofing the alias spoofs them all."""


HUAWEI = RegisterMap(
    [*(_parse(line) for line in (*_TABLE.strip().splitlines(), *_strings())), *_packs()],
    reserved=RESERVED,
    aliases=_ALIASES,
)
"""A SUN2000 with up to 24 PV strings and one or two LUNA2000 of up to three packs; what a device lacks reads 0."""
