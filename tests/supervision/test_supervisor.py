"""One-for-one supervision in virtual time: lives are scripted, the clock moves when told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from supervision.actor import StopReason
from supervision.clock import NS_PER_S, ManualClock
from supervision.events import Lifecycle, State, What
from supervision.incarnation import Crashed, Finished, Outcome, Started, Stopped
from supervision.mailbox import Mailbox
from supervision.spec import Backoff, CellSpec, ChildSpec, Intensity, OnExceeded, Restart
from supervision.supervisor import Supervisor


class ScriptedLife:
    """A life that does what the test says."""

    def __init__(
        self,
        spec: ChildSpec,
        epoch: int,
        clock: ManualClock,
        report: Callable[[str, int, Outcome], None],
    ) -> None:
        self.spec, self.epoch, self._clock, self._report = spec, epoch, clock, report
        self.mailbox = Mailbox(spec.mailbox, clock, tick_s=spec.tick_s)
        self.completed = 0
        self.progress_ns = 0
        self.waited_until_s = 0.0
        self.ordered: list[StopReason] = []
        self.fenced = self.interrupted = False
        self.thread_exists = True

    @property
    def idle_from_s(self) -> float:
        return max(self.progress_ns / NS_PER_S, self.waited_until_s)

    def launch(self) -> None:
        self.progress_ns = self._clock.monotonic_ns()

    def says(self, outcome: Outcome) -> None:
        self._report(self.spec.name, self.epoch, outcome)

    def work(self) -> None:
        self.completed += 1
        self.progress_ns = self._clock.monotonic_ns()

    def order_stop(self, reason: StopReason) -> None:
        self.ordered.append(reason)

    def fence(self) -> None:
        self.fenced = True

    def interrupt(self) -> None:
        self.interrupted = True

    def stack(self) -> str:
        return "where it hangs"

    def is_running(self) -> bool:
        return self.thread_exists


class Stage:
    """A supervisor, its clock, the lives it has launched and what it has told."""

    def __init__(self, *children: ChildSpec) -> None:
        self.clock = ManualClock()
        self.lives: list[ScriptedLife] = []
        self.told: list[Lifecycle] = []
        self.woken = 0
        cell = CellSpec(name="cell", children=children, codec="m:c")
        self.supervisor = Supervisor(
            cell, self._launch, self.clock, tell=self.told.append, wake=self._wake
        )

    def _launch(self, spec: ChildSpec, report: Callable[[str, int, Outcome], None]) -> ScriptedLife:
        life = ScriptedLife(spec, len(self.lives) + 1, self.clock, report)
        self.lives.append(life)
        return life

    def _wake(self) -> None:
        self.woken += 1

    def step(self, seconds: float = 0.0) -> None:
        """Pass `seconds` in steps small enough that nobody thinks the process stood still."""
        self.supervisor.step()
        for _ in range(round(seconds / 0.1)):
            self.clock.advance(0.1)
            self.supervisor.step()

    def start(self) -> None:
        """Bring every child up."""
        said = 0
        while not self.supervisor.ready:
            self.step()
            for life in self.lives[said:]:
                life.says(Started())
                said += 1
            self.step()

    def life(self, name: str) -> ScriptedLife:
        return [life for life in self.lives if life.spec.name == name][-1]

    def crash(self, name: str) -> None:
        self.life(name).says(Crashed("Boom", "trace"))
        self.step()

    def state(self, name: str) -> State:
        return next(r.state for r in self.supervisor.reports() if r.name == name)

    def events(self, name: str) -> list[What]:
        return [event.what for event in self.told if event.actor == name]


def child(name: str = "a", **changes: object) -> ChildSpec:
    settings = {"backoff": Backoff(initial_s=1.0, jitter=0.0), "liveness_s": 1.0, **changes}
    return ChildSpec(name=name, factory="m:f", **settings)  # type: ignore[arg-type]


def test_children_start_in_order_each_after_the_one_before() -> None:
    stage = Stage(child("a"), child("b"))
    stage.step()
    assert [life.spec.name for life in stage.lives] == ["a"]
    stage.life("a").says(Started())
    stage.step()
    assert [life.spec.name for life in stage.lives] == ["a", "b"]
    assert not stage.supervisor.ready


def test_a_slow_start_holds_up_the_next_only_for_a_while() -> None:
    stage = Stage(child("a"), child("b"))
    stage.step(2.5)
    assert [life.spec.name for life in stage.lives] == ["a", "b"]


def test_a_failed_first_start_does_not_keep_the_others_from_starting() -> None:
    stage = Stage(child("a"), child("b"))
    stage.step()
    stage.crash("a")
    assert [life.spec.name for life in stage.lives] == ["a", "b"]


def test_only_the_crashed_child_is_started_again_after_its_back_off() -> None:
    stage = Stage(child("a"), child("b"))
    stage.start()
    stage.crash("a")
    assert stage.state("a") is State.BACKING_OFF
    stage.life("b").work()
    stage.step(0.9)
    assert len(stage.lives) == 2
    stage.life("b").work()
    stage.step(0.2)
    assert [life.spec.name for life in stage.lives] == ["a", "b", "a"]
    assert stage.events("a") == [What.STARTED, What.CRASHED, What.RESTARTING]


def test_a_report_wakes_the_loop() -> None:
    stage = Stage(child())
    stage.start()
    assert stage.woken


def test_what_an_old_incarnation_says_is_not_heard() -> None:
    stage = Stage(child())
    stage.start()
    old = stage.life("a")
    stage.crash("a")
    stage.step(1.1)
    stage.life("a").says(Started())
    old.says(Crashed("late", ""))
    stage.step()
    assert stage.state("a") is State.RUNNING


def test_a_child_without_progress_is_fenced_interrupted_dumped_and_replaced() -> None:
    stage = Stage(child())
    stage.start()
    stage.step(1.2)
    hung = stage.lives[0]
    assert (hung.fenced, hung.interrupted) == (True, True)
    told = next(event for event in stage.told if event.what is What.HUNG)
    assert told.detail == "where it hangs"
    assert stage.supervisor.abandoned_threads == 1
    hung.thread_exists = False
    assert stage.supervisor.abandoned_threads == 0


def test_progress_keeps_a_child_alive() -> None:
    stage = Stage(child())
    stage.start()
    for _ in range(30):
        stage.life("a").work()
        stage.step(0.5)
    assert len(stage.lives) == 1


def test_a_start_that_takes_too_long_is_given_up() -> None:
    stage = Stage(child(start_s=3.0))
    stage.step(3.2)
    assert stage.lives[0].fenced
    assert stage.state("a") is State.BACKING_OFF


def test_nobody_is_blamed_for_a_time_in_which_the_process_stood_still() -> None:
    stage = Stage(child())
    stage.start()
    stage.clock.advance(60.0)
    stage.step(0.5)
    assert not stage.lives[0].fenced
    stage.step(0.7)
    assert stage.lives[0].fenced


def test_intensity_is_counted_for_each_child_alone() -> None:
    few = Intensity(max_restarts=1, window_s=100.0)
    stage = Stage(child("a", intensity=few), child("b", intensity=few))
    stage.start()
    stage.crash("a")
    stage.crash("b")
    assert (stage.state("a"), stage.state("b")) == (State.BACKING_OFF, State.BACKING_OFF)
    assert not stage.supervisor.failure


def exhaust(stage: Stage) -> None:
    """Crash `a` once more than its intensity allows."""
    stage.start()
    stage.crash("a")
    stage.step(1.1)
    stage.life("a").says(Started())
    stage.crash("a")


def test_a_child_that_escalates_fails_its_cell() -> None:
    stage = Stage(child(intensity=Intensity(max_restarts=1, window_s=100.0)))
    exhaust(stage)
    assert stage.supervisor.failure == "a failed too often: Boom"
    assert not stage.supervisor.done
    assert What.ESCALATED in stage.events("a")


def test_a_quarantined_child_rests_and_is_tried_again() -> None:
    few = Intensity(max_restarts=1, window_s=100.0)
    stage = Stage(child(intensity=few, on_exceeded=OnExceeded.QUARANTINE, quarantine_s=20.0))
    exhaust(stage)
    assert stage.state("a") is State.QUARANTINED
    assert not stage.supervisor.failure
    stage.step(19.5)
    assert len(stage.lives) == 2
    stage.step(0.7)
    assert len(stage.lives) == 3


@pytest.mark.parametrize(
    ("restart", "outcome", "state"),
    [
        (Restart.PERMANENT, Finished(), State.BACKING_OFF),
        (Restart.TRANSIENT, Finished(), State.STOPPED),
        (Restart.TRANSIENT, Crashed("Boom", ""), State.BACKING_OFF),
        (Restart.TEMPORARY, Crashed("Boom", ""), State.STOPPED),
    ],
)
def test_the_restart_type_decides_what_follows_an_end(
    restart: Restart, outcome: Outcome, state: State
) -> None:
    stage = Stage(child(restart=restart))
    stage.start()
    stage.life("a").says(outcome)
    stage.step()
    assert stage.state("a") is state
    assert stage.supervisor.done == (state is State.STOPPED)


def test_children_stop_in_reverse_order_each_after_the_one_before() -> None:
    stage = Stage(child("a"), child("b"))
    stage.start()
    stage.supervisor.stop(StopReason.SHUTDOWN)
    stage.step()
    assert (stage.life("b").ordered, stage.life("a").ordered) == ([StopReason.SHUTDOWN], [])
    stage.life("b").says(Stopped())
    stage.step()
    assert stage.life("a").ordered == [StopReason.SHUTDOWN]
    stage.life("a").says(Stopped())
    stage.step()
    assert stage.supervisor.stopped


def test_pooled_children_that_follow_one_another_stop_together() -> None:
    stage = Stage(child("a"), child("p", pooled=True), child("q", pooled=True), child("z"))
    stage.start()
    stage.supervisor.stop(StopReason.SHUTDOWN)
    stage.life("z").says(Stopped())
    stage.step()
    assert [bool(stage.life(name).ordered) for name in "apq"] == [False, True, True]
    stage.life("q").says(Stopped())
    stage.step()
    assert not stage.life("a").ordered
    stage.life("p").says(Stopped())
    stage.step()
    assert stage.life("a").ordered == [StopReason.SHUTDOWN]


def test_pooled_children_that_follow_one_another_start_together_after_the_first_of_them() -> None:
    pooled = [child(name, pooled=True) for name in "opq"]
    stage = Stage(child("a"), *pooled, child("z"))
    for starting, started in (("a", "a"), ("ao", "o"), ("aopq", "q"), ("aopq", "p"), ("aopqz", "")):
        stage.step()
        assert "".join(life.spec.name for life in stage.lives) == starting
        for name in started:
            stage.life(name).says(Started())


def test_hundreds_that_start_together_are_launched_over_many_steps_without_a_pause() -> None:
    names = [f"p{number}" for number in range(220)]
    stage = Stage(*(child(name, pooled=True) for name in names))
    stage.step()
    stage.life("p0").says(Started())
    launched = [len(stage.lives)]
    while stage.supervisor.step() == stage.clock.monotonic_s():
        launched.append(len(stage.lives))
    assert launched == [1, 51, 101, 151, 201]
    assert [life.spec.name for life in stage.lives] == names


def test_a_child_that_waits_for_its_turn_is_not_blamed_for_it() -> None:
    stage = Stage(child("a", liveness_s=1.0, start_s=1.0))
    stage.step()
    life = stage.life("a")
    for _ in range(8):
        life.waited_until_s = stage.clock.monotonic_s()
        stage.step(0.25)
    assert not life.fenced
    life.says(Started())
    for _ in range(8):
        life.waited_until_s = stage.clock.monotonic_s()
        stage.step(0.25)
    assert not life.fenced
    for _ in range(5):
        stage.step(0.25)
    assert life.fenced


def test_a_child_that_does_not_stop_in_time_is_given_up() -> None:
    stage = Stage(child("a", liveness_s=60.0), child("b", liveness_s=60.0, shutdown_s=2.0))
    stage.start()
    stage.supervisor.stop(StopReason.ORPHANED)
    stage.step(2.3)
    assert stage.life("b").fenced
    assert stage.life("a").ordered == [StopReason.ORPHANED]


def test_a_child_that_crashes_while_stopping_has_stopped() -> None:
    stage = Stage(child())
    stage.start()
    stage.supervisor.stop(StopReason.SHUTDOWN)
    stage.step()
    stage.crash("a")
    assert stage.supervisor.stopped


def test_a_child_that_is_backing_off_need_not_be_stopped() -> None:
    stage = Stage(child())
    stage.start()
    stage.crash("a")
    stage.supervisor.stop(StopReason.SHUTDOWN)
    stage.step()
    assert stage.supervisor.stopped
    assert len(stage.lives) == 1


def test_the_first_reason_to_stop_stands() -> None:
    stage = Stage(child())
    stage.start()
    stage.supervisor.stop(StopReason.SHUTDOWN)
    stage.supervisor.stop(StopReason.RESTART)
    stage.step()
    assert stage.life("a").ordered == [StopReason.SHUTDOWN]


def test_the_loop_is_told_when_to_come_back() -> None:
    stage = Stage(child(backoff=Backoff(initial_s=0.01, jitter=0.0)))
    stage.start()
    stage.life("a").says(Crashed("Boom", ""))
    assert stage.supervisor.step() == pytest.approx(stage.clock.monotonic_s() + 0.01)


def test_reports_tell_restarts_reason_and_mailbox() -> None:
    stage = Stage(child())
    stage.start()
    stage.crash("a")
    report = stage.supervisor.reports()[0]
    assert (report.restarts, report.reason, report.epoch) == (1, "Boom", 1)


def test_one_that_stops_working_is_noticed_however_long_it_worked_before() -> None:
    stage = Stage(ChildSpec(name="a", factory="m:f", tick_s=0.1, liveness_s=1.0))
    stage.start()
    for _ in range(30):
        stage.step(0.7)
        stage.life("a").work()
    assert What.HUNG not in stage.events("a")
    stage.step(0.9)
    assert What.HUNG not in stage.events("a")
    stage.step(0.2)
    assert What.HUNG in stage.events("a")
