from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.campaign.step import Signal
from tests.bessai.campaign.records import (
    TERMS,
    done,
    fault,
    foreign,
    judged,
    refused,
    rules,
    truths,
    write,
)

EMPTY = {"soc_pct": 5.0}
FULL = {"soc_pct": 95.0}


@settings(max_examples=25)
@given(
    charge_w=st.floats(1, TERMS.max_charge_w),
    discharge_w=st.floats(1, TERMS.max_discharge_w),
    minutes=st.integers(0, TERMS.deadman_min),
)
def test_forced_power_within_the_limits_is_the_gateways_business(
    charge_w: float, discharge_w: float, minutes: int
) -> None:
    writes = [
        write(20.0, forced_setting_mode=0),
        write(20.0, forced_period_min=minutes),
        write(20.0, forced_charge_power_w=charge_w),
        write(20.1, forced_mode=1),
        write(21.0, forced_discharge_power_w=discharge_w),
        write(21.1, forced_mode=2),
    ]
    found = judged(truths(), writes=writes)
    assert found.offences == []
    assert (found.tally.writes, found.tally.forced_writes, found.tally.clear_writes) == (6, 4, 4)


@settings(max_examples=25)
@given(over_w=st.floats(0.5, 9e5), result=st.sampled_from(["ok", "exception 3", "unanswered"]))
def test_more_than_the_configured_limit_is_an_offence_even_if_the_device_refuses_it(
    over_w: float, result: str
) -> None:
    for values in (
        {"forced_charge_power_w": TERMS.max_charge_w + over_w},
        {"forced_discharge_power_w": TERMS.max_discharge_w + over_w},
    ):
        found = judged(
            truths((0, 60, {"max_charge_w": 1e6, "max_discharge_w": 1e6})),
            writes=[refused(20.0, result, values)],
        )
        assert rules(found) == ["A1"]


@pytest.mark.parametrize(
    "values",
    [{"forced_setting_mode": 1}, {"forced_period_min": TERMS.deadman_min + 1}],
)
def test_a_command_without_a_short_countdown_is_an_offence(values: dict[str, float]) -> None:
    assert rules(judged(truths(), writes=[write(20.0, **values)])) == ["A1"]


@pytest.mark.parametrize("values", [{"working_mode": 2}, {"max_charging_power_w": 0}, {}])
def test_no_other_register_is_the_gateways_to_write(values: dict[str, float]) -> None:
    assert rules(judged(truths(), writes=[write(20.0, **values)])) == ["A4"]


@pytest.mark.parametrize(
    ("state", "mode"),
    [
        (EMPTY, 2),
        (FULL, 1),
        ({"temperature_c": 19.9}, 1),
        ({"temperature_c": 26.1}, 1),
        ({"temperature_c": 17.9}, 2),
        ({"temperature_c": 30.1}, 2),
        ({"max_charge_w": 0.0}, 1),
        ({"max_discharge_w": 0.0}, 2),
    ],
)
def test_a_direction_that_has_been_closed_for_a_poll_and_a_second_is_not_forced(
    state: dict[str, float], mode: int
) -> None:
    closed_for_s = TERMS.answer_s + 0.3
    late = [write(20.0 + closed_for_s, forced_mode=mode)]
    other = [write(20.0 + closed_for_s, forced_mode=3 - mode)]
    early = [write(20.0 + TERMS.answer_s - 0.2, forced_mode=mode)]

    assert rules(judged(truths((20.0, 30.0, state)), writes=late)) == ["A3"]
    assert rules(judged(truths((20.0, 30.0, state)), writes=early)) == []
    if state not in ({"temperature_c": 17.9}, {"temperature_c": 30.1}):  # these close both
        assert rules(judged(truths((20.0, 30.0, state)), writes=other)) == []


def test_what_opened_since_the_last_recorded_truth_may_be_known_already() -> None:
    closed = truths((20.0, 30.0, EMPTY))
    assert rules(judged(closed, writes=[write(29.95, forced_mode=2)])) == []
    assert rules(judged(closed, writes=[write(29.85, forced_mode=2)])) == ["A3"]


def test_the_power_of_a_closed_direction_is_not_written_either() -> None:
    writes = [write(25.0, forced_discharge_power_w=100)]
    assert rules(judged(truths((20.0, 30.0, EMPTY)), writes=writes)) == ["A3"]


def test_stops_are_allowed_whenever() -> None:
    stops = [
        write(25.0, forced_mode=0, forced_charge_power_w=0, forced_discharge_power_w=0),
        write(25.0, forced_period_min=0),
    ]
    assert rules(judged(truths((20.0, 30.0, EMPTY)), writes=stops)) == []


def test_another_master_is_not_judged() -> None:
    writes = [foreign(25.0, forced_discharge_power_w=9e4, forced_mode=2, working_mode=1)]
    found = judged(truths((20.0, 30.0, EMPTY)), writes=writes)
    assert (rules(found), found.tally.writes) == ([], 0)


def test_after_a_fault_the_grounds_of_a_write_may_be_as_old_as_lease_and_measurement() -> None:
    closed = truths((20.0, 40.0, EMPTY))
    killed = [done(20.0, 20.0, Signal(cell="control"))]
    soon = [write(20.0 + TERMS.memory_s - 0.2, forced_mode=2)]
    late = [write(20.0 + TERMS.memory_s + 0.3, forced_mode=2)]

    assert rules(judged(closed, writes=soon, steps=killed)) == []
    assert rules(judged(closed, writes=late, steps=killed)) == ["A3"]
    assert rules(judged(closed, writes=soon)) == ["A3"]


@pytest.mark.parametrize(
    ("lie", "broken"),
    [
        ({"kind": "spoofed", "register": "soc_pct", "value": 50}, []),
        ({"kind": "spoofed", "register": "battery_power_w", "value": 50}, ["A3"]),
        ({"kind": "stuck", "register": "soc_pct"}, []),
        ({"kind": "sentinel", "register": "soc_pct"}, ["A3"]),
    ],
)
def test_a_closed_direction_is_judged_by_what_was_served(
    lie: dict[str, Any], broken: list[str]
) -> None:
    faults = fault(10.0, 50.0, **lie)
    found = judged(truths((20.0, 40.0, EMPTY)), writes=[write(30.0, forced_mode=2)], faults=faults)
    assert rules(found) == broken


@pytest.mark.parametrize("register", ["soc_pct", "battery_temperature_c", "battery_power_w"])
@pytest.mark.parametrize("mode", [1, 2])
def test_nothing_is_forced_while_a_value_is_missing(register: str, mode: int) -> None:
    faults = fault(10.0, 50.0, "sentinel", register=register)
    assert rules(judged(truths(), writes=[write(30.0, forced_mode=mode)], faults=faults)) == ["A3"]


def test_no_more_is_written_than_the_device_allowed_within_the_last_poll() -> None:
    lowered = truths((20.0, 40.0, {"max_discharge_w": 800.0}))
    late = [write(25.0, forced_discharge_power_w=801)]
    early = [write(20.0 + TERMS.answer_s - 0.2, forced_discharge_power_w=2000)]
    right = [write(25.0, forced_discharge_power_w=800)]

    assert rules(judged(lowered, writes=late)) == ["A2"]
    assert rules(judged(lowered, writes=[*early, *right])) == []


def test_after_a_trip_nothing_is_forced_even_when_it_is_cool_again() -> None:
    cooled = truths((20.0, 25.0, {"temperature_c": 56.0}))
    assert rules(judged(cooled, writes=[write(40.0, forced_mode=1)])) == ["A5"]
    glimpse = truths((20.0, 21.0, {"temperature_c": 56.0}))
    assert rules(judged(glimpse, writes=[write(40.0, forced_mode=1)])) == []
