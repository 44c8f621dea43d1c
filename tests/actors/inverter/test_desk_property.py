"""Whatever order events come in, a device is never left forced without a lease that still lasts."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.inverter.commands import Action, CommandDesk
from actors.inverter.failsafe import Failsafe
from actors.inverter.jobs import WriteDone, WriteJob
from actors.inverter.write import LiveLimits
from actors.messages import ApprovedSetpoint, LinkState, SafeCommand, WriteResult
from supervision.clock import NS_PER_S
from tests.actors.inverter.driven import PROFILE

EPOCH = 7
RETRY_S = 1.1

EVENTS = st.one_of(
    st.tuples(st.just("setpoint"), st.sampled_from([0.0, 1000.0, -2000.0])),
    st.tuples(st.just("safe"), st.just(0)),
    st.tuples(st.just("tick"), st.sampled_from([0.1, 1.0, 5.0, 50.0])),
    st.tuples(st.just("done"), st.sampled_from(list(WriteResult))),
    st.tuples(st.just("lost"), st.just(0)),
    st.tuples(st.just("back"), st.just(0)),
    st.tuples(st.just("release"), st.just(0)),
)


class Played:
    """A desk, and a device that carries out what was not refused."""

    def __init__(self, failsafe: Failsafe) -> None:
        self.desk = CommandDesk("d1", EPOCH, failsafe)
        self.desk.adopt(PROFILE.write, 2)
        self.now_s = 0.0
        self.seq = 0
        self.online = False
        self.jobs: list[WriteJob] = []
        self.power_w = 0.0
        self.lease_until_s = 0.0
        self.play("back", 0)

    @property
    def now_ns(self) -> int:
        return int(self.now_s * NS_PER_S)

    def play(self, what: str, how: Any) -> None:
        match what:
            case "setpoint":
                self.seq += 1
                self.take(self.desk.setpoint(self.approval(how), 1, self.now_ns))
            case "safe":
                self.seq += 1
                command = SafeCommand(device_id="d1", seq=self.seq, rule="r", reason="")
                self.take(self.desk.safe(command, self.now_ns))
            case "tick":
                self.now_s += how
                self.take(self.desk.tick(self.now_ns))
            case "done":
                self.finish(how)
            case "lost":
                self.online = False
                while self.jobs:
                    self.finish(WriteResult.UNKNOWN)
                self.take(self.desk.link(LinkState.OFFLINE, "gone"))
            case "back":
                self.online = True
                self.take(self.desk.link(LinkState.ONLINE, ""))
                self.desk.set_limits(LiveLimits(5000.0, 5000.0))
            case _:
                self.take(self.desk.release(self.now_ns))

    def approval(self, power_w: float) -> ApprovedSetpoint:
        until_s = self.now_s + 5.0
        self.lease_until_s = max(self.lease_until_s, until_s)
        return ApprovedSetpoint(
            device_id="d1",
            power_w=power_w,
            seq=self.seq,
            inverter_epoch=EPOCH,
            lease_until_mono_ns=int(until_s * NS_PER_S),
            reason="",
        )

    def take(self, actions: list[Action]) -> None:
        self.jobs += [action for action in actions if isinstance(action, WriteJob)]

    def finish(self, result: WriteResult) -> None:
        """End the oldest job; the device did it unless it was refused."""
        if not self.jobs:
            return
        job = self.jobs.pop(0)
        late = job.expires_ns and self.now_ns >= job.expires_ns
        if result is not WriteResult.REJECTED and not late:
            written = {step.address: step.words[-1] for step in job.steps}
            powers = {0: 0.0, 1: written.get(47247, 0), 2: -written.get(47249, 0)}
            self.power_w = powers[written[47100]] if 47100 in written else self.power_w
        done = WriteResult.REJECTED if late else result
        self.take(self.desk.done(WriteDone(job.number, done, "", self.now_ns)))


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40), st.sampled_from([Failsafe.RELEASE, Failsafe.ZERO]))
def test_a_device_that_answers_again_is_never_left_with_power_that_nobody_leases(
    events: list[tuple[str, Any]], failsafe: Failsafe
) -> None:
    played = Played(failsafe)
    for what, how in events:
        played.play(what, how)
    if not played.online:
        played.play("back", 0)
    played.now_s = max(played.now_s, played.lease_until_s)
    for _ in range(3):
        played.play("tick", RETRY_S)
        while played.jobs:
            played.finish(WriteResult.VERIFIED)
    assert played.power_w == 0.0
    assert played.desk.idle


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENTS, max_size=40))
def test_a_job_for_power_always_expires_with_its_lease_and_a_safe_one_never(
    events: list[tuple[str, Any]],
) -> None:
    played = Played(Failsafe.RELEASE)
    for what, how in events:
        played.play(what, how)
        for job in played.jobs:
            assert (job.expires_ns == 0) == job.safe
