from __future__ import annotations

import math
from typing import Any

import pytest

from actors.messages import Ruling, SafetyState
from actors.safety.assessment import Assessment, PowerBound, Setpoint, Stop
from actors.safety.judgement import check_safety
from actors.safety.rules import Holding, closed

OPEN = Assessment(
    device_id="a",
    state=SafetyState.NORMAL,
    may_charge=True,
    may_discharge=True,
    holdings=(),
    charge=PowerBound(3000.0, "nearly_full"),
    discharge=PowerBound(2000.0, "power_limit"),
    valid_until_ns=2_000_000_000,
    step_w=1e6,
)


def test_what_is_not_said_of_an_assessment_and_a_verdict_is_nothing() -> None:
    bare = Assessment(
        device_id="a",
        state=SafetyState.STARTING,
        may_charge=False,
        may_discharge=False,
        holdings=(),
        charge=PowerBound(0.0, ""),
        discharge=PowerBound(0.0, ""),
        valid_until_ns=0,
    )
    stop = check_safety(Stop("a"), bare, 0)

    assert (bare.setpoint_w, bare.step_w, bare.inverter_epoch, bare.power_w) == (0, 0, 0, None)
    assert (stop.value, stop.limit, stop.detail) == (0, 0, "")


def state(**changes: Any) -> Assessment:
    fields = {name: getattr(OPEN, name) for name in OPEN.__struct_fields__}
    return Assessment(**(fields | changes))


@pytest.mark.rule("power_finite")
@pytest.mark.parametrize(
    ("power_w", "words"),
    [
        (math.nan, "nan W is not a power"),
        (math.inf, "inf W is not a power"),
        (1.1e9, "is not a power"),
        (-1.1e9, "is not a power"),
        pytest.param(10**5000, "a power beyond 1e+09 W is not a power", id="huge"),
        (True, "bool is not a power"),
        (None, "NoneType is not a power"),
        ("1000", "str is not a power"),
    ],
)
def test_what_is_no_power_is_denied(power_w: Any, words: str) -> None:
    verdict = check_safety(Setpoint("a", power_w), OPEN, 0)

    assert (verdict.ruling, verdict.rule, verdict.power_w) == (Ruling.DENIED, "power_finite", 0.0)
    assert (verdict.limit, words in verdict.detail) == (1e9, True)
    assert isinstance(power_w, float) or verdict.value == 0.0


@pytest.mark.parametrize("power_w", [1e9, -1e9])
def test_the_largest_power_of_all_is_clamped_like_any_other(power_w: float) -> None:
    assert check_safety(Setpoint("a", power_w), OPEN, 0).ruling is Ruling.CLAMPED


@pytest.mark.rule("power_limit")
def test_power_is_clamped_to_the_bound_of_its_direction_by_the_rule_that_makes_it() -> None:
    charge = check_safety(Setpoint("a", 9000.0), OPEN, 0)
    discharge = check_safety(Setpoint("a", -9000.0), OPEN, 0)

    assert (charge.ruling, charge.power_w, charge.rule) == (Ruling.CLAMPED, 3000.0, "nearly_full")
    assert (discharge.ruling, discharge.power_w, discharge.rule) == (
        Ruling.CLAMPED,
        -2000.0,
        "power_limit",
    )
    assert (charge.value, charge.limit) == (9000.0, 3000.0)
    assert charge.detail == "9000 W asked, 3000 W possible"


@pytest.mark.parametrize("power_w", [3000.0, 2999, 0.0, -2000.0, -1])
def test_power_up_to_its_bound_is_allowed_as_asked(power_w: float) -> None:
    verdict = check_safety(Setpoint("a", power_w), OPEN, OPEN.valid_until_ns)

    assert (verdict.ruling, verdict.power_w, verdict.value) == (Ruling.ALLOWED, power_w, power_w)
    assert verdict.limit == (3000.0 if power_w > 0 else 2000.0)


@pytest.mark.parametrize(
    ("setpoint_w", "asked_w", "approved_w"),
    [
        (0.0, 500.0, 100.0),
        (300.0, 500.0, 400.0),
        (-300.0, 500.0, 100.0),
        (-300.0, -500.0, -400.0),
        (300.0, 200.0, 200.0),
    ],
)
def test_a_step_is_counted_from_what_was_approved_in_the_same_direction(
    setpoint_w: float, asked_w: float, approved_w: float
) -> None:
    verdict = check_safety(Setpoint("a", asked_w), state(setpoint_w=setpoint_w, step_w=100.0), 0)

    assert verdict.power_w == approved_w
    assert verdict.rule == ("" if approved_w == asked_w else "ramp")


def test_the_smallest_power_has_the_bound_of_its_direction_and_its_ramp() -> None:
    narrow = state(charge=PowerBound(0.25, "nearly_full"), setpoint_w=0.5, step_w=0.125)

    charge = check_safety(Setpoint("a", 0.5), narrow, 0)
    ramped = check_safety(Setpoint("a", -0.5), narrow, 0)
    same = check_safety(Setpoint("a", -0.75), state(setpoint_w=-0.5, step_w=0.125), 0)

    assert (charge.power_w, charge.rule) == (0.25, "nearly_full")
    assert (ramped.power_w, ramped.rule) == (-0.125, "ramp")
    assert same.power_w == -0.625


def test_where_ramp_and_bound_are_equal_the_bound_is_named() -> None:
    verdict = check_safety(Setpoint("a", 9000.0), state(step_w=3000.0), 0)

    assert (verdict.rule, verdict.power_w) == ("nearly_full", 3000.0)


@pytest.mark.rule("device")
def test_another_device_was_not_assessed() -> None:
    verdict = check_safety(Setpoint("b", 0.0), OPEN, 0)

    assert (verdict.ruling, verdict.rule) == (Ruling.DENIED, "device")
    assert (verdict.detail, verdict.limit) == ("assessed was a", 0.0)


@pytest.mark.rule("starting", "trip")
@pytest.mark.parametrize("name", [SafetyState.STARTING, SafetyState.TRIPPED])
def test_nothing_is_set_while_starting_or_tripped(name: SafetyState) -> None:
    verdict = check_safety(Setpoint("a", 0.0), state(state=name, holdings=(closed("x", "y"),)), 0)

    assert (verdict.rule, verdict.detail, verdict.limit) == (name.value, "x: y", 0.0)


@pytest.mark.rule("stale")
def test_an_assessment_ends_after_the_moment_that_it_names() -> None:
    verdict = check_safety(Setpoint("a", 5.0), OPEN, OPEN.valid_until_ns + 100_000_000)

    assert (verdict.rule, verdict.value, verdict.limit) == ("stale", 0.1, 0.0)
    assert verdict.detail == "the assessment ended 0.1 s ago"


def test_a_closed_direction_is_denied_by_the_first_rule_that_closes_it() -> None:
    holdings = (
        Holding("lowers", "", closes_charge=False, closes_discharge=False),
        Holding("no_discharge", "d", closes_charge=False, closes_discharge=True),
        Holding("no_charge", "c", closes_charge=True, closes_discharge=False),
    )
    limited = state(holdings=holdings)

    denied = check_safety(Setpoint("a", 1.0), limited, 0)

    assert (denied.rule, denied.value, denied.limit) == ("no_charge", 1.0, 0.0)
    assert check_safety(Setpoint("a", -1.0), limited, 0).rule == "no_discharge"
    assert check_safety(Setpoint("a", 0.0), limited, 0).ruling is Ruling.ALLOWED


def test_not_even_nothing_is_held_where_the_safe_state_is_called_for() -> None:
    verdict = check_safety(Setpoint("a", 0.0), state(holdings=(closed("grid", "gone"),)), 0)

    assert (verdict.ruling, verdict.rule, verdict.detail) == (Ruling.DENIED, "grid", "gone")


@pytest.mark.parametrize("name", list(SafetyState))
def test_a_stop_is_allowed_in_every_state_at_any_time(name: SafetyState) -> None:
    blocked = state(state=name, holdings=(closed("x", "y"),))

    verdict = check_safety(Stop("whoever"), blocked, 10**18)

    assert (verdict.ruling, verdict.power_w, verdict.rule) == (Ruling.ALLOWED, 0.0, "stop")
