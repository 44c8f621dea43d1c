"""Every figure of a device's limits: its unit, its outer bounds with the reason, and where its default comes from.

Data only: `DeviceLimits` refuses by it, and docs/safety.md is generated from it. What no source gives is called the
project's choice.
"""

from __future__ import annotations

from typing import NamedTuple


class Bound(NamedTuple):
    """What configuration may set a field to, and why not more; and the source of its default."""

    low: float
    high: float
    why: str
    unit: str
    source: str


_FLAP = "less lets a direction flap, more wastes the battery"
_CHOICE = "project's choice"
_GRID_CODE = "NTCO-PMGD 2026 (Chile, 50 Hz)"
_NO_GRID = "no public grid leaves this range and is still there"

OUTER_BOUNDS: dict[str, Bound] = {
    "soc_min_pct": Bound(
        5,
        50,
        "a LUNA2000 kept below 5 % must be recharged within 7 days",
        "%",
        "LUNA2000-(7,14,21)-S1 manual 7.5",
    ),
    "soc_max_pct": Bound(
        50, 100, "100 % is full", "%", f"{_CHOICE}: room for the error of an SOC estimate near full"
    ),
    "soc_hysteresis_pct": Bound(0.5, 10, _FLAP, "%", _CHOICE),
    "soc_min_band_pct": Bound(
        0, 30, "a wider band wastes the battery", "%", f"{_CHOICE}: from 10 % down to 5 %"
    ),
    "soc_max_band_pct": Bound(
        0, 30, "a wider band wastes the battery", "%", f"{_CHOICE}: from 95 % up to 98 %"
    ),
    "charge_min_c": Bound(
        0,
        30,
        "LFP cells must not be charged below 0 degC",
        "degC",
        "EVE LF280N and Lishen cells: 0 to 60 degC; Sunland prohibits charging below 0",
    ),
    "charge_max_c": Bound(
        20,
        60,
        "LFP cell data sheets allow charging up to 60 degC",
        "degC",
        "Victron LFP pack: +5 to +50 degC",
    ),
    "discharge_min_c": Bound(
        -20,
        30,
        "LFP packs are specified for discharge down to -20 degC",
        "degC",
        f"{_CHOICE}, inside the -20 degC of the Victron LFP pack",
    ),
    "discharge_max_c": Bound(
        20,
        60,
        "LFP cell data sheets allow discharging up to 60 degC",
        "degC",
        "Victron LFP pack: -20 to +50 degC",
    ),
    "temperature_hysteresis_k": Bound(1, 10, _FLAP, "K", _CHOICE),
    "cold_band_k": Bound(
        0,
        30,
        "a wider band wastes the battery",
        "K",
        "Alpha APL48-50LFP: a tenth of the current from 0 to 10 degC; linear is the project's choice",
    ),
    "hot_band_k": Bound(
        0, 20, "a wider band wastes the battery", "K", f"{_CHOICE}: from 45 degC up to 50 degC"
    ),
    "trip_high_c": Bound(
        30,
        60,
        "no LFP cell data sheet allows more than 60 degC",
        "degC",
        f"{_CHOICE}, below the 60 degC of LFP cell data sheets",
    ),
    "trip_low_c": Bound(
        -30,
        0,
        "no LFP cell data sheet is relied on below -30 degC",
        "degC",
        "lower end of the Victron LFP pack",
    ),
    "heating_derate_k_per_min": Bound(
        0.2, 5, "less slows a battery that only works, more comes too late", "K/min", _CHOICE
    ),
    "heating_trip_k_per_min": Bound(
        0.5, 10, "a battery that heats faster is in danger", "K/min", _CHOICE
    ),
    "heating_s": Bound(
        0,
        30,
        "a battery that heats must not be waited for",
        "s",
        f"{_CHOICE}: outlasts a false reading",
    ),
    "battery_min_v": Bound(
        0,
        1500,
        "the registers hold no more than 1500 V",
        "V",
        f"{_CHOICE}, below any pack of 16 cells; set cells in series x 2.5 V (Lishen cell)",
    ),
    "battery_max_v": Bound(
        10,
        1500,
        "low-voltage equipment ends at 1500 V DC",
        "V",
        f"{_CHOICE}, above a LUNA2000's bus; set cells in series x 3.65 V (Lishen cell)",
    ),
    "max_charge_a": Bound(
        1, 1000, "the registers hold no more than 1000 A", "A", f"{_CHOICE}: 5 kW at 42 V"
    ),
    "max_discharge_a": Bound(
        1, 1000, "the registers hold no more than 1000 A", "A", f"{_CHOICE}: 5 kW at 42 V"
    ),
    "max_charge_w": Bound(
        0,
        1e6,
        "one device never has more than 1 MW",
        "W",
        f"{_CHOICE}; the device's own limit holds beside it",
    ),
    "max_discharge_w": Bound(
        0,
        1e6,
        "one device never has more than 1 MW",
        "W",
        f"{_CHOICE}; the device's own limit holds beside it",
    ),
    "overload_pct": Bound(
        100, 150, "forced power beyond that is out of hand", "%", f"{_CHOICE}: control error"
    ),
    "overload_s": Bound(0, 10, "an overload must be answered", "s", _CHOICE),
    "ramp_pct_per_min": Bound(
        1,
        6000,
        "no inverter follows faster, and slower than 1 % a minute is a standstill",
        "%/min",
        f"{_CHOICE}: full power in 1 s, faster than a LUNA2000 follows; grid codes ask for 10 to 20",
    ),
    "ramp_down_s": Bound(
        0,
        60,
        "a request that has ended must not go on for longer",
        "s",
        f"{_CHOICE}: a LUNA2000 takes some 20 s for a step by itself",
    ),
    "deadband_w": Bound(
        1,
        1000,
        "a larger flow into a closed direction must be answered",
        "W",
        f"{_CHOICE}: stand-by and measuring error",
    ),
    "frequency_min_hz": Bound(45, 65, _NO_GRID, "Hz", f"{_GRID_CODE} 9-11: 49.0 to 51.0 for ever"),
    "frequency_max_hz": Bound(45, 65, _NO_GRID, "Hz", f"{_GRID_CODE} 9-11: 49.0 to 51.0 for ever"),
    "frequency_hysteresis_hz": Bound(0.01, 1, _FLAP, "Hz", _CHOICE),
    "frequency_lost_min_hz": Bound(
        45, 65, _NO_GRID, "Hz", f"{_GRID_CODE} 9-11: may disconnect below 47.5"
    ),
    "frequency_lost_max_hz": Bound(
        45, 65, _NO_GRID, "Hz", f"{_GRID_CODE} 9-11: may disconnect above 51.5"
    ),
    "reconnect_min_hz": Bound(45, 65, _NO_GRID, "Hz", f"{_GRID_CODE} 9-13: 49.6 to 50.4"),
    "reconnect_max_hz": Bound(45, 65, _NO_GRID, "Hz", f"{_GRID_CODE} 9-13: 49.6 to 50.4"),
    "reconnect_s": Bound(
        0,
        3600,
        "a grid that stays away for an hour is another matter",
        "s",
        f"{_GRID_CODE} 9-13: 5 min",
    ),
    "grid_min_v": Bound(
        50,
        1000,
        "less is no grid, and more no low voltage",
        "V",
        f"90 % ({_GRID_CODE} 9-10) of 220 V; set 90 % of yours",
    ),
    "grid_max_v": Bound(
        100,
        1000,
        "low voltage ends at 1000 V",
        "V",
        f"110 % ({_GRID_CODE} 9-10) of 400 V; set 110 % of yours",
    ),
    "grid_hysteresis_v": Bound(
        0.5, 50, _FLAP, "V", f"{_CHOICE}; {_GRID_CODE} 9-13 reconnects from 94 % to 106 %"
    ),
    "grid_delay_s": Bound(
        0, 10, "the inverter's own protection is done by then", "s", f"{_GRID_CODE} 9-10: 1 to 2 s"
    ),
    "disagreement_pct": Bound(
        5, 50, "less finds rounding, more finds nothing", "%", f"{_CHOICE}: looser than profiles"
    ),
    "disagreement_w": Bound(
        10, 5000, "less finds rounding, more finds nothing", "W", f"{_CHOICE}: looser than profiles"
    ),
    "disagreement_s": Bound(
        0, 30, "registers are at most some seconds apart", "s", f"{_CHOICE}: late registers"
    ),
    "soc_disagreement_pct": Bound(
        2, 20, "less finds corrections of the device, more finds nothing", "%", _CHOICE
    ),
    "reconsider_s": Bound(
        10, 3600, "what was found false needs time to be believed again", "s", _CHOICE
    ),
    "capacity_kwh": Bound(
        0.5,
        4000,
        "one device is no larger than a container",
        "kWh",
        "none: direction alone is judged",
    ),
    "frozen_s": Bound(
        30,
        1800,
        "less finds a steady battery, more finds nothing",
        "s",
        f"{_CHOICE}: at 5 kW and 10 kWh SOC moves by 2.5 % in that time",
    ),
    "stale_after_s": Bound(
        0.1, 10, "an older measurement says nothing about the battery now", "s", _CHOICE
    ),
    "good_cycles": Bound(1, 100, "at least one measurement must be seen", "", _CHOICE),
    "lease_s": Bound(0.2, 30, "a silent safety actor must end a set-point soon", "s", _CHOICE),
    "reassert_s": Bound(0.1, 10, "an unanswered safe command must be repeated soon", "s", _CHOICE),
}
"""By field of `DeviceLimits`. A test holds that every field is here."""
