from __future__ import annotations

from actors.inverter.steadiness import Steadiness
from supervision.clock import NS_PER_S


def polled(skipped: list[int]) -> Steadiness:
    device = Steadiness(period_s=1.0)
    for each in skipped:
        device.polled(2.34, each)
    return device


def test_a_device_that_keeps_its_pace_has_no_trouble() -> None:
    assert polled([0] * 20).trouble(0) == ""


def test_a_few_long_polls_are_no_trouble() -> None:
    assert not polled([0, 0, 1, 0, 0, 0, 1, 1]).lags


def test_one_long_pause_is_no_trouble() -> None:
    assert not polled([0, 0, 20, 0]).lags


def test_two_polls_that_take_many_periods_show_a_slow_device() -> None:
    assert polled([6, 6]).lags


def test_a_device_lags_when_half_of_the_polls_that_were_due_are_skipped() -> None:
    assert not polled([1, 1, 1]).lags
    device = polled([1, 1, 1, 1])
    assert device.lags
    assert device.trouble(0) == "polls are skipped: a poll takes 2.3 s of 1 s"


def test_short_polls_that_are_skipped_wait_for_commands() -> None:
    device = Steadiness(period_s=1.0)
    for _ in range(8):
        device.polled(0.01, 1)
    assert device.trouble(0) == "polls are skipped: commands go before them"


def test_a_device_that_has_caught_up_lags_no_more() -> None:
    assert not polled([1] * 8 + [0] * 8).lags


def test_a_lost_connection_begins_anew() -> None:
    device = polled([1] * 8)
    device.lost(0, "gone")
    assert device.trouble(0) == ""


def test_a_device_that_is_lost_three_times_a_minute_is_flapping() -> None:
    device = Steadiness(period_s=1.0)
    for at_s in (0, 20, 40):
        device.lost(at_s * NS_PER_S, f"closed at {at_s}")
    told = "lost 3 times within 60 s, last: closed at 40"
    assert device.trouble(50 * NS_PER_S) == told
    assert device.trouble(61 * NS_PER_S) == ""
