from __future__ import annotations

import msgspec
import pytest

from actors.messages import API, DISPATCHER, SAFETY, SafetyProgress, WatchdogReport
from actors.watchdog.actor import WatchdogActor, build
from actors.watchdog.config import WatchdogConfig
from supervision.clock import ManualClock
from supervision.envelope import Header
from supervision.events import ROOT, ActorReport, CellReport, Pulse, SiteReport, State
from tests.actors.fakes import RecordingContext

CONFIG = WatchdogConfig(cell="control", critical=("safety",))


class _World:
    """A WatchdogActor, and the root and the SafetyActor that it listens to."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.context = RecordingContext("watchdog", clock=self.clock)
        self.actor = build(msgspec.msgpack.encode(CONFIG))
        self.actor.on_start(self.context)

    def hear(self, message: msgspec.Struct, sender: str, epoch: int = 1) -> None:
        self.actor.on_message(message, Header(receiver="watchdog", sender=sender, epoch=epoch))

    def root_reports(self) -> None:
        now_ns = self.clock.monotonic_ns()
        safety = ActorReport(
            name="safety", state=State.RUNNING, epoch=1, completed=1, progress_ns=now_ns
        )
        cell = CellReport(name="control", kind="critical", state=State.RUNNING, actors=(safety,))
        self.hear(SiteReport(mono_ns=now_ns, started_ns=0, cells=(cell,)), "@root")

    def safety_tells(self, evaluations: int, *, epoch: int = 1, sender: str = SAFETY) -> None:
        self.hear(SafetyProgress(evaluations=evaluations), sender, epoch)

    def run(self, seconds: float) -> None:
        """Tick ten times a second."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.actor.on_tick()

    @property
    def report(self) -> WatchdogReport:
        return self.context.messages(WatchdogReport, API)[-1]


@pytest.fixture
def world() -> _World:
    """A world in which everything progresses."""
    world = _World()
    world.root_reports()
    world.safety_tells(1)
    return world


def test_it_reports_four_times_a_second(world: _World) -> None:
    world.run(10)

    assert len(world.context.messages(WatchdogReport)) in {40, 41}


def test_it_does_not_make_up_for_a_pause(world: _World) -> None:
    world.run(1)
    world.clock.advance(60)
    before = len(world.context.messages(WatchdogReport))

    world.run(1)

    assert len(world.context.messages(WatchdogReport)) - before <= 5


def test_what_it_heard_is_progress(world: _World) -> None:
    world.run(0.3)

    assert world.report.progressing
    assert world.report.evaluations == 1


def test_root_is_told_whether_a_kick_is_earned(world: _World) -> None:
    for evaluations in range(2, 6):
        world.root_reports()
        world.safety_tells(evaluations)
        world.run(0.5)
    told = [pulse.progressing for pulse in world.context.messages(Pulse, ROOT)]
    assert told == sorted(told)  # not before all have settled
    assert set(told) == {False, True}
    assert world.context.messages(Pulse)[-1].status == "every battery is watched"


def test_root_that_falls_silent_is_late(world: _World) -> None:
    for evaluations in range(2, 6):
        world.safety_tells(evaluations)
        world.run(1)

    assert world.report.late == ("root",)


@pytest.mark.parametrize(("epoch", "evaluations"), [(1, 1), (0, 99)])
def test_a_status_that_counts_nothing_new_is_no_evaluation(
    world: _World, epoch: int, evaluations: int
) -> None:
    for _ in range(4):
        world.root_reports()
        world.safety_tells(evaluations, epoch=epoch)
        world.run(1)

    assert world.report.late == ("safety evaluations",)


def test_a_new_incarnation_of_safety_counts_from_the_beginning(world: _World) -> None:
    world.safety_tells(500)
    world.safety_tells(3, epoch=2)
    world.run(0.3)

    assert world.report.evaluations == 3


def test_nobody_else_speaks_for_safety(world: _World) -> None:
    world.safety_tells(500, sender=DISPATCHER)
    world.hear(world.report if world.context.sent else CONFIG, DISPATCHER)
    world.run(0.3)

    assert world.report.evaluations == 1
    assert isinstance(world.actor, WatchdogActor)
