from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Ruling
from actors.safety.config import DeviceLimits
from actors.safety.ramp import CREDIT_S, Descent, Ramp
from supervision.clock import NS_PER_S
from tests.actors.safety.guarded import Guarded
from tests.actors.safety.measured import DEVICE

TEN_PCT = DeviceLimits(max_charge_w=6000.0, max_discharge_w=3000.0, ramp_pct_per_min=10)
W_PER_S = 10.0


def test_a_set_point_that_rested_takes_the_step_of_five_seconds() -> None:
    ramp = Ramp(TEN_PCT)

    assert ramp.step_w(0) == ramp.step_w(3600 * NS_PER_S) == 50.0


def test_a_step_that_was_taken_must_be_waited_for() -> None:
    ramp = Ramp(TEN_PCT)
    ramp.step_w(1000 * NS_PER_S)
    ramp.approve(40.0, 1000 * NS_PER_S)

    assert [ramp.step_w((1000 + s) * NS_PER_S) for s in (0, 1, 2, 9)] == [10.0, 20.0, 30.0, 50.0]


def test_moving_towards_nothing_is_free_and_gives_nothing_back() -> None:
    ramp = Ramp(TEN_PCT)
    ramp.approve(-40.0, 0)
    ramp.approve(-20.0, 0)
    ramp.approve(0.0, 0)

    assert (ramp.power_w, ramp.step_w(0)) == (0.0, 10.0)


def test_the_smallest_steps_count_too() -> None:
    ramp = Ramp(TEN_PCT)
    ramp.approve(0.5, 0)
    ramp.approve(0.75, 0)

    assert ramp.step_w(0) == 49.25


def test_turning_round_costs_all_of_the_new_direction() -> None:
    ramp = Ramp(TEN_PCT)
    ramp.approve(10.0, 0)
    ramp.approve(-10.0, 0)

    assert (ramp.power_w, ramp.step_w(0)) == (-10.0, 30.0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    ramp = Ramp(TEN_PCT)
    ramp.approve(50.0, 100 * NS_PER_S)

    assert ramp.step_w(1) == 0.0
    assert ramp.step_w(101 * NS_PER_S) == 10.0


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(-6000, 6000)), min_size=1, max_size=20))
def test_whatever_is_asked_power_rises_no_faster_than_the_rate(
    asked: list[tuple[float, float]],
) -> None:
    ramp = Ramp(TEN_PCT)
    now_ns = risen_w = 0.0
    for pause_s, power_w in asked:
        now_ns += pause_s * NS_PER_S
        same = abs(ramp.power_w) if power_w * ramp.power_w > 0 else 0.0
        most_w = same + ramp.step_w(int(now_ns))
        approved_w = min(abs(power_w), most_w)
        risen_w += max(approved_w - same, 0.0)
        ramp.approve(approved_w if power_w > 0 else -approved_w, int(now_ns))
        assert risen_w <= W_PER_S * (now_ns / NS_PER_S + CREDIT_S) + 1e-3


def test_a_descent_is_a_step_every_second_and_its_end_comes_with_the_last_one() -> None:
    descent = Descent(DeviceLimits(max_charge_w=1000.0, max_discharge_w=5000.0, ramp_down_s=10.0))

    def left_w(power_w: float) -> list[float]:
        lasts_s = descent.lasts_ns(power_w) // NS_PER_S
        return [descent.power_w(power_w, second * NS_PER_S) for second in range(lasts_s + 1)]

    assert left_w(-2000.0) == [-1500.0, -1000.0, -500.0, 0.0]
    assert left_w(600.0) == [100.0, 0.0]
    assert left_w(500.0) == [0.0]
    assert descent.power_w(-2000.0, NS_PER_S - 1) == -1500.0
    assert descent.lasts_ns(5000.0) == 9 * NS_PER_S
    assert descent.lasts_ns(0.0) == 0


def test_without_a_time_for_it_a_descent_is_over_at_once() -> None:
    descent = Descent(DeviceLimits(ramp_down_s=0.0))

    assert (descent.lasts_ns(5000.0), descent.power_w(5000.0, 0)) == (0, 0.0)


@pytest.mark.rule("ramp")
def test_a_command_is_clamped_to_the_ramp_and_a_lower_one_is_not() -> None:
    guarded = Guarded(ramp_pct_per_min=60)
    first = guarded.check(3000.0, guarded.measure())
    guarded.guard.approve(DEVICE, first.power_w, guarded.now_ns)
    second = guarded.check(3000.0, guarded.measure(2.0))
    turned = guarded.check(-3000.0, guarded.measure())
    lower = guarded.check(100.0, guarded.measure())

    assert (first.ruling, first.rule, first.power_w) == (Ruling.CLAMPED, "ramp", 250.0)
    assert second.power_w == 350.0
    assert (turned.rule, turned.power_w) == ("ramp", -150.0)
    assert (lower.ruling, lower.power_w) == (Ruling.ALLOWED, 100.0)


@pytest.mark.rule("ramp")
def test_by_default_full_power_is_one_step() -> None:
    guarded = Guarded()

    assert guarded.check(3000.0, guarded.measure()).ruling is Ruling.ALLOWED
