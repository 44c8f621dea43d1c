"""Root and its cells as real processes, each broken in its own way."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from supervision.process import describe_exit, die_with_parent, reap_strangers, resident_bytes
from supervision.root import Root
from supervision.spec import CellSpec, ChildSpec, Intensity, SpecError
from tests.supervision.running_site import RunningSite

SMALL = Intensity(max_restarts=2, window_s=60.0)


def test_a_message_finds_its_way_between_cells_and_back(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.order("b1", "hello")
        site.heard('"b1","hello"')


def test_the_process_list_names_every_cell(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        shown = subprocess.run(
            ["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True
        )
        assert {"toys: root", "toys: cell control", "toys: cell b"} <= set(shown.stdout.split("\n"))
        assert site.pid("b") in site.pids()


def test_a_crashed_actor_is_restarted_alone(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.order("b1", "raise")
        first = site.wait(actor="b1", what="started")
        again = site.wait(2, actor="b1", what="started")
        assert again.epoch > first.epoch
        assert [e.actor for e in site.events if e.what == "restarting"] == ["b1"]


def test_system_exit_takes_nobody_else_along(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.order("b2", "exit")
        site.wait(2, actor="b2", what="started")
        site.order("b1", "hello")
        site.heard('"b1","hello"')


@pytest.mark.parametrize(
    ("order", "reason"),
    [("abort", "SIGABRT"), ("leave", "SIGABRT"), ("eat 400", "limit 200 MB")],
)
def test_a_cell_that_dies_or_grows_is_replaced_and_the_others_stay(
    tmp_path: Path, order: str, reason: str
) -> None:
    with RunningSite(tmp_path) as site:
        control = site.pid("control")
        site.order("b1", *order.split())
        site.wait(cell="b", actor="", what="restarting", reason=reason)
        site.wait(2, actor="b2", what="started")
        assert site.pid("control") == control


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSTOP, "no beat for")]
)
@pytest.mark.parametrize("cell", ["b", "control"])
def test_a_killed_or_stopped_cell_is_replaced(
    tmp_path: Path, cell: str, number: signal.Signals, reason: str
) -> None:
    with RunningSite(tmp_path) as site:
        pid = site.signal(cell, number)
        site.wait(cell=cell, actor="", what="restarting", reason=reason)
        site.wait(2, actor="b1" if cell == "b" else "a", what="started")
        assert site.pid(cell) != pid


def test_memory_that_a_burst_took_is_given_back(tmp_path: Path) -> None:
    with RunningSite(tmp_path, b={"trim_s": 0.2}) as site:
        pid = site.pid("b")
        at_first = resident_bytes(pid)
        site.order("b1", "digest", "100")
        site.heard("digested")
        site.until("memory back", lambda: resident_bytes(pid) < at_first + (20 << 20))


def test_a_hung_actor_is_replaced_and_its_stack_is_told(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.order("b1", "hang", "5")
        site.wait(actor="b1", what="hung", reason="no progress")
        site.wait(2, actor="b1", what="started")
        site.order("b1", "hello")
        site.heard('"b1","hello"')


def test_a_cell_with_too_many_hung_threads_is_replaced(tmp_path: Path) -> None:
    with RunningSite(tmp_path, b={"max_abandoned_threads": 1, "intensity": SMALL}) as site:
        for count, actor in ((1, "b1"), (1, "b2")):
            site.order(actor, "hang", "60")
            site.wait(count, actor=actor, what="hung")
        site.wait(cell="b", actor="", what="killed", reason="2 hung threads")
        site.wait(3, actor="b1", what="started")


def test_a_degradable_cell_that_fails_too_often_is_quarantined_and_tried_again(
    tmp_path: Path,
) -> None:
    with RunningSite(tmp_path, b={"intensity": SMALL}) as site:
        for count in (1, 2, 3):
            site.signal("b", signal.SIGKILL)
            site.wait(count, cell="b", actor="", what="crashed")
            if count < 3:
                site.wait(count + 1, actor="b2", what="started")
        site.wait(cell="b", what="quarantined")
        site.order("a", "hello")
        site.heard('"a","hello"')
        site.wait(4, actor="b2", what="started")


def test_a_critical_cell_is_never_given_up(tmp_path: Path) -> None:
    with RunningSite(tmp_path, control={"intensity": SMALL}) as site:
        for count in range(1, 6):
            site.signal("control", signal.SIGKILL)
            site.wait(count, cell="control", actor="", what="restarting")
            site.wait(count + 1, actor="driver", what="started")
        assert not [e for e in site.events if e.what == "quarantined"]


def test_an_actor_that_escalates_makes_its_cell_start_anew(tmp_path: Path) -> None:
    with RunningSite(tmp_path, b={"b1": {"intensity": Intensity(max_restarts=0)}}) as site:
        site.order("b1", "raise")
        site.wait(actor="b1", what="escalated")
        site.wait(cell="b", actor="", what="restarting", reason="status 70")
        site.wait(2, actor="b2", what="started")


def test_a_factory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    changes = {"o": {"factory": "tests.supervision.toys:no_such"}}
    with RunningSite(tmp_path, once=changes) as site:
        site.order("a", "start_cell", "once")
        site.wait(actor="o", what="crashed", reason="tests.supervision.toys:no_such")


def test_an_on_demand_cell_starts_when_asked_and_can_be_asked_again(tmp_path: Path) -> None:
    with RunningSite(tmp_path, once={"o": {"restart": "transient"}}) as site:
        for count in (1, 2):
            site.order("a", "start_cell", "once")
            site.wait(count, actor="o", what="started")
            site.order("o", "finish")
            site.wait(count, cell="once", actor="", what="finished", reason="status 0")


def test_a_request_for_a_cell_that_is_not_on_demand_changes_nothing(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        for cell in ("b", "no-such-cell"):
            site.order("a", "start_cell", cell)
        site.order("b1", "hello")
        site.heard('"b1","hello"')
        assert (
            len([e for e in site.events if e.cell == "b" and e.what == "started" and not e.actor])
            == 1
        )


def test_when_root_is_killed_degradable_cells_die_and_the_critical_one_stops_in_order(
    tmp_path: Path,
) -> None:
    with RunningSite(tmp_path) as site:
        control, b = site.pid("control"), site.pid("b")
        site.process.kill()
        for pid in (control, b):
            site.ended(pid)
        assert [line.split()[:2] for line in site.stops.read_text().splitlines()] == [
            ["a", "orphaned"]
        ]


def test_a_root_that_was_stopped_for_a_while_kills_nobody(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        pids = site.pids()
        os.kill(site.process.pid, signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            site.process.wait(2.0)
        os.kill(site.process.pid, signal.SIGCONT)
        site.order("b1", "hello")
        site.heard('"b1","hello"')
        assert site.pids() == pids


def test_sigterm_stops_the_last_cell_first_and_exits_with_0(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.process.terminate()
        assert site.process.wait(10.0) == 0
        stopped = [line.split()[0] for line in site.stops.read_text().splitlines()]
        assert stopped == ["b2", "b1", "a"]


def test_a_cell_stands_back_as_far_as_it_is_told(tmp_path: Path) -> None:
    with RunningSite(tmp_path, b={"nice": 5}) as site:
        own = os.getpriority(os.PRIO_PROCESS, 0)
        cells = [os.getpriority(os.PRIO_PROCESS, site.pid(cell)) for cell in ("control", "b")]
        assert cells == [own, min(own + 5, 19)]


def test_who_listens_last_is_stopped_after_the_cells_started_before_it(tmp_path: Path) -> None:
    with RunningSite(tmp_path, b={"listens_last": True}) as site:
        site.process.terminate()
        assert site.process.wait(10.0) == 0
        stopped = [line.split()[0] for line in site.stops.read_text().splitlines()]
        assert stopped == ["a", "b2", "b1"]


def test_an_actor_that_does_not_stop_is_given_up_and_the_stop_goes_on(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.order("b1", "hang", "60")
        site.wait(actor="b1", what="hung")
        site.process.terminate()
        assert site.process.wait(15.0) == 0


def test_a_cell_that_does_not_stop_is_killed_and_the_exit_status_tells(tmp_path: Path) -> None:
    with RunningSite(tmp_path, b={"shutdown_s": 1.0, "liveness_s": 30.0}) as site:
        site.signal("b", signal.SIGSTOP)
        site.process.terminate()
        assert site.process.wait(15.0) == 1
        assert [e for e in site.events if e.what == "killed" and "not stopped in time" in e.reason]


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with RunningSite(tmp_path, b={"shutdown_s": 60.0, "liveness_s": 90.0}) as site:
        site.signal("b", signal.SIGSTOP)
        site.process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            site.process.wait(0.5)
        site.process.send_signal(signal.SIGINT)
        assert site.process.wait(15.0) == 1


def test_dozens_of_pooled_actors_that_stop_slowly_stop_at_the_same_time(tmp_path: Path) -> None:
    """One after the other would take 10 s, four at a time 2.5 s: more than the cell is given."""
    slow = msgspec.json.encode({"slow_stop_s": 0.25})
    names = ("b1", "b2", *(f"slow-{n}" for n in range(38)))
    children = tuple(
        ChildSpec(name=name, factory="tests.supervision.toys:build", config=slow, pooled=True)
        for name in names
    )
    with RunningSite(tmp_path, b={"children": children, "shutdown_s": 2.0}) as site:
        site.wait(actor=names[-1], what="started")
        site.process.terminate()
        assert site.process.wait(15.0) == 0
    assert {e.actor for e in site.events if e.what == "stopped"} >= set(names)


def test_a_flood_over_the_link_is_bounded_told_and_kills_nobody(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        pids = site.pids()
        site.order("b1", "flood", "4000")
        site.wait(actor="b1", what="dead_letters", reason="floods")
        site.order("b2", "hello")
        site.heard('"b2","hello"')
        assert site.pids() == pids


def test_nothing_is_delivered_in_the_name_of_an_actor_of_another_cell(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.order("b1", "forge", "a")
        site.order("b1", "forge", "b2")  # cells are what is told apart, not the actors within one
        site.wait(cell="b", what="dead_letters", reason="a does not live in b")
        site.heard('"b2","forged"')
        assert '"a","forged"' not in site.recorded()


def test_root_routes_bodies_it_could_not_decode(tmp_path: Path) -> None:
    """They are dead letters only at the receiver: root reads no body."""
    with RunningSite(tmp_path) as site:
        site.order("b1", "garbage", "a")
        site.wait(cell="control", actor="b1", what="dead_letters", reason="to a: malformed")


def test_a_cell_that_sends_no_frames_is_replaced(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.order("b1", "babble")
        site.wait(cell="b", actor="", what="restarting")
        site.wait(2, actor="b2", what="started")
        site.order("b1", "hello")
        site.heard('"b1","hello"')


def test_a_cell_told_to_end_by_others_is_started_again(tmp_path: Path) -> None:
    with RunningSite(tmp_path) as site:
        site.signal("b", signal.SIGTERM)
        site.wait(cell="b", actor="", what="finished", reason="status 0")
        site.wait(2, actor="b2", what="started")


def child(name: str) -> ChildSpec:
    return ChildSpec(name=name, factory="m:f")


def test_names_must_be_unique() -> None:
    cells = [CellSpec(name="c", children=(child("a"),), codec="m:c") for _ in range(2)]
    with pytest.raises(SpecError, match="two cells are named 'c'"):
        Root(cells, generation=1)
    twins = [CellSpec(name=n, children=(child("a"),), codec="m:c") for n in ("c", "d")]
    with pytest.raises(SpecError, match="two actors are named 'a'"):
        Root(twins, generation=1)


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exited with status 0"), (-9, "ended by SIGKILL"), (-200, "ended by signal 200")],
)
def test_an_exit_status_is_told_in_words(status: int, words: str) -> None:
    assert describe_exit(status) == words


def test_a_process_that_is_gone_weighs_nothing() -> None:
    assert resident_bytes(os.getpid()) > 1_000_000
    assert resident_bytes(2**22 + 1) == 0


def test_strangers_are_reaped_and_known_children_are_left() -> None:
    with subprocess.Popen(["true"]) as known, subprocess.Popen(["true"]) as stranger:
        for process in (known, stranger):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        reap_strangers({known.pid})
        assert known.wait() == 0


def test_a_parent_that_is_gone_already_is_noticed() -> None:
    pid = os.fork()
    if pid == 0:
        try:
            die_with_parent(2**22 + 1)
        except ProcessLookupError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
