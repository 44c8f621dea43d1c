"""Every limit of the catalogue, with the figures that it has by default: at it, just inside, and what it does."""

from __future__ import annotations

from typing import Any

import pytest

from actors.messages import SafetyState
from actors.safety.catalogue import LIMITS
from actors.safety.rules import Action, Direction
from supervision.clock import NS_PER_S
from tests.actors.safety.guarded import Guarded, rules_of
from tests.actors.safety.measured import DEVICE

Changes = dict[str, Any]

CLOSES = [
    pytest.param(
        "soc_min",
        {"soc_pct": 5.0},
        {"soc_pct": 5.1},
        True,
        False,
        marks=pytest.mark.rule("soc_min"),
    ),
    pytest.param(
        "soc_max",
        {"soc_pct": 98.0},
        {"soc_pct": 97.9},
        False,
        True,
        marks=pytest.mark.rule("soc_max"),
    ),
    pytest.param(
        "charge_cold",
        {"battery_temperature_c": 0.0},
        {"battery_temperature_c": 0.1},
        False,
        True,
        marks=pytest.mark.rule("charge_cold"),
    ),
    pytest.param(
        "discharge_cold",
        {"battery_temperature_low_c": -10.0},
        {"battery_temperature_low_c": -9.9},
        False,
        False,
        marks=pytest.mark.rule("discharge_cold"),
    ),
    pytest.param(
        "charge_overvoltage",
        {"battery_voltage_v": 1000.0},
        {"battery_voltage_v": 999.9},
        False,
        True,
        marks=pytest.mark.rule("charge_overvoltage"),
    ),
    pytest.param(
        "discharge_undervoltage",
        {"battery_voltage_v": 40.0},
        {"battery_voltage_v": 40.1},
        True,
        False,
        marks=pytest.mark.rule("discharge_undervoltage"),
    ),
    pytest.param(
        "device_charge_limit",
        {"max_charge_w": 0.0},
        {"max_charge_w": 1.0},
        False,
        True,
        marks=pytest.mark.rule("device_charge_limit"),
    ),
    pytest.param(
        "device_discharge_limit",
        {"max_discharge_w": 0.0},
        {"max_discharge_w": 1.0},
        True,
        False,
        marks=pytest.mark.rule("device_discharge_limit"),
    ),
]


@pytest.mark.parametrize(("rule", "at", "inside", "may_charge", "may_discharge"), CLOSES)
def test_a_value_at_its_limit_closes_its_direction_and_one_inside_does_not(
    rule: str, at: Changes, inside: Changes, *, may_charge: bool, may_discharge: bool
) -> None:
    guarded = Guarded()
    guarded.measure()

    within = guarded.measure(**inside)
    outside = guarded.measure(**at)

    assert rule not in rules_of(within)
    assert rule in rules_of(outside)
    assert (outside.may_charge, outside.may_discharge) == (may_charge, may_discharge)
    assert outside.state is SafetyState.LIMITED


@pytest.mark.rule("charge_hot")
@pytest.mark.rule("discharge_hot")
def test_a_hot_battery_does_nothing() -> None:
    assessment = Guarded(heating_trip_k_per_min=10).measure(battery_temperature_c=50.0)

    assert {"charge_hot", "discharge_hot"} <= rules_of(assessment)
    assert (assessment.may_charge, assessment.may_discharge) == (False, False)


LASTS = [
    pytest.param(
        "grid_underfrequency",
        1,
        {"grid_frequency_hz": 49.0},
        False,
        True,
        False,
        marks=pytest.mark.rule("grid_underfrequency"),
    ),
    pytest.param(
        "grid_overfrequency",
        1,
        {"grid_frequency_hz": 51.0},
        True,
        False,
        False,
        marks=pytest.mark.rule("grid_overfrequency"),
    ),
    pytest.param(
        "grid_lost_low",
        1,
        {"grid_frequency_hz": 47.5},
        False,
        False,
        True,
        marks=pytest.mark.rule("grid_lost_low"),
    ),
    pytest.param(
        "grid_lost_high",
        1,
        {"grid_frequency_hz": 51.5},
        False,
        False,
        True,
        marks=pytest.mark.rule("grid_lost_high"),
    ),
    pytest.param(
        "grid_undervoltage",
        1,
        {"grid_voltage_v": 198.0},
        False,
        False,
        True,
        marks=pytest.mark.rule("grid_undervoltage"),
    ),
    pytest.param(
        "grid_overvoltage",
        1,
        {"grid_voltage_v": 440.0},
        False,
        False,
        True,
        marks=pytest.mark.rule("grid_overvoltage"),
    ),
    pytest.param(
        "charge_overcurrent",
        2,
        {"battery_current_a": 120.0, "battery_power_w": 4812.0, "battery_voltage_v": 40.1},
        False,
        True,
        False,
        marks=pytest.mark.rule("charge_overcurrent"),
    ),
    pytest.param(
        "discharge_overcurrent",
        2,
        {"battery_current_a": -120.0, "battery_power_w": -4800.0, "battery_voltage_v": 40.1},
        True,
        False,
        False,
        marks=pytest.mark.rule("discharge_overcurrent"),
    ),
    pytest.param(
        "charge_overload",
        2,
        {"forced": True, "battery_power_w": 5350.0},
        False,
        True,
        False,
        marks=pytest.mark.rule("charge_overload"),
    ),
    pytest.param(
        "discharge_overload",
        2,
        {"forced": None, "battery_power_w": -5350.0},
        True,
        False,
        False,
        marks=pytest.mark.rule("discharge_overload"),
    ),
    pytest.param(
        "power_disagrees",
        3,
        {"battery_power_w": 2000.0, "battery_current_a": 4.0},
        False,
        False,
        False,
        marks=pytest.mark.rule("power_disagrees"),
    ),
]


@pytest.mark.parametrize(
    ("rule", "delay_s", "changes", "may_charge", "may_discharge", "commands"), LASTS
)
def test_what_must_last_closes_when_it_has_lasted(
    rule: str,
    delay_s: int,
    changes: Changes,
    *,
    may_charge: bool,
    may_discharge: bool,
    commands: bool,
) -> None:
    guarded = Guarded()
    guarded.measure()

    first = guarded.measure(**changes)
    almost = guarded.measure(delay_s - 0.001, **changes)
    lasted = guarded.measure(0.001, **changes)

    assert rule not in rules_of(first) | rules_of(almost)
    (held,) = [holding for holding in lasted.holdings if holding.rule == rule]
    assert held.commands is commands
    assert (lasted.may_charge, lasted.may_discharge) == (may_charge, may_discharge)


@pytest.mark.rule("charge_overload", "discharge_overload")
def test_what_the_device_does_by_itself_is_no_overload() -> None:
    guarded = Guarded(frozen_s=1800)

    assert guarded.hold(5, forced=False, battery_power_w=9000.0).state is SafetyState.NORMAL
    assert guarded.hold(5, forced=False, battery_power_w=-9000.0).state is SafetyState.NORMAL


def test_an_overload_closes_until_it_is_to_be_considered_anew() -> None:
    guarded = Guarded(reconsider_s=30)
    guarded.hold(4, forced=True, battery_power_w=6000.0)

    opened = [guarded.measure().may_charge for _ in range(31)]

    assert opened == [False] * 30 + [True]


@pytest.mark.rule("grid_lost_low")
def test_a_grid_that_was_lost_must_be_back_for_a_while() -> None:
    guarded = Guarded(reconnect_s=10)
    guarded.hold(3, grid_frequency_hz=47.0)

    near = guarded.hold(20, grid_frequency_hz=49.5)
    back = [guarded.measure(grid_frequency_hz=49.7).may_charge for _ in range(5)]
    again = guarded.measure(grid_frequency_hz=49.5)
    opened = [guarded.measure(grid_frequency_hz=49.7).may_charge for _ in range(11)]

    assert not near.may_charge
    assert back == [False] * 5
    assert not again.may_charge
    assert opened == [False] * 10 + [True]


def test_a_grid_is_not_back_for_a_while_because_nothing_was_measured_for_that_long() -> None:
    guarded = Guarded(reconnect_s=10)
    guarded.hold(3, grid_frequency_hz=47.0)
    guarded.measure()

    opened = [guarded.measure(60.0).may_charge, *(guarded.measure().may_charge for _ in range(10))]

    assert opened == [False] * 10 + [True]


@pytest.mark.parametrize("unread", [{"grid_frequency_hz": None}, {"grid_mono_ns": 0}])
def test_a_grid_is_not_back_while_its_values_are_missing_or_stale(unread: Changes) -> None:
    guarded = Guarded(reconnect_s=10)
    guarded.hold(3, grid_frequency_hz=47.0)
    guarded.measure()
    guarded.hold(30, **unread)

    opened = [guarded.measure().may_charge for _ in range(11)]

    assert opened == [False] * 10 + [True]


def test_a_grid_is_not_back_while_the_link_is_lost() -> None:
    guarded = Guarded(reconnect_s=10)
    guarded.hold(3, grid_frequency_hz=47.0)
    guarded.measure()
    guarded.guard.observe_link(DEVICE, "offline", guarded.now_ns)
    guarded.now_ns += NS_PER_S
    guarded.guard.evaluate(DEVICE, guarded.now_ns)

    opened = [guarded.measure().may_charge for _ in range(11)]

    assert opened == [False] * 10 + [True]


def test_a_grid_that_was_not_seen_to_be_lost_opens_at_once() -> None:
    assert Guarded().measure().state is SafetyState.NORMAL


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        pytest.param(
            "trip_hot", {"battery_temperature_c": 55.0}, marks=pytest.mark.rule("trip_hot")
        ),
        pytest.param(
            "trip_cold", {"battery_temperature_low_c": -20.0}, marks=pytest.mark.rule("trip_cold")
        ),
    ],
)
def test_a_trip_is_immediate_and_stays(rule: str, changes: Changes) -> None:
    guarded = Guarded()
    guarded.measure()

    tripped = guarded.measure(**changes)

    assert tripped.trip is not None
    assert tripped.trip.rule == rule
    assert tripped.trip.commands
    assert guarded.hold(400).state is SafetyState.TRIPPED


@pytest.mark.rule("trip_heating")
def test_a_battery_that_heats_by_three_kelvin_a_minute_trips() -> None:
    guarded = Guarded()
    states = [guarded.measure(battery_temperature_c=25 + n * 0.06).state for n in range(120)]

    assert states[30] is SafetyState.NORMAL
    assert states[-1] is SafetyState.TRIPPED
    assert guarded.guard.evaluate("inv-1", guarded.now_ns).rules[0].startswith("trip_heating: ")


@pytest.mark.rule("trip_heating")
def test_a_single_false_temperature_does_not_trip() -> None:
    for false_c in (20.0, 45.0):
        guarded = Guarded()
        guarded.hold(60, battery_temperature_c=25.0)
        guarded.measure(battery_temperature_c=false_c)
        assert guarded.hold(70, battery_temperature_c=25.0).state is SafetyState.NORMAL


@pytest.mark.rule("soc_disagrees")
def test_soc_that_moves_against_the_energy_closes_both_directions_for_a_while() -> None:
    guarded = Guarded(reconsider_s=60)
    falling = [
        guarded.measure(soc_pct=50 - n * 0.05, battery_power_w=3000.0 + n) for n in range(200)
    ]

    assert "soc_disagrees" not in set().union(*map(rules_of, falling[:110]))
    assert "soc_disagrees" in rules_of(falling[130])
    assert not falling[130].may_charge
    assert not falling[130].may_discharge
    assert "soc_disagrees" not in rules_of(guarded.hold(75, soc_pct=40.0))


@pytest.mark.rule("frozen")
def test_values_that_do_not_change_while_power_flows_close_both_directions() -> None:
    guarded = Guarded()
    guarded.measure(battery_power_w=2500.0)

    fresh = guarded.hold(359, battery_power_w=2500.0)
    frozen = guarded.measure(battery_power_w=2500.0)
    changed = guarded.measure(battery_power_w=2500.0, soc_pct=50.1)

    assert "frozen" not in rules_of(fresh)
    assert (frozen.may_charge, frozen.may_discharge) == (False, False)
    assert "frozen" in rules_of(frozen)
    assert "frozen" not in rules_of(changed)


@pytest.mark.rule("frozen")
def test_a_battery_that_rests_may_stay_as_it_is() -> None:
    assert Guarded().hold(2000, battery_power_w=99.0).state is SafetyState.NORMAL


@pytest.mark.parametrize("lacking", ["battery_voltage_v", "battery_current_a"])
def test_a_device_without_voltage_or_current_is_not_judged_by_them(lacking: str) -> None:
    lacks = {lacking: None, "absent": (lacking,), "battery_power_w": 2000.0}
    guarded = Guarded()

    held = [
        guarded.measure(**{"battery_current_a": 0.0, "battery_voltage_v": 400.0} | lacks)
        for _ in range(9)
    ]

    assert held[-1].state is SafetyState.NORMAL


def test_what_stops_or_trips_closes_both_directions() -> None:
    strict = [rule for rule in LIMITS if rule.action in {Action.STOP, Action.TRIP}]
    assert len(strict) > 5
    assert {rule.direction for rule in strict} == {Direction.BOTH}


@pytest.mark.parametrize(
    ("limits", "measured"),
    [
        ({"discharge_min_c": 10.0}, {"battery_temperature_c": 8.0}),
        ({"discharge_max_c": 35.0}, {"battery_temperature_c": 36.0}),
    ],
    ids=["cold", "hot"],
)
def test_a_temperature_that_only_discharging_cannot_bear_lets_the_battery_charge(
    limits: Changes, measured: Changes
) -> None:
    guarded = Guarded(**limits)
    assessment = guarded.measure(**measured)
    assert (assessment.may_charge, assessment.may_discharge) == (True, False)
