"""What is written for a power, word by word."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.errors import RefusedWriteError
from actors.inverter.jobs import RegisterWords
from actors.inverter.profile import Operand, PointType, Step, WordOrder
from actors.inverter.write import (
    LiveLimits,
    LiveState,
    WritePlan,
    plan_power,
    plan_steps,
    plan_stop,
)
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


def step(kind: PointType, **more: object) -> Step:
    return Step(name="s", address=1, type=kind, **{"operand": Operand.POWER_W, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (step(PointType.I16, gain=-1), (0x10000 - 1500,)),
        (step(PointType.I32, gain=-10), (0xFFFF, 0x10000 - 15000)),
        (step(PointType.U16, gain=0.1), (150,)),
        (step(PointType.U32, word_order=WordOrder.LITTLE, gain=100), (0x49F0, 2)),
    ],
)
def test_a_step_writes_the_operand_in_the_registers_own_sign_size_and_order(
    one: Step, words: tuple[int, ...]
) -> None:
    assert plan_steps((one,), {Operand.POWER_W: 1500}).steps[0].words == words


def test_the_countdown_and_the_ramp_are_written_in_seconds_where_a_device_wants_them() -> None:
    steps = tuple(
        step(PointType.U16, operand=operand, verify=True)
        for operand in (Operand.POWER_W, Operand.DEADMAN_S, Operand.RAMP_S)
    )
    spec = msgspec.structs.replace(PROFILE.write, charge=steps, requires=(), ramp_s=5)
    plan = plan_power(spec, 1000, LIMITS, 2)
    assert [written.words for written in plan.steps] == [(1000,), (120,), (5,)]


def test_a_step_carries_its_settling_time_and_tolerance_to_the_link() -> None:
    one = step(PointType.I16, settle_s=0.5, verify=True, tolerance=3, gain=-1)
    (check,) = plan_steps((one,), {Operand.POWER_W: 1}).checks
    assert (check.settle_s, check.tolerance) == (0.5, 3)
    assert [check.agrees([word]) for word in (0xFFFF, 2, 3, 0xFFFC, 0xFFFB)] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert not check.agrees([0xFFFF, 0])


def test_a_value_read_back_in_two_words_is_compared_as_the_number_it_is() -> None:
    big = RegisterWords("x", 1, (1, 0), tolerance=1)
    assert big.agrees([0, 0xFFFF])
    little = RegisterWords("x", 1, (0, 1), tolerance=1, little=True)
    assert little.agrees([0xFFFF, 0])
    assert not little.agrees([0, 0])


def states(**values: float | None) -> LiveLimits:
    usual = {"charge_from_grid": 1.0, "remote_control_mode": 0.0, "battery_mode": 4.0}
    addresses = {"charge_from_grid": 47087, "remote_control_mode": 47589, "battery_mode": 37006}
    return msgspec.structs.replace(
        LIMITS,
        states={
            name: LiveState(addresses[name], value, reason="timed out")
            for name, value in (usual | values).items()
        },
    )


def test_a_charge_while_charging_from_the_grid_is_forbidden_is_refused_and_names_the_register() -> (
    None
):
    with pytest.raises(
        RefusedWriteError,
        match=r"charge refused: charge_from_grid \(register 47087\) is 0, expected 1; .*PV only",
    ):
        plan_power(PROFILE.write, 1000, states(charge_from_grid=0), 2)
    assert plan_power(PROFILE.write, -1000, states(charge_from_grid=0), 2).steps
    assert plan_power(PROFILE.write, 1000, states(), 2).steps


@pytest.mark.parametrize("power_w", [1000.0, -1000.0])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("remote_control_mode", 3.0, r"\(register 47589\) is 3, expected 0"),
        ("battery_mode", 9.0, r"\(register 37006\) is 9, expected anything but 7 or 8 or 9"),
        ("battery_mode", None, r"battery_mode \(register 37006\) is not known now: timed out"),
    ],
)
def test_nothing_is_forced_on_a_battery_that_a_portal_schedules(
    power_w: float, name: str, value: float | None, told: str
) -> None:
    with pytest.raises(RefusedWriteError, match=told):
        plan_power(PROFILE.write, power_w, states(**{name: value}), 2)


def test_what_a_device_does_not_have_is_not_required_and_what_was_never_read_refuses() -> None:
    known = states().states or {}
    absent = known | {"remote_control_mode": LiveState(47589, None, absent=True)}
    assert plan_power(PROFILE.write, 1000, msgspec.structs.replace(LIMITS, states=absent), 2).steps
    with pytest.raises(RefusedWriteError, match="charge_from_grid is not known now"):
        plan_power(PROFILE.write, 1000, msgspec.structs.replace(LIMITS, states={}), 2)


def test_a_stop_needs_no_state() -> None:
    assert plan_power(PROFILE.write, 0, states(charge_from_grid=None), 2) == plan_stop(
        PROFILE.write
    )


def test_a_countdown_that_does_not_fit_its_register_is_refused() -> None:
    with pytest.raises(RefusedWriteError, match="forced period: 65536 does not fit into u16"):
        plan_power(PROFILE.write, 1000.0, LIMITS, 65536)
