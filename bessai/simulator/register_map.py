"""The SUN2000/LUNA2000 holding registers that the simulated device serves (public register document and field reports).

Documented registers are points. `RESERVED` lists the undocumented registers inside blocks that are known to be readable
in one request in the field; they read 0. Every other address is a hole and answers exception 2.
"""

from __future__ import annotations

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
32000 1 B16 1 R state_1
32002 1 B16 1 R state_2
32003 2 B32 1 R state_3
32008 1 B16 1 R alarm_1
32009 1 B16 1 R alarm_2
32010 1 B16 1 R alarm_3
32016 1 I16 10 R pv1_voltage_v
32017 1 I16 100 R pv1_current_a
32018 1 I16 10 R pv2_voltage_v
32019 1 I16 100 R pv2_current_a
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
38200 10 STR 1 R pack1_serial_number
38210 15 STR 1 R pack1_firmware
38228 1 U16 1 R pack1_working_status
38229 1 U16 10 R pack1_soc_pct
38233 2 I32 1 R pack1_power_w
38235 1 U16 10 R pack1_voltage_v
38236 1 I16 10 R pack1_current_a
38238 2 U32 100 R pack1_charged_total_kwh
38240 2 U32 100 R pack1_discharged_total_kwh
38452 1 I16 10 R pack1_max_temperature_c
38453 1 I16 10 R pack1_min_temperature_c
40000 2 U32 1 R system_time_s
47000 1 U16 1 R esu1_product_model
47004 1 I16 1 R legacy_working_mode
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
47242 2 U32 1 W grid_charge_power_w
47244 2 U32 1 W max_grid_charge_power_w
47246 1 U16 1 W forced_setting_mode
47247 2 U32 1 W forced_charge_power_w
47249 2 U32 1 W forced_discharge_power_w
47299 1 U16 1 W excess_pv_in_tou
47415 1 U16 1 W active_power_control_mode
47416 2 I32 1 W max_feed_in_power_w
47418 1 I16 10 W max_feed_in_pct
47589 1 I16 1 W remote_control_mode
47590 2 U32 1 W dongle_max_grid_charge_w
47675 2 I32 1 W default_max_feed_in_power_w
47677 2 U32 1000 R active_power_gradient_pct_per_s
47750 1 U16 1 R esu1_pack1_number
"""

RESERVED: tuple[range, ...] = (
    range(30000, 30083),
    range(32000, 32011),
    range(32016, 32120),
    range(37000, 37023),
    range(37100, 37138),
    range(37758, 37788),
    range(38229, 38242),
    range(47101, 47107),
)
"""Blocks that answer in one read in the field, whose undocumented registers therefore exist."""


def _parse(line: str) -> Point:
    address, count, kind, gain, access, name = line.split()
    return Point(
        name=name,
        address=int(address),
        count=int(count),
        type=RegisterType(kind),
        gain=int(gain),
        writable=access == "W",
    )


POINTS: tuple[Point, ...] = tuple(_parse(line) for line in _TABLE.strip().splitlines())
"""Every documented register served, in order of address."""

BY_NAME: dict[str, Point] = {point.name: point for point in POINTS}

FIRST_ADDRESS = POINTS[0].address
END_ADDRESS = POINTS[-1].end

ALIASES: dict[str, tuple[str, ...]] = {
    "soc_pct": ("esu1_soc_pct", "storage_soc_pct", "pack1_soc_pct"),
    "battery_temperature_c": (
        "esu1_temperature_c",
        "pack1_max_temperature_c",
        "pack1_min_temperature_c",
    ),
    "battery_power_w": ("esu1_power_w", "storage_power_w", "pack1_power_w"),
    "battery_voltage_v": ("esu1_voltage_v", "storage_voltage_v", "pack1_voltage_v"),
    "battery_current_a": ("esu1_current_a", "storage_current_a", "pack1_current_a"),
    "running_status": ("esu1_running_status", "storage_running_status"),
    "grid_export_w": ("meter_power_w",),
    "active_power_w": ("ac_power_w", "ac_power_fast_w"),
}
"""One physical quantity that several registers report; spoofing the alias spoofs them all."""


def points_named(name: str) -> tuple[Point, ...]:
    """Return the points of a register name or of an alias.

    Raises:
        KeyError: with a message that lists the valid names.
    """
    if name in BY_NAME:
        return (BY_NAME[name],)
    if name in ALIASES:
        return tuple(BY_NAME[each] for each in ALIASES[name])
    msg = f"unknown register name {name!r}; valid: {', '.join([*ALIASES, *BY_NAME])}"
    raise KeyError(msg)
