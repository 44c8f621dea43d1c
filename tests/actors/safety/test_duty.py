from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

import pytest

from actors.messages import WriteResult
from actors.safety.config import DeviceLimits
from actors.safety.duty import Cause, SafeDuty, find_causes
from actors.safety.guard import SafetyGuard
from supervision.clock import NS_PER_S
from tests.actors.safety.measured import DEVICE, vitals

CAUSE = Cause("soc_max", "charging at 500 W")
FULL: dict[str, Any] = {"soc_pct": 99.0}


def _causes(
    known: AbstractSet[str] = frozenset(), *, leased: bool = False, **changes: Any
) -> set[str]:
    guard = SafetyGuard({DEVICE: DeviceLimits(good_cycles=1)})
    guard.observe(vitals(1), 1000 * NS_PER_S)
    assessment = guard.observe(vitals(2, **changes), 1000 * NS_PER_S)
    return set(find_causes(assessment, leased=leased, deadband_w=100.0, known=known))


@pytest.mark.parametrize(
    ("changes", "causes"),
    [
        ({"battery_power_w": 3000.0, "forced": True}, set()),
        (FULL, set()),
        (FULL | {"battery_power_w": 99.0}, set()),
        (FULL | {"battery_power_w": 101.0}, {"charging"}),
        (FULL | {"battery_power_w": 101.0, "forced": True}, {"charging", "forced"}),
        (FULL | {"battery_power_w": -3000.0, "forced": True}, set()),
        (FULL | {"battery_power_w": 0.0, "forced": True}, {"forced"}),
        ({"soc_pct": 4.0, "battery_power_w": -101.0}, {"discharging"}),
        ({"soc_pct": 4.0, "battery_power_w": 5000.0}, set()),
        ({"battery_power_w": None}, set()),
        ({"battery_power_w": None, "forced": True}, {"unseen"}),
        ({"battery_power_w": None, "forced": None}, {"unseen"}),
        ({"battery_temperature_c": 70.0}, {"trip_hot"}),
        ({"seq": 1}, {"order", "starting@7", "unseen"}),
    ],
)
def test_a_breach_is_movement_or_force_into_a_closed_direction(
    changes: dict[str, Any], causes: set[str]
) -> None:
    changes = {"seq": 2} | changes
    guard = SafetyGuard({DEVICE: DeviceLimits(good_cycles=1)})
    guard.observe(vitals(1), 1000 * NS_PER_S)
    assessment = guard.observe(vitals(**changes), 1000 * NS_PER_S)

    found = find_causes(assessment, leased=False, deadband_w=100.0, known=frozenset())

    assert set(found) == causes


def test_a_force_that_was_approved_is_no_breach() -> None:
    assert _causes(leased=True, forced=True, **FULL) == set()


def test_a_known_movement_counts_until_half_the_dead_band() -> None:
    assert _causes({"charging"}, battery_power_w=51.0, **FULL) == {"charging"}
    assert _causes({"charging"}, battery_power_w=49.0, **FULL) == set()


def _face(duty: SafeDuty, second: float, *keys: str) -> bool:
    """Face the causes `keys`, send if it is due, and return whether it was."""
    now_ns = int((1000 + second) * NS_PER_S)
    duty.face(dict.fromkeys(keys, CAUSE), now_ns)
    due = duty.is_due(now_ns)
    if due:
        duty.sent(int(second * 10), now_ns)
    return due


def test_a_new_cause_is_answered_at_once_and_again_every_second() -> None:
    duty = SafeDuty(reassert_s=1.0)

    sent = [_face(duty, s, "charging") for s in (0.0, 0.1, 0.9, 1.0, 1.9, 2.0)]

    assert sent == [True, False, False, True, False, True]
    assert duty.owed


def test_what_is_owed_stays_owed_after_its_cause_is_gone() -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "lease")

    assert [_face(duty, s) for s in (0.5, 1.0)] == [False, True]


@pytest.mark.parametrize(
    "result", [each for each in WriteResult if each is not WriteResult.VERIFIED]
)
def test_only_a_verified_command_is_done_with(result: WriteResult) -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "charging")

    duty.heard(0, result)
    assert duty.owed
    duty.heard(0, WriteResult.VERIFIED)
    assert not duty.owed


def test_a_report_on_an_earlier_command_proves_nothing() -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "starting@7")
    _face(duty, 0.5, "starting@8")

    duty.heard(0, WriteResult.VERIFIED)

    assert duty.owed


def test_a_report_on_any_repetition_is_enough() -> None:
    duty = SafeDuty(reassert_s=1.0)
    for second in (0.0, 1.0, 2.0):
        _face(duty, second, "charging")

    duty.heard(10, WriteResult.VERIFIED)

    assert not duty.owed


def test_a_cause_that_persists_after_read_back_is_answered_ten_times_more_slowly() -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "charging")
    duty.heard(0, WriteResult.VERIFIED)

    assert [_face(duty, s, "charging") for s in (1.0, 9.9, 10.0)] == [False, False, True]
    assert duty.owed


def test_a_second_episode_is_answered_at_once() -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "charging")
    duty.heard(0, WriteResult.VERIFIED)

    assert [_face(duty, 0.2), _face(duty, 0.3, "charging")] == [False, True]


def test_a_movement_that_a_command_on_its_way_will_end_is_not_answered_twice() -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "setpoint")

    assert not _face(duty, 0.1, "charging", "forced")


def test_a_movement_that_outlasts_the_read_back_is_answered_at_once() -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "setpoint")
    _face(duty, 0.1, "charging")
    duty.heard(0, WriteResult.VERIFIED)

    assert _face(duty, 0.2, "charging")


def test_an_approved_set_point_gets_time_to_end_a_persisting_movement() -> None:
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "charging")
    duty.heard(0, WriteResult.VERIFIED)

    duty.rest(1009 * NS_PER_S)

    assert [_face(duty, s, "charging") for s in (10.0, 18.9, 19.0)] == [False, False, True]


def test_a_device_that_somebody_forces_again_after_it_was_verified_safe_is_answered_at_full_pace() -> (
    None
):
    """A foreign master is no battery that moves by itself: every `reassert_s` counts."""
    duty = SafeDuty(reassert_s=1.0)
    _face(duty, 0.0, "discharging", "forced")
    duty.heard(1, WriteResult.VERIFIED)

    sent = [_face(duty, s, "discharging", "forced") for s in (0.9, 1.0)]

    assert sent == [False, True]
