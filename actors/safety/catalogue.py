"""Every rule that is a limit of a signal. The first of several that hold is the one that is told."""

from __future__ import annotations

from actors.safety.rules import Action, Direction, Rule, Side

_SOC, _T, _W = "%", "degC", "W"
_FIRE = "thermal runaway"
_PLATING = "lithium plating of cold cells"
_AGEING = "ageing and gas in hot cells"
_EMPTY = "deep discharge"
_FULL = "overcharge"
_BLIND = "decisions on false values"

TRIPS = (
    Rule(
        name="trip_cold",
        hazard="cells frozen beyond what their maker tested",
        signal="battery_temperature_low_c",
        unit=_T,
        side=Side.BELOW,
        limit="trip_low_c",
        direction=Direction.BOTH,
        action=Action.TRIP,
    ),
    Rule(
        name="trip_hot",
        hazard=_FIRE,
        signal="battery_temperature_c",
        unit=_T,
        side=Side.ABOVE,
        limit="trip_high_c",
        direction=Direction.BOTH,
        action=Action.TRIP,
    ),
    Rule(
        name="trip_heating",
        hazard=_FIRE,
        signal="heating_k_per_min",
        unit="K/min",
        side=Side.ABOVE,
        limit="heating_trip_k_per_min",
        direction=Direction.BOTH,
        action=Action.TRIP,
        delay="heating_s",
    ),
)

GRID = (
    Rule(
        name="grid_lost_low",
        hazard="feeding or loading a grid that fails",
        signal="grid_frequency_hz",
        unit="Hz",
        side=Side.BELOW,
        limit="frequency_lost_min_hz",
        direction=Direction.BOTH,
        action=Action.STOP,
        back_at="reconnect_min_hz",
        delay="grid_delay_s",
        clear="reconnect_s",
    ),
    Rule(
        name="grid_lost_high",
        hazard="feeding or loading a grid that fails",
        signal="grid_frequency_hz",
        unit="Hz",
        side=Side.ABOVE,
        limit="frequency_lost_max_hz",
        direction=Direction.BOTH,
        action=Action.STOP,
        back_at="reconnect_max_hz",
        delay="grid_delay_s",
        clear="reconnect_s",
    ),
    Rule(
        name="grid_undervoltage",
        hazard="feeding or loading a grid that fails",
        signal="grid_voltage_v",
        unit="V",
        side=Side.BELOW,
        limit="grid_min_v",
        direction=Direction.BOTH,
        action=Action.STOP,
        hysteresis="grid_hysteresis_v",
        delay="grid_delay_s",
        clear="reconnect_s",
    ),
    Rule(
        name="grid_overvoltage",
        hazard="raising a voltage that is too high",
        signal="grid_voltage_v",
        unit="V",
        side=Side.ABOVE,
        limit="grid_max_v",
        direction=Direction.BOTH,
        action=Action.STOP,
        hysteresis="grid_hysteresis_v",
        delay="grid_delay_s",
        clear="reconnect_s",
    ),
    Rule(
        name="grid_underfrequency",
        hazard="loading a grid that lacks power",
        signal="grid_frequency_hz",
        unit="Hz",
        side=Side.BELOW,
        limit="frequency_min_hz",
        direction=Direction.CHARGE,
        hysteresis="frequency_hysteresis_hz",
        delay="grid_delay_s",
    ),
    Rule(
        name="grid_overfrequency",
        hazard="feeding a grid that has too much power",
        signal="grid_frequency_hz",
        unit="Hz",
        side=Side.ABOVE,
        limit="frequency_max_hz",
        direction=Direction.DISCHARGE,
        hysteresis="frequency_hysteresis_hz",
        delay="grid_delay_s",
    ),
)

DISAGREEMENTS = (
    Rule(
        name="power_disagrees",
        hazard=_BLIND,
        signal="power_disagreement_pct",
        unit="%",
        side=Side.ABOVE,
        limit="disagreement_pct",
        direction=Direction.BOTH,
        delay="disagreement_s",
    ),
    Rule(
        name="soc_disagrees",
        hazard=_BLIND,
        signal="soc_disagreement_pct",
        unit="%",
        side=Side.ABOVE,
        limit="soc_disagreement_pct",
        direction=Direction.BOTH,
        delay="disagreement_s",
        clear="reconsider_s",
    ),
    Rule(
        name="frozen",
        hazard=_BLIND,
        signal="unchanged_s",
        unit="s of full power",
        side=Side.ABOVE,
        limit="frozen_s",
        direction=Direction.BOTH,
    ),
)

CHARGE = (
    Rule(
        name="soc_max",
        hazard=_FULL,
        signal="soc_high_pct",
        unit=_SOC,
        side=Side.ABOVE,
        limit="soc_max_pct",
        direction=Direction.CHARGE,
        hysteresis="soc_hysteresis_pct",
    ),
    Rule(
        name="charge_cold",
        hazard=_PLATING,
        signal="battery_temperature_low_c",
        unit=_T,
        side=Side.BELOW,
        limit="charge_min_c",
        direction=Direction.CHARGE,
        hysteresis="temperature_hysteresis_k",
    ),
    Rule(
        name="charge_hot",
        hazard=_AGEING,
        signal="battery_temperature_c",
        unit=_T,
        side=Side.ABOVE,
        limit="charge_max_c",
        direction=Direction.CHARGE,
        hysteresis="temperature_hysteresis_k",
    ),
    Rule(
        name="charge_overvoltage",
        hazard=_FULL,
        signal="battery_voltage_v",
        unit="V",
        side=Side.ABOVE,
        limit="battery_max_v",
        direction=Direction.CHARGE,
    ),
    Rule(
        name="charge_overcurrent",
        hazard="overload of cells and cables",
        signal="charge_current_a",
        unit="A",
        side=Side.ABOVE,
        limit="max_charge_a",
        direction=Direction.CHARGE,
        delay="overload_s",
        clear="reconsider_s",
    ),
    Rule(
        name="charge_overload",
        hazard="more forced power than was approved",
        signal="forced_charge_w",
        unit=_W,
        side=Side.ABOVE,
        limit="overload_charge_w",
        figure="overload_pct",
        direction=Direction.CHARGE,
        delay="overload_s",
        clear="reconsider_s",
    ),
    Rule(
        name="device_charge_limit",
        hazard="against the battery's own management",
        signal="max_charge_w",
        unit=_W,
        side=Side.BELOW,
        limit=0.0,
        direction=Direction.CHARGE,
    ),
)

DISCHARGE = (
    Rule(
        name="soc_min",
        hazard=_EMPTY,
        signal="soc_pct",
        unit=_SOC,
        side=Side.BELOW,
        limit="soc_min_pct",
        direction=Direction.DISCHARGE,
        hysteresis="soc_hysteresis_pct",
    ),
    Rule(
        name="discharge_cold",
        hazard="overload of cold cells",
        signal="battery_temperature_low_c",
        unit=_T,
        side=Side.BELOW,
        limit="discharge_min_c",
        direction=Direction.DISCHARGE,
        hysteresis="temperature_hysteresis_k",
    ),
    Rule(
        name="discharge_hot",
        hazard=_AGEING,
        signal="battery_temperature_c",
        unit=_T,
        side=Side.ABOVE,
        limit="discharge_max_c",
        direction=Direction.DISCHARGE,
        hysteresis="temperature_hysteresis_k",
    ),
    Rule(
        name="discharge_undervoltage",
        hazard=_EMPTY,
        signal="battery_voltage_v",
        unit="V",
        side=Side.BELOW,
        limit="battery_min_v",
        direction=Direction.DISCHARGE,
    ),
    Rule(
        name="discharge_overcurrent",
        hazard="overload of cells and cables",
        signal="discharge_current_a",
        unit="A",
        side=Side.ABOVE,
        limit="max_discharge_a",
        direction=Direction.DISCHARGE,
        delay="overload_s",
        clear="reconsider_s",
    ),
    Rule(
        name="discharge_overload",
        hazard="more forced power than was approved",
        signal="forced_discharge_w",
        unit=_W,
        side=Side.ABOVE,
        limit="overload_discharge_w",
        figure="overload_pct",
        direction=Direction.DISCHARGE,
        delay="overload_s",
        clear="reconsider_s",
    ),
    Rule(
        name="device_discharge_limit",
        hazard="against the battery's own management",
        signal="max_discharge_w",
        unit=_W,
        side=Side.BELOW,
        limit=0.0,
        direction=Direction.DISCHARGE,
    ),
)


def _derate(
    of: Rule, name: str, band: str, *, figure: str = "", direction: Direction | None = None
) -> Rule:
    """Return the rule that lowers power on the way to the limit of the rule `of`."""
    return Rule(
        name=name,
        hazard=of.hazard,
        signal=of.signal,
        unit=of.unit,
        side=of.side,
        limit=of.limit,
        direction=direction or of.direction,
        action=Action.DERATE,
        band=band,
        figure=figure or band,
    )


_BY_NAME = {rule.name: rule for rule in (*TRIPS, *CHARGE, *DISCHARGE)}

DERATINGS = (
    _derate(_BY_NAME["soc_max"], "nearly_full", "soc_max_band_pct"),
    _derate(_BY_NAME["soc_min"], "nearly_empty", "soc_min_band_pct"),
    _derate(_BY_NAME["charge_cold"], "charge_cool", "cold_band_k"),
    _derate(_BY_NAME["charge_hot"], "charge_warm", "hot_band_k"),
    _derate(_BY_NAME["discharge_cold"], "discharge_cool", "cold_band_k"),
    _derate(_BY_NAME["discharge_hot"], "discharge_warm", "hot_band_k"),
    _derate(
        _BY_NAME["trip_heating"],
        "heating",
        "heating_band_k_per_min",
        figure="heating_derate_k_per_min",
    ),
)

LIMITS = (*TRIPS, *GRID, *DISAGREEMENTS, *CHARGE, *DISCHARGE)
"""What closes a direction or stops a device, in the order in which it is told."""
