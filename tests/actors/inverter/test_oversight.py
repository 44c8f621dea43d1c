"""What is done when a device does not follow, or follows somebody else: decided without a device."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from actors.inverter.commands import CommandDesk
from actors.inverter.failsafe import Failsafe
from actors.inverter.flash import Flash
from actors.inverter.jobs import WriteDone, WriteJob
from actors.inverter.oversight import EPISODES, Deed, Oversight
from actors.inverter.write import LiveLimits, LiveState
from actors.messages import (
    ApprovedSetpoint,
    ForeignAction,
    ForeignWrite,
    LinkState,
    Vitals,
    WriteReport,
    WriteResult,
)
from supervision.clock import NS_PER_S
from tests.actors.inverter.driven import PROFILE

LIMITS = LiveLimits(5000.0, 5000.0)


class Watched:
    """A desk and its oversight, and a device that does what it is told."""

    def __init__(self, failsafe: Failsafe = Failsafe.RELEASE) -> None:
        flash = Flash(None, str)
        self.desk = CommandDesk("d1", 7, failsafe, flash)
        self.desk.adopt(PROFILE.write, 2)
        self.desk.link(LinkState.ONLINE, "")
        self.desk.set_limits(LIMITS)
        self.desk.forced(forced=False, now_ns=0)
        self.oversight = Oversight("d1", self.desk, flash, PROFILE)
        self.power_w = 0.0
        self.registers = [0, 0, 0]
        self.seq = 0

    def hold(self, power_w: float, at_s: float = 0.0) -> None:
        self.seq += 1
        approved = ApprovedSetpoint(
            device_id="d1",
            power_w=power_w,
            seq=self.seq,
            inverter_epoch=7,
            lease_until_mono_ns=ns(at_s + 30),
            reason="",
        )
        self.carry_out(self.desk.setpoint(approved, 1, ns(at_s)), at_s)
        self.power_w = power_w

    def carry_out(self, deeds: Sequence[Deed], at_s: float) -> list[WriteJob]:
        """Let the device do what is asked, verified; return the jobs."""
        jobs = [deed for deed in deeds if isinstance(deed, WriteJob)]
        for job in jobs:
            self.oversight.submitted(job)
            done = WriteDone(job.number, WriteResult.VERIFIED, "", ns(at_s))
            self.oversight.done(done)
            self.desk.done(done)
            for step in job.steps:
                if step.address == 47100:
                    self.registers[0] = step.words[0]
        return jobs

    def poll(
        self, at_s: float, *, forced: bool = False, read: bool = True, power_w: float | None = None
    ) -> list[Deed]:
        vitals = Vitals(
            device_id="d1",
            seq=1,
            epoch=7,
            wall_ns=0,
            mono_ns=ns(at_s),
            battery_power_w=self.power_w if power_w is None else power_w,
            forced=forced,
        )
        blocks = [(47100, self.registers)] if read else []
        return self.oversight.look(blocks, vitals, ns(at_s), ns(at_s))


def ns(seconds: float) -> int:
    return int(seconds * NS_PER_S)


def foreign(deeds: list[Deed]) -> list[ForeignWrite]:
    return [deed for deed in deeds if isinstance(deed, ForeignWrite)]


@pytest.fixture
def watched() -> Watched:
    made = Watched()
    made.poll(0)
    return made


def test_a_set_point_that_is_followed_is_left_alone(watched: Watched) -> None:
    watched.hold(2000.0)
    assert not any(watched.poll(second, forced=True) for second in range(1, 100))


def test_a_set_point_without_effect_becomes_unverified_with_figures_once_a_renewal(
    watched: Watched,
) -> None:
    watched.hold(2000.0)
    watched.poll(1, forced=True)
    (report,) = watched.poll(32, forced=True, power_w=0.0)
    assert isinstance(report, WriteReport)
    assert (report.seq, report.safe, report.result) == (1, False, WriteResult.UNVERIFIED)
    assert "no effect: battery power 0 W" in report.detail
    assert watched.poll(33, forced=True, power_w=0.0) == []
    watched.hold(2000.0, at_s=34)
    assert isinstance(watched.poll(35, forced=True, power_w=0.0)[0], WriteReport)


def test_forced_power_that_nobody_ordered_is_told_and_ended(watched: Watched) -> None:
    deeds = watched.poll(10, forced=True)
    (told,) = foreign(deeds)
    assert (told.name, told.register, told.old, told.new) == ("battery_mode", 37006, 0.0, 1.0)
    assert told.action is ForeignAction.SAFE
    (job,) = watched.carry_out(deeds, 10)
    assert job.safe


def test_a_device_that_was_just_stopped_may_show_forced_power_a_little_longer(
    watched: Watched,
) -> None:
    watched.hold(2000.0)
    watched.carry_out(watched.desk.release(ns(5)), 5)
    assert watched.poll(7, forced=True) == []
    assert foreign(watched.poll(9, forced=True))


def resting() -> Watched:
    """A device that is left at rest by the fail-safe mode `zero`."""
    made = Watched(Failsafe.ZERO)
    made.poll(0)
    made.hold(2000.0)
    made.poll(5, forced=True)
    made.power_w = 0.0
    (left,) = made.carry_out(made.desk.tick(ns(30)), 30)
    assert left.steps[-1].words == (2,)
    return made


def test_a_device_that_rests_is_left_alone_until_its_own_countdown_ends_the_rest() -> None:
    made = resting()
    assert not any(made.poll(second, forced=True) for second in range(35, 140))
    made.registers[0] = 0
    deeds = made.poll(141)
    assert [told.action for told in foreign(deeds)] == [ForeignAction.TOLD]
    assert len(deeds) == 1


def test_a_foreign_command_to_a_device_that_rests_is_told_and_ended() -> None:
    made = resting()
    made.poll(35, forced=True)
    made.registers[0] = 1
    deeds = made.poll(40, forced=True, power_w=3000.0)
    assert [told.action for told in foreign(deeds)] == [ForeignAction.SAFE]
    (job,) = made.carry_out(deeds, 40)
    assert job.safe
    assert made.registers[0] == 0


def test_a_set_point_that_somebody_ended_is_written_again(watched: Watched) -> None:
    watched.hold(2000.0)
    deeds = watched.poll(10, forced=False)
    assert [told.action for told in foreign(deeds)] == [ForeignAction.REASSERTED]
    (job,) = watched.carry_out(deeds, 10)
    assert not job.safe
    assert job.steps[-1].words == (1,)


def test_a_command_register_that_somebody_changed_is_written_again(watched: Watched) -> None:
    watched.hold(2000.0)
    watched.registers[0] = 2
    deeds = watched.poll(10, forced=True)
    (told,) = foreign(deeds)
    assert (told.register, told.old, told.new) == (47100, 1.0, 2.0)
    assert told.action is ForeignAction.REASSERTED
    watched.carry_out(deeds, 10)
    assert watched.registers[0] == 1


def test_masters_that_overwrite_one_another_do_not_do_so_for_ever(watched: Watched) -> None:
    written = []
    for episode in range(20):
        at_s = 10.0 + 10 * episode
        if not watched.desk.contested:
            watched.hold(2000.0, at_s - 5)
        deeds = watched.poll(at_s, forced=bool(watched.desk.contested))
        written += watched.carry_out(deeds, at_s)
    assert [job.safe for job in written[: EPISODES + 1]] == [False] * EPISODES + [True]
    assert len(written) <= EPISODES + 1 + 3
    assert all(job.safe for job in written[EPISODES:])


def test_while_contested_set_points_are_refused_with_the_reason_and_later_taken_again(
    watched: Watched,
) -> None:
    deeds: list[Deed] = []
    for episode in range(EPISODES + 1):
        at_s = 10.0 + 10 * episode
        deeds = watched.poll(at_s, forced=True)
        watched.carry_out(deeds, at_s)
    assert foreign(deeds)[0].action is ForeignAction.CONTESTED
    approved = ApprovedSetpoint(
        device_id="d1",
        power_w=1000.0,
        seq=99,
        inverter_epoch=7,
        lease_until_mono_ns=ns(90),
        reason="",
    )
    (refused,) = watched.desk.setpoint(approved, 1, ns(60))
    assert isinstance(refused, WriteReport)
    assert "another master commands the device" in refused.detail
    watched.poll(700)
    assert watched.desk.contested == ""


def test_a_changed_setting_is_told_and_never_written_back(watched: Watched) -> None:
    settings = [0] * 14
    watched.oversight.look([(47075, settings)], None, ns(1), ns(1))
    settings[7] = 150
    deeds = watched.oversight.look([(47075, settings)], None, ns(2), ns(2))
    assert [(told.register, told.action) for told in foreign(deeds)] == [
        (47082, ForeignAction.TOLD)
    ]
    assert len(deeds) == 1


def test_a_set_point_that_a_changed_setting_forbids_is_refused_at_once(watched: Watched) -> None:
    watched.hold(2000.0)
    settings = [0] * 11 + [0, 1, 0]
    watched.oversight.look([(47075, settings)], None, ns(1), ns(1))
    settings[12] = 0
    forbidden = {"charge_from_grid": LiveState(47087, 0.0)}
    watched.desk.set_limits(msgspec.structs.replace(LIMITS, states=forbidden))
    deeds = watched.oversight.look([(47075, settings)], None, ns(2), ns(2))
    report = deeds[-1]
    assert isinstance(report, WriteReport)
    assert report.result is WriteResult.REJECTED
    assert "charge refused: charge_from_grid (register 47087) is 0" in report.detail


def test_a_profile_that_watches_nothing_leaves_foreign_power_to_the_limits() -> None:
    made = Watched()
    write = msgspec.structs.replace(PROFILE.write, watched=())
    blind = msgspec.structs.replace(PROFILE, write=write)
    made.oversight = Oversight("d1", made.desk, Flash(None, str), blind)
    assert made.poll(10, forced=True) == []
