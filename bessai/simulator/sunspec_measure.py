"""What a simulated SunSpec device reports, from the physics; a point that is not here is not implemented."""

from __future__ import annotations

from typing import Protocol

from bessai.simulator.physics import BatteryModel
from bessai.simulator.plant import Plant
from bessai.simulator.registers import Value
from bessai.simulator.sunspec_control import SunSpecControl
from bessai.simulator.sunspec_map import MODULES, STRINGS

SQRT_3 = 3.0**0.5
PHASES = {101: "A", 102: "AB", 103: "ABC", 111: "A", 112: "AB", 113: "ABC"}
"""The phases of each inverter model."""
LINES = {1: (), 2: ("AB",), 3: ("AB", "BC", "CA")}
"""Pairs of phases with a voltage between them, by how many phases there are."""
PV_AND_STORAGE = 82
"""120.DERTyp."""
THREE_PHASES, LITHIUM_ION, CONNECTED, REMOTE = 2, 4, 3, 0
"""701.ACType, 802.Typ, 802.State, 802.LocRemCtl."""
ST_MPPT, ST_STANDBY = 4, 8
"""103.St and 160.DCSt."""
INVERTER_RUNNING = 3
"""701.InvSt."""
CHARGING, DISCHARGING, HOLDING = 4, 3, 6
"""124.ChaSt and 802.ChaSt."""
IDLE_W = 10.0
"""Below this battery power the storage reports that it holds."""
VOLT_PER_STRING = 600.0
MODULE_NAMES = ("MPPT 1", "MPPT 2", "StCha 3", "StDisCha 4")
"""As one manufacturer names strings and battery of a hybrid."""


class Reported(Protocol):
    """The device whose state is reported."""

    battery: BatteryModel
    plant: Plant
    control: SunSpecControl
    alarms: dict[str, Value]
    models: frozenset[int]


def identity(manufacturer: str, serial_number: str) -> dict[str, Value]:
    """Return who the device says it is."""
    return {
        "1.Mn": manufacturer,
        "1.Md": "Simulated Hybrid 10",
        "1.Opt": "",
        "1.Vr": "1.0.0",
        "1.SN": serial_number,
        "1.DA": 1,
    }


def measure(device: Reported) -> dict[str, Value]:
    """Return the value of everything that the device implements, by point name."""
    return {
        **_inverter(device),
        **_ratings(device),
        **_storage(device),
        **_modules(device),
        **_bank(device),
        **_der(device),
        **device.control.settings,
        "704.WSetRvrtRem": _remaining(device),
    }


def _inverter(device: Reported) -> dict[str, Value]:
    """Return whichever of the models 101 to 103 and 111 to 113 the device has: on one, two or three phases."""
    values: dict[str, Value] = {}
    for model in PHASES.keys() & device.models:
        common, phases = _inverter_common(device), PHASES[model]
        volt = device.plant.grid_voltage_v
        current_a = abs(device.plant.flows.ac_w) / len(phases) / volt
        common["A"] = current_a * len(phases)
        for phase in phases:
            common[f"Aph{phase}"] = current_a
            common[f"PhVph{phase}"] = volt
        for pair in LINES[len(phases)]:
            common[f"PPVph{pair}"] = volt * (SQRT_3 if len(phases) > 2 else 2.0)  # noqa: PLR2004
        values |= {f"{model}.{name}": value for name, value in common.items()}
    return values


def _inverter_common(device: Reported) -> dict[str, Value]:
    plant = device.plant
    ac_w = plant.flows.ac_w
    return {
        "W": ac_w,
        "Hz": plant.grid_frequency_hz,
        "VA": abs(ac_w),
        "VAr": 0,
        "PF": 100.0,
        "WH": plant.counters.ac_yield_wh,
        "DCW": plant.flows.pv_w - device.battery.power_w,
        "TmpCab": plant.ambient_c + 10.0,
        "St": ST_MPPT if plant.flows.pv_w > 0 else ST_STANDBY,
        "Evt1": int(device.alarms["inverter"]),
        "Evt2": 0,
    }


def _ratings(device: Reported) -> dict[str, Value]:
    """Return models 120, 121 and 123; the last two of the nameplate are those of the battery."""
    rated_w, battery = device.plant.rated_ac_w, device.battery.spec
    quadrants = {
        f"120.VArRtgQ{quadrant}": rated_w * (0.6 if quadrant < 3 else -0.6)  # noqa: PLR2004
        for quadrant in range(1, 5)
    }
    factors = {f"120.PFRtgQ{quadrant}": 0.8 for quadrant in range(1, 5)}
    return {
        **quadrants,
        **factors,
        "120.DERTyp": PV_AND_STORAGE,
        "120.WRtg": rated_w,
        "120.VARtg": rated_w,
        "120.ARtg": rated_w / 3.0 / 230.0,
        "120.WHRtg": battery.capacity_wh,
        "120.MaxChaRte": battery.rated_charge_w,
        "120.MaxDisChaRte": battery.rated_discharge_w,
        "121.WMax": rated_w,
        "121.VRef": 230.0,
        "121.VRefOfs": 0,
        "123.Conn": 1,
        "123.WMaxLimPct": 100.0,
        "123.WMaxLim_Ena": 0,
        "123.OutPFSet": 1.0,
        "123.OutPFSet_Ena": 0,
        "123.VArPct_Ena": 0,
    }


def _storage(device: Reported) -> dict[str, Value]:
    """Return what models 124 and 802 measure."""
    battery = device.battery
    spec, state = battery.spec, _charge_state(battery.power_w)
    return {
        "124.WChaMax": spec.rated_charge_w,
        "124.WChaGra": 100,
        "124.WDisChaGra": 100,
        "124.ChaState": battery.soc_pct,
        "124.InBatV": battery.voltage_v,
        "124.ChaSt": state,
        "802.AHRtg": spec.capacity_wh / spec.nominal_voltage_v,
        "802.WHRtg": spec.capacity_wh,
        "802.WChaRteMax": spec.rated_charge_w,
        "802.WDisChaRteMax": spec.rated_discharge_w,
        "802.SoC": battery.soc_pct,
        "802.DoD": 100.0 - battery.soc_pct,
        "802.SoH": 100,
        "802.ChaSt": state,
        "802.LocRemCtl": REMOTE,
        "802.AlmRst": 0,
        "802.Typ": LITHIUM_ION,
        "802.State": CONNECTED,
        "802.Evt1": int(device.alarms["battery"]),
        "802.Evt2": 0,
        "802.EvtVnd1": 0,
        "802.EvtVnd2": 0,
        "802.V": battery.voltage_v,
        "802.A": -battery.current_a,
        "802.W": -battery.power_w,
        "802.SetOp": 1,
        "802.SetInvState": 3,
    }


def _modules(device: Reported) -> dict[str, Value]:
    """Return model 160: two strings share the sun, and the battery has a module for either direction."""
    plant, battery, counters = device.plant, device.battery, device.plant.counters
    string_v = VOLT_PER_STRING if plant.flows.pv_w > 0 else 0.0
    half_w = plant.flows.pv_w / 2.0
    flows = (
        (half_w, string_v, counters.pv_wh / 2.0),
        (half_w, string_v, counters.pv_wh / 2.0),
        (max(battery.power_w, 0.0), battery.voltage_v, counters.charged_wh),
        (max(-battery.power_w, 0.0), battery.voltage_v, counters.discharged_wh),
    )
    values: dict[str, Value] = {"160.N": MODULES, "160.Evt": 0, "160.TmsPer": 0}
    for number, (power_w, volt, energy_wh) in enumerate(flows, 1):
        module = f"160.module.{number}"
        values |= {
            f"{module}.ID": number,
            f"{module}.IDStr": MODULE_NAMES[number - 1],
            f"{module}.DCA": power_w / volt if volt > 0 else 0.0,
            f"{module}.DCV": volt,
            f"{module}.DCW": power_w,
            f"{module}.DCWH": energy_wh,
            f"{module}.Tmp": plant.ambient_c + 8.0,
            f"{module}.DCSt": ST_MPPT,
            f"{module}.DCEvt": 0,
        }
    return values


def _bank(device: Reported) -> dict[str, Value]:
    """Return model 803."""
    battery = device.battery
    values: dict[str, Value] = {
        "803.NStr": STRINGS,
        "803.NStrCon": STRINGS,
        "803.ModTmpMax": battery.temperature_c,
        "803.ModTmpMin": battery.temperature_c,
        "803.ModTmpAvg": battery.temperature_c,
    }
    for string in range(1, STRINGS + 1):
        place = f"803.string.{string}"
        values |= {
            f"{place}.StrNMod": 4,
            f"{place}.StrSt": 3,
            f"{place}.StrSoC": battery.soc_pct,
            f"{place}.StrA": -battery.current_a / STRINGS,
            f"{place}.StrModTmpMax": battery.temperature_c,
            f"{place}.StrModTmpMin": battery.temperature_c,
            f"{place}.StrModTmpAvg": battery.temperature_c,
            f"{place}.StrEvt1": 0,
        }
    return values


def _der(device: Reported) -> dict[str, Value]:
    """Return models 701, 702 and 713."""
    plant, battery = device.plant, device.battery
    ac_w, volt, counters = plant.flows.ac_w, plant.grid_voltage_v, plant.counters
    values: dict[str, Value] = {
        "701.ACType": THREE_PHASES,
        "701.St": 1,
        "701.InvSt": INVERTER_RUNNING,
        "701.ConnSt": 1,
        "701.Alrm": int(device.alarms["inverter"]),
        "701.W": ac_w,
        "701.VA": abs(ac_w),
        "701.Var": 0,
        "701.PF": 1.0,
        "701.A": abs(ac_w) / volt,
        "701.LLV": volt * SQRT_3,
        "701.LNV": volt,
        "701.Hz": plant.grid_frequency_hz,
        "701.TotWhInj": counters.ac_yield_wh,
        "701.TmpCab": plant.ambient_c + 10.0,
        "702.WMaxRtg": plant.rated_ac_w,
        "702.WMax": plant.rated_ac_w,
        "702.WChaRteMaxRtg": battery.spec.rated_charge_w,
        "702.WDisChaRteMaxRtg": battery.spec.rated_discharge_w,
        "702.WChaRteMax": battery.spec.rated_charge_w,
        "702.WDisChaRteMax": battery.spec.rated_discharge_w,
        "713.WHRtg": battery.spec.capacity_wh,
        "713.WHAvail": battery.energy_wh,
        "713.SoC": battery.soc_pct,
        "713.SoH": 100.0,
        "713.Sta": 0,
    }
    for phase, pair in (("L1", "L1L2"), ("L2", "L2L3"), ("L3", "L3L1")):
        values[f"701.W{phase}"] = ac_w / 3.0
        values[f"701.V{phase}"] = volt
        values[f"701.V{pair}"] = volt * SQRT_3
    return values


def _charge_state(power_w: float) -> int:
    if abs(power_w) < IDLE_W:
        return HOLDING
    return CHARGING if power_w > 0 else DISCHARGING


def _remaining(device: Reported) -> float:
    left_s = device.control.remaining_s
    enabled = device.control.settings["704.WSetEna"]
    return round(left_s) if enabled and left_s < float("inf") else 0
