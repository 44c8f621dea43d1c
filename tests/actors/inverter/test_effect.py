"""A command that was read back and is not followed is found, with figures; one that is followed never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.effect import EffectWatch
from actors.inverter.profile import Effect
from supervision.clock import NS_PER_S

EFFECT = Effect(settle_s=30.0, rel=0.2, abs_w=200.0)


def fault(watch: EffectWatch, measured_w: float | None, at_s: float, limit_w: float = 5000) -> str:
    return watch.fault(EFFECT, measured_w, limit_w, int(at_s * NS_PER_S))


def following(setpoint_w: float) -> EffectWatch:
    watch = EffectWatch()
    watch.follow(EFFECT, setpoint_w, 0)
    return watch


@pytest.mark.parametrize("setpoint_w", [2000.0, -2000.0])
def test_power_that_does_not_come_in_time_is_told_with_its_figures(setpoint_w: float) -> None:
    watch = following(setpoint_w)
    assert fault(watch, 0.0, 30) == ""
    told = fault(watch, 0.0, 31)
    assert f"battery power 0 W 31 s after it should have been {setpoint_w:.0f} W" in told
    assert "within 400 W; allowed are 30 s" in told


def test_power_in_the_wrong_direction_or_far_too_much_is_no_effect() -> None:
    assert fault(following(2000.0), -2000.0, 31)
    assert fault(following(2000.0), 2500.0, 31)


def test_power_that_comes_and_leaves_again_is_found_as_late_as_one_that_never_comes() -> None:
    watch = following(2000.0)
    assert fault(watch, 1700.0, 20) == ""
    assert fault(watch, 0.0, 50) == ""
    assert fault(watch, 0.0, 51)


def test_power_that_is_not_known_is_no_effect() -> None:
    assert "battery power is not known" in fault(following(2000.0), None, 31)


def test_no_more_is_expected_than_the_device_says_it_can() -> None:
    watch = following(2000.0)
    assert fault(watch, 600.0, 31, limit_w=500.0) == ""
    assert fault(watch, 2000.0, 62, limit_w=500.0)


def test_a_small_change_of_the_set_point_does_not_begin_the_time_anew() -> None:
    watch = following(2000.0)
    for second in range(1, 31):
        watch.follow(EFFECT, 2000.0 - 10 * second, second * NS_PER_S)
    assert fault(watch, 0.0, 31)


def test_a_leap_of_the_set_point_begins_the_time_anew() -> None:
    watch = following(2000.0)
    watch.follow(EFFECT, -2000.0, 29 * NS_PER_S)
    assert fault(watch, 0.0, 59) == ""
    assert fault(watch, 0.0, 60)


def test_a_small_set_point_has_its_time_too() -> None:
    watch = EffectWatch()
    watch.follow(EFFECT, 150.0, 1000 * NS_PER_S)
    assert fault(watch, -1500.0, 1030) == ""
    assert fault(watch, -1500.0, 1031)
    watch.rest()
    watch.follow(EFFECT, 150.0, 2000 * NS_PER_S)
    assert fault(watch, -1500.0, 2030) == ""


def test_nothing_is_expected_while_nothing_is_commanded() -> None:
    watch = following(2000.0)
    watch.rest()
    assert fault(watch, 3000.0, 100) == ""


@given(
    st.floats(-5000, 5000).filter(lambda w: abs(w) >= 1),
    st.lists(st.floats(-1, 1), min_size=1, max_size=40),
)
def test_a_battery_inside_the_band_is_never_accused(setpoint_w: float, noise: list[float]) -> None:
    watch = following(setpoint_w)
    for second, share in enumerate(noise):
        assert not fault(watch, setpoint_w + 199 * share, second * 40.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60))
def test_it_is_a_fault_exactly_when_the_band_was_left_for_longer_than_allowed(
    steps: list[tuple[float, bool]],
) -> None:
    watch, now_s, near_s = following(1000.0), 0.0, 0.0
    for wait_s, near in steps:
        now_s += wait_s
        told = fault(watch, 1000.0 if near else 0.0, now_s)
        near_s = now_s if near else near_s
        late_ns = int(now_s * NS_PER_S) - int(near_s * NS_PER_S)
        assert bool(told) == (late_ns > 30 * NS_PER_S)
