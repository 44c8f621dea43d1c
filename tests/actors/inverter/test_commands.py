"""Leases, safe commands and what is owed: decided without a device."""

from __future__ import annotations

import msgspec
import pytest

from actors.inverter.commands import Action, CommandDesk
from actors.inverter.failsafe import Failsafe
from actors.inverter.jobs import WriteDone, WriteJob
from actors.inverter.write import LiveLimits
from actors.messages import ApprovedSetpoint, LinkState, SafeCommand, WriteReport, WriteResult
from supervision.clock import NS_PER_S
from tests.actors.inverter.driven import PROFILE

EPOCH = 7
LIMITS = LiveLimits(5000.0, 4000.0)


@pytest.fixture
def desk() -> CommandDesk:
    """A desk whose device is online, unforced and has told its limits."""
    made = CommandDesk("d1", EPOCH)
    made.adopt(PROFILE.write, 2)
    made.link(LinkState.ONLINE, "")
    made.set_limits(LIMITS)
    assert made.forced(forced=False, now_ns=0) == []
    return made


def approval(
    seq: int,
    power_w: float = 1000.0,
    until_s: float = 10.0,
    epoch: int = EPOCH,
    device_id: str = "d1",
) -> ApprovedSetpoint:
    return ApprovedSetpoint(
        device_id=device_id,
        power_w=power_w,
        seq=seq,
        inverter_epoch=epoch,
        lease_until_mono_ns=int(until_s * NS_PER_S),
        reason="",
    )


def safe(seq: int) -> SafeCommand:
    return SafeCommand(device_id="d1", seq=seq, rule="r", reason="")


def job(actions: list[Action]) -> WriteJob:
    (action,) = actions
    assert isinstance(action, WriteJob)
    return action


def report(actions: list[Action]) -> WriteReport:
    (action,) = actions
    assert isinstance(action, WriteReport)
    return action


def finish(
    desk: CommandDesk, work: WriteJob, result: WriteResult, at_s: float = 0.0
) -> list[Action]:
    return desk.done(WriteDone(work.number, result, "", int(at_s * NS_PER_S)))


def hold(desk: CommandDesk, seq: int = 1, power_w: float = 1000.0, until_s: float = 10.0) -> None:
    finish(desk, job(desk.setpoint(approval(seq, power_w, until_s), 1, 0)), WriteResult.VERIFIED)


def at(seconds: float) -> int:
    return int(seconds * NS_PER_S)


def first_write(work: WriteJob) -> tuple[int, tuple[int, ...]]:
    return work.steps[0].address, work.steps[0].words


def test_an_approved_setpoint_is_written_and_its_outcome_reported(desk: CommandDesk) -> None:
    work = job(desk.setpoint(approval(1), 1, 0))
    assert work.expires_ns == at(10)
    outcome = report(finish(desk, work, WriteResult.VERIFIED))
    assert (outcome.seq, outcome.safe, outcome.result, outcome.power_w) == (
        1,
        False,
        WriteResult.VERIFIED,
        1000.0,
    )


@pytest.mark.parametrize(
    ("message", "now_s", "reason"),
    [
        (approval(2, epoch=6), 0, "approved for incarnation 6, this is 7"),
        (approval(1), 0, "seq 1 of epoch 1 does not rise"),
        (approval(2), 10.5, "the lease ended 0.500 s ago"),
        (approval(2, until_s=30.1), 0, "the lease ends in 30.1 s, allowed are 30 s"),
        (approval(2, device_id="d2"), 0, "approved for 'd2', this is 'd1'"),
        (approval(2, power_w=6000.0), 0, "exceeds the device's max_charge_w = 5000"),
    ],
)
def test_what_may_not_be_written_is_rejected_with_its_reason(
    desk: CommandDesk, message: ApprovedSetpoint, now_s: float, reason: str
) -> None:
    desk.setpoint(approval(1), 1, 0)
    outcome = report(desk.setpoint(message, 1, at(now_s)))
    assert outcome.result is WriteResult.REJECTED
    assert reason in outcome.detail


@pytest.mark.parametrize("state", [LinkState.OFFLINE, LinkState.REFUSED, LinkState.IDENTIFYING])
def test_nothing_is_written_to_a_device_that_is_not_online(
    desk: CommandDesk, state: LinkState
) -> None:
    desk.link(state, "why")
    outcome = report(desk.setpoint(approval(1), 1, 0))
    assert outcome.result is WriteResult.REJECTED
    assert f"the device is {state.value}: why" in outcome.detail


def test_a_new_incarnation_of_safety_counts_from_one_again(desk: CommandDesk) -> None:
    hold(desk, seq=50)
    assert report(desk.setpoint(approval(1), 2, 0)).result is WriteResult.VERIFIED
    assert "does not rise" in report(desk.setpoint(approval(51), 1, 0)).detail


def test_a_renewal_of_the_same_power_writes_nothing_but_extends_the_lease(
    desk: CommandDesk,
) -> None:
    hold(desk)
    assert (
        report(desk.setpoint(approval(2, until_s=20), 1, at(5))).detail == "held, no write needed"
    )
    assert desk.tick(at(15)) == []


def test_a_changed_power_is_written(desk: CommandDesk) -> None:
    hold(desk)
    assert job(desk.setpoint(approval(2, power_w=1500.0), 1, at(1))).steps[2].words == (0, 1500)


def test_a_held_power_is_written_again_before_the_devices_countdown_ends(desk: CommandDesk) -> None:
    hold(desk, until_s=30)
    report(desk.setpoint(approval(2, until_s=50), 1, at(25)))
    assert desk.tick(at(44.9)) == []
    work = job(desk.tick(at(45.1)))
    assert first_write(work) == (47246, (0,))
    finish(desk, work, WriteResult.VERIFIED, at_s=45.2)
    report(desk.setpoint(approval(3, until_s=70), 1, at(45.3)))
    assert desk.tick(at(60)) == []


def test_a_lease_that_is_not_renewed_ends_in_the_safe_state(desk: CommandDesk) -> None:
    hold(desk)
    assert desk.tick(at(9.9)) == []
    work = job(desk.tick(at(10)))
    assert work.safe
    assert first_write(work) == (47100, (0,))
    outcome = report(finish(desk, work, WriteResult.VERIFIED, at_s=10))
    assert (outcome.safe, outcome.seq) == (True, 1)
    assert desk.tick(at(60)) == []


def test_a_lease_that_ends_during_its_first_write_is_answered_at_once(desk: CommandDesk) -> None:
    writing = job(desk.setpoint(approval(1), 1, 0))
    assert desk.due_ns() == at(10)
    assert desk.tick(at(9.9)) == []
    assert job(desk.tick(at(10))).safe
    finish(desk, writing, WriteResult.VERIFIED, at_s=11)
    assert desk.following is None
    assert desk.lapsed == 1


def test_an_ended_power_needs_no_safe_command_when_its_lease_ends(desk: CommandDesk) -> None:
    hold(desk, power_w=0.0)
    assert desk.tick(at(60)) == []


def test_a_rejected_change_leaves_the_old_lease_as_it_was(desk: CommandDesk) -> None:
    hold(desk)
    finish(
        desk,
        job(desk.setpoint(approval(2, power_w=1500.0, until_s=30), 1, at(1))),
        WriteResult.REJECTED,
        1,
    )
    assert job(desk.tick(at(10))).safe


@pytest.mark.parametrize("result", [WriteResult.UNVERIFIED, WriteResult.UNKNOWN])
def test_an_uncertain_setpoint_is_written_again_while_its_lease_lasts(
    desk: CommandDesk, result: WriteResult
) -> None:
    finish(desk, job(desk.setpoint(approval(1), 1, 0)), result)
    assert desk.tick(at(0.5)) == []
    assert not job(desk.tick(at(1.5))).safe


def test_an_unknown_setpoint_is_read_back_on_the_next_connection(desk: CommandDesk) -> None:
    finish(desk, job(desk.setpoint(approval(1), 1, 0)), WriteResult.UNKNOWN)
    desk.link(LinkState.OFFLINE, "timeout")
    work = job(desk.link(LinkState.ONLINE, ""))
    assert work.steps == ()
    assert [(check.address, check.words) for check in work.checks] == [
        (47247, (0, 1000)),
        (47100, (1,)),
    ]


def test_a_setpoint_found_written_on_a_new_connection_restarts_the_countdown(
    desk: CommandDesk,
) -> None:
    finish(desk, job(desk.setpoint(approval(1), 1, 0)), WriteResult.UNKNOWN)
    desk.link(LinkState.OFFLINE, "timeout")
    finish(desk, job(desk.link(LinkState.ONLINE, "")), WriteResult.VERIFIED, at_s=2)
    desk.set_limits(LIMITS)
    assert first_write(job(desk.tick(at(4)))) == (47246, (0,))


def test_approvals_of_a_power_that_is_being_written_share_its_outcome(desk: CommandDesk) -> None:
    work = job(desk.setpoint(approval(1), 1, 0))
    assert desk.setpoint(approval(2), 1, 0) == []
    outcomes = finish(desk, work, WriteResult.VERIFIED)
    assert [outcome.seq for outcome in outcomes if isinstance(outcome, WriteReport)] == [1, 2]


def test_an_approval_never_joins_an_older_power_behind_a_newer_one(desk: CommandDesk) -> None:
    desk.setpoint(approval(1, 1000.0), 1, 0)
    desk.setpoint(approval(2, 2000.0), 1, 0)
    assert job(desk.setpoint(approval(3, 1000.0), 1, 0)).steps[2].words == (0, 1000)


def test_a_safe_command_is_a_stop_and_its_outcome_is_reported(desk: CommandDesk) -> None:
    work = job(desk.safe(safe(5), 0))
    assert work.safe
    assert first_write(work) == (47100, (0,))
    outcome = report(finish(desk, work, WriteResult.VERIFIED))
    assert (outcome.seq, outcome.safe, outcome.result) == (5, True, WriteResult.VERIFIED)


def test_safe_commands_during_a_stop_share_its_outcome(desk: CommandDesk) -> None:
    work = job(desk.safe(safe(5), 0))
    assert desk.safe(safe(6), 0) == []
    outcomes = finish(desk, work, WriteResult.VERIFIED)
    assert [outcome.seq for outcome in outcomes if isinstance(outcome, WriteReport)] == [5, 6]


def test_no_setpoint_is_accepted_until_the_safe_state_is_verified(desk: CommandDesk) -> None:
    work = job(desk.safe(safe(5), 0))
    assert "not been verified" in report(desk.setpoint(approval(6), 1, 0)).detail
    finish(desk, work, WriteResult.VERIFIED)
    assert not job(desk.setpoint(approval(7), 1, 0)).safe


@pytest.mark.parametrize(
    "result", [WriteResult.UNVERIFIED, WriteResult.REJECTED, WriteResult.UNKNOWN]
)
def test_a_stop_that_is_not_verified_is_tried_again(desk: CommandDesk, result: WriteResult) -> None:
    finish(desk, job(desk.safe(safe(5), 0)), result)
    assert desk.tick(at(0.5)) == []
    work = job(desk.tick(at(1.5)))
    assert work.safe
    assert report(finish(desk, work, WriteResult.VERIFIED, 2)).seq == 5


def test_a_safe_command_ends_the_lease_for_good(desk: CommandDesk) -> None:
    hold(desk, until_s=30)
    finish(desk, job(desk.safe(safe(2), at(1))), WriteResult.VERIFIED, 1)
    assert desk.tick(at(100)) == []


def test_a_setpoint_that_was_under_way_is_not_held_after_a_safe_command(desk: CommandDesk) -> None:
    under_way = job(desk.setpoint(approval(1, until_s=30), 1, 0))
    stop = job(desk.safe(safe(2), 0))
    finish(desk, under_way, WriteResult.UNVERIFIED)
    finish(desk, stop, WriteResult.VERIFIED)
    assert desk.tick(at(100)) == []


def test_an_older_stop_does_not_clear_what_a_newer_safe_command_asks_for() -> None:
    desk = CommandDesk("d1", EPOCH, Failsafe.ZERO)
    desk.adopt(PROFILE.write, 2)
    desk.link(LinkState.ONLINE, "")
    desk.set_limits(LIMITS)
    hold(desk)
    leaving = job(desk.tick(at(10)))
    stop = job(desk.safe(safe(9), at(10)))
    finish(desk, leaving, WriteResult.VERIFIED, at_s=11)
    assert "not been verified" in report(desk.setpoint(approval(10, until_s=20), 1, at(11))).detail
    finish(desk, stop, WriteResult.UNKNOWN, at_s=12)
    again = job(desk.tick(at(14)))
    assert again.safe
    assert first_write(again) == (47100, (0,))


def test_a_stop_owed_to_a_device_of_which_nothing_is_known_waits_for_its_profile() -> None:
    desk = CommandDesk("d1", EPOCH)
    assert report(desk.safe(safe(5), 0)).result is WriteResult.UNKNOWN
    desk.adopt(PROFILE.write, 2)
    assert job(desk.link(LinkState.ONLINE, "")).safe


def test_a_stop_owed_to_a_device_that_turns_out_read_only_is_not_tried(desk: CommandDesk) -> None:
    desk.link(LinkState.OFFLINE, "gone")
    desk.safe(safe(5), 0)
    nothing = dict.fromkeys(("charge", "discharge", "stop", "hold", "release"), ())
    desk.adopt(msgspec.structs.replace(PROFILE.write, impossible="read only", **nothing), 2)
    assert desk.link(LinkState.ONLINE, "") == []
    assert desk.tick(at(5)) == []
    answer = report(desk.safe(safe(6), at(5)))
    assert (answer.result, answer.detail) == (WriteResult.UNVERIFIED, "read only")


@pytest.mark.parametrize("state", [LinkState.OFFLINE, LinkState.REFUSED])
def test_a_safe_command_for_a_device_that_is_away_comes_first_when_it_is_back(
    desk: CommandDesk, state: LinkState
) -> None:
    hold(desk)
    desk.link(state, "why")
    outcome = report(desk.safe(safe(2), 0))
    assert outcome.result is WriteResult.UNKNOWN
    assert "remembered until it is back" in outcome.detail
    assert job(desk.link(LinkState.ONLINE, "")).safe


def test_a_lease_that_ends_while_the_device_is_away_is_made_good_when_it_is_back(
    desk: CommandDesk,
) -> None:
    hold(desk)
    desk.link(LinkState.OFFLINE, "gone")
    assert report(desk.tick(at(11))).result is WriteResult.UNKNOWN
    assert desk.tick(at(20)) == []
    assert job(desk.link(LinkState.ONLINE, "")).safe


def test_a_device_found_forced_without_a_lease_is_made_safe_once() -> None:
    desk = CommandDesk("d1", EPOCH)
    desk.adopt(PROFILE.write, 2)
    desk.link(LinkState.ONLINE, "")
    assert desk.forced(forced=None, now_ns=0) == []
    work = job(desk.forced(forced=True, now_ns=0))
    assert work.safe
    finish(desk, work, WriteResult.VERIFIED)
    assert desk.forced(forced=True, now_ns=0) == []


def test_a_device_that_follows_a_valid_lease_is_left_alone_on_a_new_connection(
    desk: CommandDesk,
) -> None:
    hold(desk)
    desk.link(LinkState.OFFLINE, "gone")
    assert desk.link(LinkState.ONLINE, "") == []
    assert desk.forced(forced=True, now_ns=at(1)) == []


def test_an_outcome_nobody_asked_for_is_ignored(desk: CommandDesk) -> None:
    assert desk.done(WriteDone(99, WriteResult.VERIFIED, "", 0)) == []
