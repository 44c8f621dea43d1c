from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.safety.catalogue import DERATINGS, LIMITS
from actors.safety.config import DeviceLimits
from actors.safety.rules import Action, Direction, Rule, Side
from actors.safety.watch import Derating, Watch, bind
from supervision.clock import NS_PER_S


def watch(side: Side = Side.ABOVE, **changes: object) -> Watch:
    fields: dict[str, object] = {
        "name": "r",
        "hazard": "h",
        "signal": "s",
        "unit": "u",
        "side": side,
        "limit": 10.0 if side is Side.ABOVE else -10.0,
        "direction": Direction.BOTH,
    }
    return Watch(bind(Rule(**(fields | changes)), DeviceLimits()))  # type: ignore[arg-type]


def judged(subject: Watch, *values: float, step_s: float = 1.0) -> list[bool]:
    now_s = 100.0
    held = []
    for value in values:
        now_s += step_s
        held.append(subject.judge(value, int(now_s * NS_PER_S)))
    return held


@pytest.mark.parametrize(("side", "sign"), [(Side.ABOVE, 1), (Side.BELOW, -1)])
def test_a_value_at_the_limit_is_outside_and_hysteresis_ends_where_it_says(
    side: Side, sign: int
) -> None:
    values = [sign * value for value in (9.9, 10.0, 9.9, 8.1, 8.0, 9.9, 10.1)]

    held = judged(watch(side, hysteresis=2.0), *values)

    assert held == [True, True, True, True, False, False, True]


def test_what_is_not_known_to_hold_or_not_holds_until_a_value_has_come_back() -> None:
    assert watch().holds
    assert judged(watch(hysteresis=2.0, clear=9.0), 9.0, 7.9, 9.0) == [True, False, False]


def test_a_trip_that_was_not_seen_does_not_hold() -> None:
    assert not watch(action=Action.TRIP).holds
    assert judged(watch(action=Action.TRIP), 9.0, 10.0) == [False, True]


def test_the_first_value_of_all_waits_for_the_delay_too() -> None:
    assert judged(watch(action=Action.TRIP, delay=2.0), 10, 10, 10) == [False, False, True]


def test_a_delay_begins_anew_with_each_excursion_and_ends_in_its_moment() -> None:
    subject = watch(delay=2.0)

    assert judged(subject, 0, 10, 10, 0, 10, 10, 10, 0) == [
        False,
        False,
        False,
        False,
        False,
        False,
        True,
        False,
    ]


def test_what_was_seen_to_hold_must_be_gone_for_as_long_as_it_says() -> None:
    subject = watch(clear=3.0, hysteresis=1.0)

    assert judged(subject, 10, 9, 9, 9, 9.5, 9, 9, 9, 9, 9) == [True] * 8 + [False] * 2


def test_an_excursion_while_it_clears_counts_from_the_beginning() -> None:
    assert judged(watch(clear=2.0), 10, 0, 0, 10, 0, 0, 0, 0) == [True] * 6 + [False] * 2


def test_silence_is_no_time_in_which_a_value_was_back() -> None:
    subject = watch(clear=3.0)
    assert judged(subject, 10, 0, 0) == [True] * 3
    subject.blind()

    assert judged(subject, *[0] * 4, step_s=1.0) == [True, True, True, False]


def test_silence_does_not_end_the_time_for_which_a_value_was_outside() -> None:
    subject = watch(action=Action.TRIP, delay=2.0)
    judged(subject, 10, 10)
    subject.blind()

    assert subject.judge(10.0, 103 * NS_PER_S)


def test_a_value_at_a_limit_without_hysteresis_is_not_clear_of_it() -> None:
    hot = Watch(bind(next(rule for rule in LIMITS if rule.name == "trip_hot"), DeviceLimits()))

    assert hot.judge(55.0, NS_PER_S)
    assert not hot.is_clear(55.0)
    assert hot.is_clear(54.9)


def test_a_level_to_come_back_to_makes_the_hysteresis_on_either_side() -> None:
    low = watch(Side.BELOW, limit="frequency_lost_min_hz", back_at="reconnect_min_hz")
    high = watch(Side.ABOVE, limit="frequency_lost_max_hz", back_at="reconnect_max_hz")

    assert judged(low, 47.5, 49.5, 49.65) == [True, True, False]
    assert judged(high, 51.5, 50.5, 50.35) == [True, True, False]


def test_a_rule_takes_its_figures_from_the_device_it_is_bound_to() -> None:
    rule = next(rule for rule in LIMITS if rule.name == "grid_undervoltage")
    bound = bind(rule, DeviceLimits(grid_min_v=180, grid_delay_s=0.5, reconnect_s=60))

    assert (bound.limit, bound.room) == (180, 8)
    assert (bound.delay_ns, bound.clear_ns) == (NS_PER_S // 2, 60 * NS_PER_S)


WAITS = {
    "trip_heating": (0, 5, 0),
    "grid_lost_low": (2.1, 1, 300),
    "grid_lost_high": (1.1, 1, 300),
    "grid_undervoltage": (8, 1, 300),
    "grid_overvoltage": (8, 1, 300),
    "grid_underfrequency": (0.2, 1, 0),
    "grid_overfrequency": (0.2, 1, 0),
    "power_disagrees": (0, 3, 0),
    "soc_disagrees": (0, 3, 300),
    "soc_max": (2, 0, 0),
    "soc_min": (2, 0, 0),
    "charge_cold": (5, 0, 0),
    "charge_hot": (5, 0, 0),
    "discharge_cold": (5, 0, 0),
    "discharge_hot": (5, 0, 0),
    "charge_overcurrent": (0, 2, 300),
    "discharge_overcurrent": (0, 2, 300),
    "charge_overload": (0, 2, 300),
    "discharge_overload": (0, 2, 300),
}
"""By rule: how far its value must come back, for how long it must be outside, and for how long back. The others: 0."""


@pytest.mark.parametrize("rule", LIMITS, ids=lambda rule: rule.name)
def test_a_rule_has_the_patience_that_it_is_meant_to_have(rule: Rule) -> None:
    bound = bind(rule, DeviceLimits())
    waits = (bound.room, bound.delay_ns / NS_PER_S, bound.clear_ns / NS_PER_S)

    assert waits == pytest.approx(WAITS.get(rule.name, (0, 0, 0)))


@pytest.mark.parametrize("rule", LIMITS, ids=lambda rule: rule.name)
def test_a_holding_says_value_unit_side_and_limit_and_stops_what_it_should(rule: Rule) -> None:
    bound = bind(rule, DeviceLimits())
    holding = bound.holding(1.25)

    assert holding.text == (
        f"{rule.name}: 1.2 {rule.unit}, limit {rule.side.value} {bound.limit:g} {rule.unit}"
    )
    assert holding.closes_charge is (rule.direction is not Direction.DISCHARGE)
    assert holding.closes_discharge is (rule.direction is not Direction.CHARGE)
    assert holding.commands is (rule.action in {Action.STOP, Action.TRIP})


def derating(name: str) -> Derating:
    return Derating(bind(next(r for r in DERATINGS if r.name == name), DeviceLimits()))


@pytest.mark.parametrize(
    ("value", "share"),
    [(4.0, 0.0), (5.0, 0.0), (5.2, 0.0), (5.25, 0.05), (6.0, 0.2), (9.99, 0.95), (10.0, 1.0)],
)
def test_power_falls_in_steps_that_are_never_too_high(value: float, share: float) -> None:
    assert derating("nearly_empty").share(value) == share


def test_power_falls_towards_an_upper_limit_too() -> None:
    warm = derating("charge_warm")

    assert [warm.share(value) for value in (45.0, 46.0, 50.0, 60.0)] == [1.0, 0.8, 0.0, 0.0]


@given(st.floats(0, 100), st.floats(0, 100))
def test_nearer_to_the_limit_never_means_more_power(one: float, other: float) -> None:
    subject = derating("nearly_full")
    low, high = sorted((one, other))

    assert 0.0 <= subject.share(high) <= subject.share(low) <= 1.0
