from __future__ import annotations

import math
from typing import Any

import pytest

from actors.safety.inputs import INPUTS, METER, Input
from actors.safety.rules import Direction
from tests.actors.safety.guarded import Guarded, rules_of
from tests.actors.safety.measured import OPTIONAL

ALL = (*INPUTS, METER)
BY_POINT = {wanted.point: wanted for wanted in ALL}


@pytest.mark.rule("input_soc_pct", "input_battery_temperature_c", "input_battery_power_w")
@pytest.mark.rule("input_battery_voltage_v", "input_battery_current_a")
@pytest.mark.rule("input_grid_frequency_hz", "input_grid_voltage_v")
@pytest.mark.rule("input_max_charge_w", "input_max_discharge_w")
@pytest.mark.parametrize(
    ("point", "low", "high"),
    [
        ("soc_pct", 0, 100),
        ("battery_temperature_c", -60, 120),
        ("battery_power_w", -2e6, 2e6),
        ("max_charge_w", 0, 2e6),
        ("max_discharge_w", 0, 2e6),
        ("battery_voltage_v", 0, 2000),
        ("battery_current_a", -5000, 5000),
        ("grid_frequency_hz", 0, 100),
        ("grid_voltage_v", 0, 2000),
        ("grid_power_w", -1e8, 1e8),
    ],
)
def test_a_value_within_its_range_is_believed_and_one_beyond_is_not(
    point: str, low: float, high: float
) -> None:
    wanted = BY_POINT[point]
    assert {wanted.fault(value, ()) for value in (low, high, float(low), float(high))} == {""}
    for value in (math.nextafter(low, -math.inf), math.nextafter(high, math.inf)):
        assert f"{wanted.unit} is outside {low:g} to {high:g} {wanted.unit}" in wanted.fault(
            value, ()
        )


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "missing"),
        (math.nan, "is nan"),
        (-math.inf, "is -inf"),
        (math.inf, "is inf"),
        (True, "is bool, not a number"),
        ("50", "is str, not a number"),
        (10**400, "1e+300 % is outside 0 to 100 %"),
        (-(10**400), "-1e+300 % is outside 0 to 100 %"),
    ],
)
def test_what_is_no_number_is_named(value: object, told: str) -> None:
    assert BY_POINT["soc_pct"].fault(value, ()) == told


def test_the_devices_own_words_on_a_missing_value_are_passed_on() -> None:
    reasons = ("soc_pct_2: other", "soc_pct: sentinel: 0xFFFF")

    assert BY_POINT["soc_pct"].fault(None, reasons) == "sentinel: 0xFFFF"


@pytest.mark.parametrize(
    ("direction", "words", "closes"),
    [
        (Direction.CHARGE, "charging", (True, False)),
        (Direction.DISCHARGE, "discharging", (False, True)),
        (Direction.BOTH, "both directions", (True, True)),
    ],
)
def test_a_fault_says_what_it_closes(
    direction: Direction, words: str, closes: tuple[bool, bool]
) -> None:
    holding = Input(point="p", unit="u", low=0, high=1, direction=direction).holding("missing")

    assert holding.text == f"input_p: missing, closes {words}"
    assert (holding.closes_charge, holding.closes_discharge, holding.commands) == (*closes, False)


@pytest.mark.parametrize("point", [wanted.point for wanted in INPUTS])
def test_what_is_there_and_not_told_closes_whatever_else_is_well(point: str) -> None:
    guarded = Guarded()
    guarded.measure()

    assessment = guarded.measure(**{point: None})

    assert f"input_{point}" in rules_of(assessment)
    assert assessment.may_charge is (point == "max_discharge_w")
    assert assessment.may_discharge is (point == "max_charge_w")


@pytest.mark.parametrize("point", OPTIONAL)
def test_what_a_device_does_not_have_closes_nothing(point: str) -> None:
    changes: dict[str, Any] = {point: None, "absent": (point,)}
    if point == "battery_voltage_v":
        changes["battery_current_a"] = 0.0

    assert rules_of(Guarded().measure(**changes)) == set()


def test_every_value_is_looked_at_whatever_is_wrong_with_those_before() -> None:
    wrong: dict[str, Any] = {"soc_pct": None, "battery_power_w": math.nan, "grid_voltage_v": "x"}
    absent = {"battery_voltage_v": None, "absent": ("battery_voltage_v",)}

    rules = rules_of(Guarded().measure(**wrong, **absent))

    assert rules >= {f"input_{point}" for point in wrong}
    assert "input_battery_voltage_v" not in rules


@pytest.mark.parametrize(
    "point",
    ["soc_pct", "battery_temperature_c", "battery_power_w", "max_charge_w", "max_discharge_w"],
)
def test_nobody_may_be_without_what_safety_cannot_do_without(point: str) -> None:
    assert f"input_{point}" in rules_of(Guarded().measure(**{point: None, "absent": (point,)}))


def test_what_a_device_had_may_not_vanish_until_it_is_met_anew() -> None:
    guarded = Guarded()
    guarded.measure()
    gone = {"grid_voltage_v": None, "absent": ("grid_voltage_v",)}

    vanished = guarded.measure(**gone)
    other = guarded.measure(epoch=8, **gone)

    assert "input_grid_voltage_v" in rules_of(vanished)
    assert rules_of(other) == set()


@pytest.mark.rule("grid_stale")
def test_the_grid_has_an_age_of_its_own() -> None:
    guarded = Guarded()
    guarded.measure()
    then_ns = guarded.now_ns

    young = guarded.measure(5.0, grid_mono_ns=then_ns)
    old = guarded.measure(0.001, grid_mono_ns=then_ns)
    none = guarded.measure(
        epoch=8,
        grid_frequency_hz=None,
        grid_voltage_v=None,
        absent=("grid_frequency_hz", "grid_voltage_v"),
        grid_mono_ns=0,
    )

    assert rules_of(young) == set()
    assert old.rules == ("grid_stale: read 5.0 s ago, limit 5 s",)
    assert not old.may_charge
    assert not old.may_discharge
    assert rules_of(none) == set()


@pytest.mark.parametrize("lacking", ["grid_frequency_hz", "grid_voltage_v"])
def test_one_value_of_the_grid_is_enough_to_be_too_old(lacking: str) -> None:
    guarded = Guarded()

    assessment = guarded.measure(**{lacking: None, "absent": (lacking,), "grid_mono_ns": 0})

    assert rules_of(assessment) == {"grid_stale"}


@pytest.mark.rule("order")
def test_a_grid_that_was_read_after_the_battery_is_out_of_order() -> None:
    guarded = Guarded()

    assessment = guarded.measure(grid_mono_ns=guarded.now_ns + 2 * 10**9)

    assert "order: the grid was measured 1.000 s after the battery" in assessment.rules


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"soc_pct": 99.0, "soc_high_pct": 50.0}, "soc_max"),
        ({"battery_temperature_c": -15.0, "battery_temperature_low_c": 25.0}, "charge_cold"),
    ],
)
def test_an_extreme_that_contradicts_its_value_opens_nothing(
    changes: dict[str, float], rule: str
) -> None:
    assert rule in rules_of(Guarded().measure(**changes))
