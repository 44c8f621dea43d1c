"""What the actor does about a device that does not follow, or follows somebody else, and how it leaves one."""

from __future__ import annotations

from pathlib import Path

import msgspec

from actors.inverter.failsafe import Failsafe
from actors.inverter.hold import FlashLedger
from actors.inverter.jobs import RegisterWords
from actors.inverter.ledger_file import LedgerFile
from actors.inverter.profile import Effect
from actors.messages import (
    LEASE_ENDED,
    ForeignAction,
    ForeignWrite,
    SafeCommand,
    WriteReport,
    WriteResult,
)
from supervision.actor import StopReason
from tests.actors.inverter.driven import PROFILE, Driven, driven
from tests.actors.inverter.scripted_peer import ScriptedPeer, exception
from tests.actors.inverter.test_actor import CHARGE, STOP

QUICK = msgspec.structs.replace(
    PROFILE,
    slow_s=0.1,
    write=msgspec.structs.replace(PROFILE.write, effect=Effect(settle_s=0.3, rel=0.2, abs_w=200.0)),
)
HOLD = (47077, (0, 0))
ZERO = [(47246, (0,)), (47083, (2,)), (47249, (0, 0)), (47100, (2,))]


def unverified(subject: Driven, seq: int) -> list[WriteReport]:
    return [
        report
        for report in subject.context.messages(WriteReport, "safety")
        if report.seq == seq and report.result is WriteResult.UNVERIFIED
    ]


def foreign(subject: Driven, address: int) -> list[ForeignWrite]:
    return [
        told
        for told in subject.context.messages(ForeignWrite, "safety")
        if told.register == address
    ]


def settle(subject: Driven, peer: ScriptedPeer) -> None:
    """Let every block with a control register be read, and its answer be taken."""
    blocks = {47075, 47100, 47246}
    subject.until(lambda: blocks <= {request.address for request in list(peer.requests)})
    polls = subject.actor._state.polls
    subject.until(lambda: subject.actor._state.polls > polls)


def test_a_set_point_that_reads_back_and_moves_no_power_is_unverified_with_figures(
    peer: ScriptedPeer,
) -> None:
    with driven(peer.port, poll_s=0.02, profile=QUICK) as subject:
        subject.online()
        seq = subject.approve(1000.0)
        assert subject.report(seq).result is WriteResult.VERIFIED
        subject.until(lambda: bool(unverified(subject, seq)))
        (report,) = unverified(subject, seq)
        assert "no effect: battery power 0 W" in report.detail
        assert "it should have been 1000 W within 200 W" in report.detail


def test_a_register_that_another_master_changes_is_told_and_the_set_point_written_again(
    peer: ScriptedPeer,
) -> None:
    quick = msgspec.structs.replace(QUICK, write=msgspec.structs.replace(QUICK.write, effect=None))
    with driven(peer.port, poll_s=0.02, profile=quick) as subject:
        subject.online()
        settle(subject, peer)
        subject.report(subject.approve(1000.0))
        peer.put(47247, 0, 3000)
        subject.until(lambda: bool(foreign(subject, 47247)))
        (told,) = foreign(subject, 47247)
        assert (told.old, told.new) == (1000.0, 3000.0)
        assert told.action is ForeignAction.REASSERTED
        subject.until(lambda: peer.writes == [*CHARGE, *CHARGE])


def test_a_changed_limit_of_the_device_is_told_to_safety(
    peer: ScriptedPeer,
) -> None:
    with driven(peer.port, poll_s=0.02, profile=QUICK) as subject:
        subject.online()
        settle(subject, peer)
        peer.put(47082, 150)
        subject.until(lambda: bool(foreign(subject, 47082)))
        assert foreign(subject, 47082)[0].name == "discharge_cutoff_soc_pct"
        receivers = [
            sent.receivers
            for sent in subject.context.sent
            if isinstance(sent.message, ForeignWrite)
        ]
        assert receivers == [("safety",)]
        assert peer.writes == []


def test_zero_leaves_the_battery_forced_to_rest_with_the_devices_countdown(
    peer: ScriptedPeer,
) -> None:
    with driven(peer.port, poll_s=0.02, failsafe=Failsafe.ZERO) as subject:
        subject.online()
        subject.report(subject.approve(1000.0))
        subject.actor.on_stop(StopReason.SHUTDOWN)
        assert peer.writes == [*CHARGE, *ZERO]
        report = subject.context.messages(WriteReport, "safety")[-1]
        assert report.result is WriteResult.VERIFIED


def test_hold_caps_discharging_and_records_the_original_first(
    peer: ScriptedPeer, tmp_path: Path
) -> None:
    peer.put(47077, 0, 4500)
    recorded: list[bool] = []
    file = LedgerFile(tmp_path, "d1")
    peer.script = lambda request: (
        recorded.append(file.path.exists()) if request.written == HOLD else None
    )
    with driven(peer.port, poll_s=0.02, failsafe=Failsafe.HOLD, state_dir=str(tmp_path)) as subject:
        subject.online()
        settle(subject, peer)
        subject.actor.on_stop(StopReason.SHUTDOWN)
    assert peer.writes == [*STOP, HOLD]
    assert recorded == [True]
    ledger = file.load()
    assert [(each.address, each.words) for each in ledger.originals] == [(47077, (0, 4500))]
    assert ledger.serial == "SN0001"


def test_the_next_set_point_restores_what_a_hold_has_changed(
    peer: ScriptedPeer, tmp_path: Path
) -> None:
    peer.put(47077, 0, 4500)
    settings = {"failsafe": Failsafe.HOLD, "state_dir": str(tmp_path)}
    with driven(peer.port, poll_s=0.02, **settings) as subject:
        subject.online()
        settle(subject, peer)
        subject.actor.on_stop(StopReason.SHUTDOWN)
    before = len(peer.writes)
    with driven(peer.port, poll_s=0.02, **settings) as subject:
        subject.online()
        assert subject.report(subject.approve(1000.0)).result is WriteResult.VERIFIED
        assert peer.writes[before:] == [(47077, (0, 4500)), *CHARGE]
    assert LedgerFile(tmp_path, "d1").load().originals == ()


def test_a_register_in_flash_that_changed_since_it_was_read_is_left_as_it_is(
    peer: ScriptedPeer, tmp_path: Path
) -> None:
    peer.put(47077, 0, 4500)
    with driven(peer.port, poll_s=0.02, failsafe=Failsafe.HOLD, state_dir=str(tmp_path)) as subject:
        subject.online()
        settle(subject, peer)
        peer.put(47077, 0, 3000)
        subject.actor.on_stop(StopReason.SHUTDOWN)
        assert peer.writes == STOP
        report = subject.context.messages(WriteReport, "safety")[-1]
        assert "reads [0, 3000] at 47077, expected [0, 4500]: it is left as it is" in report.detail


def test_a_regular_stop_restores_what_a_killed_run_has_left(
    peer: ScriptedPeer, tmp_path: Path
) -> None:
    original = RegisterWords("maximum discharging power", 47077, (0, 4500))
    file = LedgerFile(tmp_path, "d1")
    file.store(FlashLedger(serial="SN0001", originals=(original,)))
    with driven(peer.port, poll_s=0.02, state_dir=str(tmp_path)) as subject:
        subject.online()
        settle(subject, peer)
        subject.actor.on_stop(StopReason.SHUTDOWN)
    assert peer.writes == [*STOP, (47077, (0, 4500))]
    assert file.load().originals == ()


def test_where_hold_cannot_be_written_safely_the_device_is_released_and_it_is_said(
    peer: ScriptedPeer,
) -> None:
    with driven(peer.port, poll_s=0.02, failsafe=Failsafe.HOLD) as subject:
        subject.online()
        subject.actor.on_stop(StopReason.SHUTDOWN)
        assert peer.writes == STOP
        report = subject.context.messages(WriteReport, "safety")[-1]
        assert "there is no state directory to record originals in" in report.detail
        assert "released instead" in report.detail


def test_a_lease_that_ends_leaves_the_fail_safe_mode_and_a_breach_ends_forced_power(
    peer: ScriptedPeer,
) -> None:
    with driven(peer.port, poll_s=0.02, failsafe=Failsafe.ZERO) as subject:
        subject.online()
        subject.tell(SafeCommand(device_id="d1", seq=50, rule=LEASE_ENDED, reason="ended"))
        assert subject.report(50, safe=True).result is WriteResult.VERIFIED
        subject.tell(SafeCommand(device_id="d1", seq=51, rule="soc_low", reason="breach"))
        assert subject.report(51, safe=True).result is WriteResult.VERIFIED
        assert peer.writes == [*ZERO, *STOP]


def test_a_hold_that_the_device_refuses_still_ends_forced_power(
    peer: ScriptedPeer, tmp_path: Path
) -> None:
    peer.put(47077, 0, 4500)
    with driven(peer.port, poll_s=0.02, failsafe=Failsafe.HOLD, state_dir=str(tmp_path)) as subject:
        subject.online()
        settle(subject, peer)
        peer.script = lambda request: exception(request, 3) if request.written == HOLD else None
        subject.tell(SafeCommand(device_id="d1", seq=50, rule=LEASE_ENDED, reason="ended"))
        assert subject.report(50, safe=True).result is WriteResult.REJECTED
        assert peer.writes[: len(STOP)] == STOP


def test_a_set_point_is_written_again_when_the_device_is_back_from_a_short_absence(
    peer: ScriptedPeer, subject: Driven
) -> None:
    subject.report(subject.approve(1000.0))
    peer.hang_up()
    subject.until(lambda: peer.writes == [*CHARGE, *CHARGE])


def test_a_device_that_comes_back_forced_by_somebody_is_told_and_stopped(
    peer: ScriptedPeer, subject: Driven
) -> None:
    peer.put(37006, 1)
    peer.hang_up()
    subject.until(lambda: peer.writes == STOP)
    assert [told.action for told in foreign(subject, 37006)] == [ForeignAction.SAFE]
