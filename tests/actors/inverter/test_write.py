"""What is written for a power, word by word."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.errors import RefusedWriteError
from actors.inverter.write import LiveLimits, WritePlan, plan_power, plan_stop
from tests.actors.inverter.driven import PROFILE

LIMITS = LiveLimits(5000.0, 4000.0)


def words(plan: WritePlan) -> list[tuple[int, tuple[int, ...]]]:
    return [(step.address, step.words) for step in plan.steps]


def test_a_charge_writes_duration_mode_then_minutes_then_power_then_the_command() -> None:
    plan = plan_power(PROFILE.write, 2000.0, LIMITS, 2)
    assert words(plan) == [(47246, (0,)), (47083, (2,)), (47247, (0, 2000)), (47100, (1,))]
    assert [(check.address, check.words) for check in plan.checks] == [
        (47247, (0, 2000)),
        (47100, (1,)),
    ]


def test_a_discharge_writes_its_own_power_register_and_command() -> None:
    plan = plan_power(PROFILE.write, -1500.0, LIMITS, 10)
    assert words(plan) == [(47246, (0,)), (47083, (10,)), (47249, (0, 1500)), (47100, (2,))]


def test_a_stop_ends_the_forced_command_before_anything_else() -> None:
    plan = plan_stop(PROFILE.write)
    assert words(plan) == [(47100, (0,)), (47247, (0, 0)), (47249, (0, 0)), (47083, (0,))]
    assert [(check.address, check.words) for check in plan.checks] == [(47100, (0,))]


@pytest.mark.parametrize("power_w", [0.0, 0.9, -0.9])
def test_less_than_one_watt_is_a_stop(power_w: float) -> None:
    assert plan_power(PROFILE.write, power_w, LIMITS, 2) == plan_stop(PROFILE.write)


def test_power_beyond_one_word_fills_the_high_word() -> None:
    plan = plan_power(PROFILE.write, 70_000.0, LiveLimits(100_000.0, 0.0), 2)
    assert plan.steps[2].words == (1, 70_000 - 65_536)


@pytest.mark.parametrize("power_w", [5001.0, -4001.0])
def test_power_above_the_devices_own_limit_is_refused_not_clamped(power_w: float) -> None:
    with pytest.raises(RefusedWriteError, match="exceeds the device's max_"):
        plan_power(PROFILE.write, power_w, LIMITS, 2)


@pytest.mark.parametrize("power_w", [1000.0, -1000.0])
def test_power_is_refused_while_the_devices_limit_is_unknown(power_w: float) -> None:
    with pytest.raises(RefusedWriteError, match="is not known now"):
        plan_power(PROFILE.write, power_w, LiveLimits(), 2)


@pytest.mark.parametrize("power_w", [math.nan, math.inf, -math.inf])
def test_power_that_is_no_number_is_refused(power_w: float) -> None:
    with pytest.raises(RefusedWriteError, match="is not a number"):
        plan_power(PROFILE.write, power_w, LIMITS, 2)


def test_a_stop_needs_no_limits() -> None:
    assert plan_power(PROFILE.write, 0.0, LiveLimits(), 2) == plan_stop(PROFILE.write)


@given(st.floats(-10_000, 10_000), st.floats(0, 8_000), st.floats(0, 8_000))
def test_no_plan_ever_exceeds_what_was_approved_or_what_the_device_allows(
    power_w: float, charge_w: float, discharge_w: float
) -> None:
    try:
        plan = plan_power(PROFILE.write, power_w, LiveLimits(charge_w, discharge_w), 2)
    except RefusedWriteError:
        return
    powers = [
        high << 16 | low for _, (high, low) in (step for step in words(plan) if len(step[1]) == 2)
    ]
    assert all(
        power <= min(abs(power_w), charge_w if power_w > 0 else discharge_w) for power in powers
    )


def test_a_countdown_that_does_not_fit_its_register_is_refused() -> None:
    with pytest.raises(RefusedWriteError, match="forced period: 65536 does not fit into u16"):
        plan_power(PROFILE.write, 1000.0, LIMITS, 65536)
