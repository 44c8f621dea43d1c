"""A hold writes to flash: only with the original journaled, within the budget, and so that it can be undone."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.errors import RefusedWriteError
from actors.inverter.hold import FlashLedger, plan_hold, plan_release
from actors.inverter.profile import PointType, Step
from actors.inverter.write import LiveState
from tests.actors.inverter.driven import PROFILE

SPEC = PROFILE.write
DAY = "2026-05-01"
FIVE_KW = {47077: (0, 5000)}
STATES = {
    "remote_control_mode": LiveState(47589, 0.0),
    "battery_mode": LiveState(37006, 4.0),
}


def test_a_hold_caps_discharging_at_zero_and_journals_the_original_first() -> None:
    made = plan_hold(SPEC, FlashLedger(), FIVE_KW, STATES, DAY)
    assert [(step.address, step.words) for step in made.plan.steps] == [(47077, (0, 0))]
    assert [check.words for check in made.plan.checks] == [(0, 0)]
    assert [(each.address, each.words) for each in made.before.originals] == [(47077, (0, 5000))]
    assert (made.before.day, made.before.writes) == (DAY, {47077: 1})


def test_a_release_puts_the_original_back_and_then_forgets_it() -> None:
    held = plan_hold(SPEC, FlashLedger(), FIVE_KW, STATES, DAY).after
    made = plan_release(SPEC, held, DAY)
    assert [(step.address, step.words) for step in made.plan.steps] == [(47077, (0, 5000))]
    assert made.plan.checks == made.plan.steps
    assert made.before.originals == held.originals
    assert (made.after.originals, made.after.writes) == ((), {47077: 2})


def test_a_second_hold_keeps_the_first_original_and_writes_nothing_that_stands_already() -> None:
    held = plan_hold(SPEC, FlashLedger(), FIVE_KW, STATES, DAY).after
    made = plan_hold(SPEC, held, {47077: (0, 0)}, STATES, DAY)
    assert made.plan.steps == ()
    assert made.plan.checks
    assert made.before == held


def test_a_hold_that_somebody_lifted_is_written_again_and_their_setting_is_the_original() -> None:
    held = plan_hold(SPEC, FlashLedger(), FIVE_KW, STATES, DAY).after
    made = plan_hold(SPEC, held, {47077: (0, 3000)}, STATES, DAY)
    assert len(made.plan.steps) == 1
    assert [each.words for each in made.before.originals] == [(0, 3000)]


def test_a_hold_is_refused_while_the_original_is_not_known() -> None:
    with pytest.raises(RefusedWriteError, match=r"register 47077\) has not been read"):
        plan_hold(SPEC, FlashLedger(), {}, STATES, DAY)


def test_a_hold_is_refused_when_its_release_would_exceed_the_days_budget() -> None:
    spent = FlashLedger(day=DAY, writes={47077: SPEC.persistent_writes_per_day - 1})
    with pytest.raises(
        RefusedWriteError, match="19 of 20 writes to register 47077 are spent on 2026-05-01"
    ):
        plan_hold(SPEC, spent, FIVE_KW, STATES, DAY)
    assert plan_hold(SPEC, spent, FIVE_KW, STATES, "2026-05-02").before.writes == {47077: 1}


def test_a_release_is_never_refused_for_the_budget() -> None:
    held = plan_hold(SPEC, FlashLedger(), FIVE_KW, STATES, DAY).after
    spent = msgspec.structs.replace(held, writes={47077: 1000})
    assert plan_release(SPEC, spent, DAY).plan.steps


def test_a_release_of_nothing_writes_nothing() -> None:
    assert plan_release(SPEC, FlashLedger(), DAY).plan.steps == ()


def test_a_hold_is_refused_while_a_portal_schedules_the_battery() -> None:
    remote = STATES | {"remote_control_mode": LiveState(47589, 2.0)}
    with pytest.raises(RefusedWriteError, match="hold refused: remote_control_mode"):
        plan_hold(SPEC, FlashLedger(), FIVE_KW, remote, DAY)


def test_a_device_without_a_hold_says_so() -> None:
    without = msgspec.structs.replace(SPEC, hold=(), release=())
    with pytest.raises(RefusedWriteError, match="this profile has none"):
        plan_hold(without, FlashLedger(), FIVE_KW, STATES, DAY)


def test_volatile_steps_of_a_hold_are_written_and_undone_beside_the_persistent_one() -> None:
    mode = Step(name="mode", address=9, type=PointType.U16, value=1)
    normal = Step(name="normal", address=9, type=PointType.U16, value=0)
    spec = msgspec.structs.replace(SPEC, hold=(mode, *SPEC.hold), release=(normal, *SPEC.release))
    made = plan_hold(spec, FlashLedger(), FIVE_KW, STATES, DAY)
    assert [step.address for step in made.plan.steps] == [9, 47077]
    back = plan_release(spec, made.after, DAY)
    assert [(step.address, step.words) for step in back.plan.steps] == [
        (9, (0,)),
        (47077, (0, 5000)),
    ]


@given(st.lists(st.sampled_from(["hold", "release"]), max_size=60), st.integers(1, 0xFFFF))
def test_whatever_the_order_the_original_comes_back_and_the_budget_is_kept(
    orders: list[str], original: int
) -> None:
    ledger, register = FlashLedger(), (0, original)
    for order in [*orders, "release"]:
        try:
            made = (
                plan_hold(SPEC, ledger, {47077: register}, STATES, DAY)
                if order == "hold"
                else plan_release(SPEC, ledger, DAY)
            )
        except RefusedWriteError:
            continue
        for step in made.plan.steps:
            register = (step.words[0], step.words[1])
        ledger = made.after
    assert register == (0, original)
    assert ledger.spent(DAY, 47077) <= SPEC.persistent_writes_per_day
