from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.campaign.step import Order, Signal
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

EMPTY = {"soc_pct": 5.0, "battery_power_w": -1000.0, "forced_mode": 2}
FULL = {"soc_pct": 95.0, "battery_power_w": 1000.0, "forced_mode": 1}
COLD = {"temperature_c": 19.0, "battery_power_w": 1000.0, "forced_mode": 1}
HOT = {"temperature_c": 31.0, "battery_power_w": -1000.0, "forced_mode": 2}


@pytest.mark.parametrize("state", [EMPTY, FULL, COLD, HOT])
def test_a_breach_is_answered_within_a_poll_and_a_second(state: dict[str, float]) -> None:
    good = judged(truths((10.0, 10.0 + TERMS.answer_s, state)))
    bad = judged(truths((10.0, 10.3 + TERMS.answer_s, state)))

    assert (rules(good), good.tally.clear_breaches) == ([], 1)
    assert rules(bad) == ["B1"]
    assert "unanswered for 1." in bad.offences[0].detail


@settings(max_examples=25)
@given(
    at_s=st.floats(1, 40),
    lasts_s=st.floats(2.0, 15.0),
    state=st.sampled_from([EMPTY, FULL, COLD, HOT]),
)
def test_every_breach_with_nothing_wrong_that_lasts_longer_is_found(
    at_s: float, lasts_s: float, state: dict[str, float]
) -> None:
    assert rules(judged(truths((at_s, at_s + lasts_s, state)))) == ["B1"]


@settings(max_examples=25)
@given(
    soc_pct=st.floats(10.1, 89.9),
    celsius=st.floats(20.1, 25.9),
    power_w=st.floats(-5000, 5000),
    mode=st.sampled_from([0, 1, 2]),
)
def test_within_the_limits_nothing_is_a_breach(
    soc_pct: float, celsius: float, power_w: float, mode: int
) -> None:
    state = {"soc_pct": soc_pct, "temperature_c": celsius, "battery_power_w": power_w}
    found = judged(truths((0.0, 60.0, state | {"forced_mode": mode})))
    assert (found.offences, found.tally.breaches) == ([], 0)


@pytest.mark.parametrize(
    "state",
    [
        EMPTY | {"battery_power_w": -99.0},  # within the dead-band
        EMPTY | {"forced_mode": 0},  # moves by itself
        EMPTY | {"battery_power_w": 1000.0, "forced_mode": 1},  # in the open direction
        FULL | {"battery_power_w": -1000.0, "forced_mode": 2},
    ],
)
def test_what_is_not_forced_into_danger_is_no_breach(state: dict[str, float]) -> None:
    assert judged(truths((10.0, 50.0, state))).tally.breaches == 0


@pytest.mark.parametrize("kind", ["hang", "refuse", "garbage", "ignore_writes", "busy"])
def test_faults_of_requests_excuse_until_the_device_has_been_reached_again(kind: str) -> None:
    faults = fault(9.0, 20.0, kind)
    until_s = 20.0 + TERMS.reconnect_s
    good = judged(truths((10.0, until_s + TERMS.answer_s, EMPTY)), faults=faults)
    bad = judged(truths((10.0, until_s + TERMS.answer_s + 0.4, EMPTY)), faults=faults)

    assert (rules(good), good.tally.clear_breaches) == ([], 0)
    assert rules(bad) == ["B1"]


def test_a_fault_that_begins_in_time_does_not_excuse_what_was_late_before() -> None:
    breach = truths((10.0, 20.0, EMPTY))
    assert rules(judged(breach, faults=fault(11.9, 20.0, "hang"))) == ["B1"]


@pytest.mark.parametrize(
    ("what", "tail_s"),
    [
        (Order(actor="safety", order="hang 2", for_s=2.0), TERMS.restarted_s),
        (Order(actor="inverter/d1", order="raise"), TERMS.restarted_s),
        (Signal(cell="control"), TERMS.replaced_s),
        (Signal(cell="control", stop_s=2.0), TERMS.replaced_s),
    ],
)
def test_faults_of_control_excuse_until_it_is_back(what: Any, tail_s: float) -> None:
    steps = [done(10.0, 12.0, what)]
    until_s = 12.0 + tail_s + TERMS.answer_s
    assert rules(judged(truths((10.0, until_s, EMPTY)), steps=steps)) == []
    assert rules(judged(truths((10.0, until_s + 0.4, EMPTY)), steps=steps)) == ["B1"]


@pytest.mark.parametrize(
    "what",
    [
        Order(actor="dispatcher", order="spin 1.0", for_s=1.0),
        Order(actor="inverter/d2", order="raise"),
        Signal(cell="api"),
        Signal(cell="publisher", stop_s=2.0),
        Signal(cell="root", stop_s=2.0),
    ],
)
def test_what_else_suffers_excuses_nothing(what: Any) -> None:
    assert rules(judged(truths((10.0, 12.0, EMPTY)), steps=[done(10.0, 12.0, what)])) == ["B1"]


def test_a_step_that_was_refused_excuses_nothing() -> None:
    steps = [done(10.0, 12.0, Signal(cell="control"), refused="it has no process")]
    assert rules(judged(truths((10.0, 12.0, EMPTY)), steps=steps)) == ["B1"]


def test_a_cell_is_not_replaced_while_root_is_stopped() -> None:
    steps = [
        done(10.0, 10.0, Signal(cell="control")),
        done(9.0, 20.0, Signal(cell="root", stop_s=11.0)),
    ]
    until_s = 20.0 + TERMS.replaced_s + TERMS.answer_s
    assert rules(judged(truths((10.0, until_s, EMPTY)), steps=steps)) == []
    assert rules(judged(truths((10.0, until_s + 0.4, EMPTY)), steps=steps)) == ["B1"]


@pytest.mark.parametrize(
    ("register", "value"),
    [("soc_pct", 50), ("battery_power_w", 0), ("battery_power_w", 2000)],
)
def test_a_breach_that_is_not_served_cannot_be_answered(register: str, value: float) -> None:
    faults = fault(9.0, 30.0, "spoofed", register=register, value=value)
    good = judged(truths((10.0, 30.0 + TERMS.answer_s, EMPTY)), faults=faults)
    bad = judged(truths((10.0, 30.4 + TERMS.answer_s, EMPTY)), faults=faults)
    assert (rules(good), good.tally.breaches) == ([], 1)
    assert rules(bad) == ["B1"]


@pytest.mark.parametrize(
    "lie",
    [
        {"kind": "sentinel", "register": "soc_pct"},
        {"kind": "nan", "register": "battery_power_w"},
        {"kind": "spoofed", "register": "soc_pct", "value": 3},
        {"kind": "stuck", "register": "max_charge_w"},
    ],
)
def test_a_lie_that_does_not_hide_the_breach_excuses_nothing(lie: dict[str, Any]) -> None:
    assert rules(judged(truths((10.0, 12.0, EMPTY)), faults=fault(9.0, 30.0, **lie))) == ["B1"]


def test_who_forces_again_after_an_answer_begins_a_new_breach() -> None:
    breach = truths((10.0, 16.0, EMPTY))
    stops = [write(10.0 + turn, forced_mode=0) for turn in range(1, 6)]
    assert rules(judged(breach, writes=stops)) == []
    assert rules(judged(breach, writes=stops[2:])) == ["B1"]


@pytest.mark.parametrize("result", ["unanswered", "exception 6"])
def test_a_stop_that_was_not_carried_out_is_no_answer(result: str) -> None:
    stops = [refused(11.0, result, {"forced_mode": 0})]
    assert rules(judged(truths((10.0, 12.0, EMPTY)), writes=stops)) == ["B1"]


@pytest.mark.parametrize("first", [EMPTY, EMPTY | {"forced_mode": 0}, {}])
def test_a_set_point_that_is_overridden_before_it_was_seen_to_work_has_a_longer_deadline(
    first: dict[str, float],
) -> None:
    before = (10.0, 11.0, first)
    until_s = 11.0 + TERMS.disguised_s
    charged = [write(11.0, forced_mode=1)]
    good = judged(truths(before, (11.1, until_s, EMPTY)), writes=charged)
    bad = judged(truths(before, (11.1, until_s + 0.5, EMPTY)), writes=charged)
    seen_to_work = judged(truths(before, (12.2, until_s, EMPTY)), writes=charged)
    never_begun = judged(
        truths(before, (11.1, until_s, EMPTY)), writes=[foreign(11.0, forced_mode=1)]
    )

    assert (rules(good), good.tally.disguised_breaches) == ([], 1)
    assert rules(bad) == ["B1"]
    assert rules(seen_to_work) == ["B1"]
    assert rules(never_begun) == ["B1"]


def test_nothing_forced_outlasts_the_countdown_of_the_device_whatever_is_wrong() -> None:
    began = [foreign(10.0, forced_period_min=2, forced_mode=2)]
    hung = fault(9.0, 55.0, "hang")
    ends_s = 10.0 + 2 * TERMS.countdown_s_per_min + 1.0
    assert rules(judged(truths((10.0, ends_s, EMPTY)), writes=began, faults=hung)) == []
    assert rules(judged(truths((10.0, ends_s + 0.4, EMPTY)), writes=began, faults=hung)) == ["B2"]


def test_time_that_the_machine_lost_is_not_counted() -> None:
    breach = truths((10.0, 14.0, EMPTY))
    starved = [truth for truth in breach if not 10.5 < truth.mono_ns / 1e9 - 1000.0 < 13.5]
    found = judged(starved)
    assert rules(found) == []
    assert found.tally.lost_s == pytest.approx(2.9, abs=0.2)


def test_a_record_with_a_gap_is_no_acquittal() -> None:
    gapped = [truth for truth in truths() if not 10.0 < truth.mono_ns / 1e9 - 1000.0 < 21.0]
    assert rules(judged(gapped)) == ["C1"]
