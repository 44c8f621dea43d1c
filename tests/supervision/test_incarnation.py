"""One life of an actor on a real thread: every way to end is seen, and a fenced life is over.

The first tests are named after what Pykka by itself lets pass.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import msgspec
import pykka
import pytest

from supervision.actor import StopReason
from supervision.clock import SystemClock
from supervision.envelope import Frame, Header, Lane
from supervision.incarnation import Crashed, Finished, Incarnation, Outcome, Started, Stopped
from supervision.pool import Pool
from supervision.postoffice import PostOffice
from supervision.spec import ChildSpec, MailboxSpec
from tests.supervision.toys import CODEC, Did, Do, Toy

PATIENCE_S = 10.0
pytestmark = pytest.mark.filterwarnings("error")


class Observed(Toy):
    """A toy that the test can reach, and that notes what it was told."""

    def __init__(self, config: bytes) -> None:
        super().__init__(config)
        LIVES.append(self)
        self.ticked = threading.Event()
        self.seen: SimpleQueue[Any] = SimpleQueue()
        self.entered = threading.Event()

    def on_event(self, event: Any) -> None:
        self.seen.put(event)

    def on_tick(self) -> None:
        self.ticked.set()

    def do_hang(self, argument: str) -> None:
        self.entered.set()
        super().do_hang(argument)

    def do_spin(self, argument: str) -> None:
        self.entered.set()
        super().do_spin(argument)


LIVES: list[Observed] = []


def build(config: bytes) -> Observed:
    return Observed(config)


class World:
    """A post office, the lives in it, and what they report."""

    def __init__(self, *, pooled: bool) -> None:
        self.pooled = pooled
        self.pool = Pool(SystemClock())
        self.linked: SimpleQueue[Frame] = SimpleQueue()
        self.reports: SimpleQueue[tuple[str, int, Outcome]] = SimpleQueue()
        self.office = PostOffice(["a", "b", "far"], self._to_link, local=["a", "b"])
        self.epoch = 0

    def _to_link(self, frame: Frame) -> bool:
        self.linked.put(frame)
        return True

    def _report(self, name: str, epoch: int, outcome: Outcome) -> None:
        self.reports.put((name, epoch, outcome))

    def launch(self, name: str = "a", **config: str) -> Incarnation:
        self.epoch += 1
        spec = ChildSpec(
            name=name,
            factory="tests.supervision.test_incarnation:build",
            config=msgspec.json.encode({"to": "far", **config}),
            tick_s=0.05,
            pooled=self.pooled,
            mailbox=MailboxSpec(control_per_sender=2),
        )
        life = Incarnation(
            spec,
            self.epoch,
            codec=CODEC,
            post_office=self.office,
            clock=SystemClock(),
            report=self._report,
            pool=self.pool,
        )
        life.launch()
        return life

    def outcome(self) -> Outcome:
        return self.reports.get(timeout=PATIENCE_S)[2]

    def running(self, **config: str) -> Incarnation:
        life = self.launch(**config)
        assert self.outcome() == Started()
        self.linked.get(timeout=PATIENCE_S)
        return life

    def tell(self, what: str, argument: str = "", *, to: str = "a", deadline_ns: int = 0) -> None:
        header = Header(
            receiver=to, sender="test", epoch=1, lane=Lane.CONTROL, deadline_ns=deadline_ns
        )
        self.office.dispatch(Frame(header, CODEC.encode(Do(what, argument))))

    def said(self) -> str:
        message = CODEC.decode(self.linked.get(timeout=PATIENCE_S).body)
        assert isinstance(message, Did)
        return message.what

    def dead(self) -> list[str]:
        return [letter.reason for letter in self.office.take_dead()]


@pytest.fixture(params=[False, True], ids=["own thread", "pooled"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    LIVES.clear()
    yield World(pooled=request.param)
    pykka.ActorRegistry.stop_all(block=False)


def eventually(holds: Callable[[], object]) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


def test_a_failing_constructor_is_reported_though_pykka_never_calls_on_failure(
    world: World,
) -> None:
    world.launch(fail="construct")
    outcome = world.outcome()
    assert isinstance(outcome, Crashed)
    assert outcome.reason == "RuntimeError: cannot be built"
    assert "cannot be built" in outcome.detail


def test_a_failing_on_start_is_reported_though_pykka_never_calls_on_failure(world: World) -> None:
    world.launch(fail="start")
    outcome = world.outcome()
    assert isinstance(outcome, Crashed)
    assert outcome.reason == "RuntimeError: cannot start"


def test_an_exception_while_answering_ask_reaches_supervision_too(world: World) -> None:
    life = world.running()
    refs = {id(ref.actor_inbox): ref for ref in pykka.ActorRegistry.get_all()}
    ref = refs[id(life.mailbox)]
    header = Header(receiver="a", sender="test", epoch=1)
    with pytest.raises(ValueError, match="told to raise"):
        ref.ask(Frame(header, CODEC.encode(Do("raise"))), timeout=PATIENCE_S)
    outcome = world.outcome()
    assert isinstance(outcome, Crashed)


def test_system_exit_in_one_actor_does_not_stop_the_others(world: World) -> None:
    world.running()
    world.running(name="b")
    world.tell("exit")
    assert isinstance(world.outcome(), Crashed)
    world.tell("hello", to="b")
    assert world.said() == "hello"


def test_a_hung_actor_shows_no_progress_though_it_is_alive(world: World) -> None:
    life = world.running()
    world.tell("hang", "30")
    assert LIVES[0].entered.wait(PATIENCE_S)
    completed = life.completed
    assert life.is_running()
    assert "do_hang" in life.stack()
    assert not eventually_within(lambda: life.completed > completed, 0.3)
    life.fence()


def test_inboxes_are_bounded(world: World) -> None:
    world.running()
    world.tell("hang", "30")
    assert LIVES[0].entered.wait(PATIENCE_S)
    for _ in range(5):
        world.tell("hello")
    assert world.office.dead_letters == 3
    assert world.dead() == ["the sender floods the receiver"]


def test_messages_left_when_an_actor_ends_become_dead_letters(world: World) -> None:
    life = world.running()
    world.tell("hang", "30")
    assert LIVES[0].entered.wait(PATIENCE_S)
    world.tell("hello")
    life.fence()
    assert world.dead() == ["the receiver ended before serving it"]


def test_actor_threads_are_daemonic_so_a_hung_one_cannot_keep_a_process(world: World) -> None:
    life = world.running()
    world.tell("hang", "30")
    assert LIVES[0].entered.wait(PATIENCE_S)
    assert life.thread is not None
    assert life.thread.daemon
    assert world.pooled or life.thread.name == "a"


def eventually_within(holds: Callable[[], object], seconds: float) -> bool:
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        if holds():
            return True
        time.sleep(0.01)
    return False


def test_a_raising_handler_is_reported_with_its_trace(world: World) -> None:
    world.running()
    world.tell("raise")
    outcome = world.outcome()
    assert isinstance(outcome, Crashed)
    assert "do_raise" in outcome.detail


def test_a_crash_releases_what_the_actor_held(world: World) -> None:
    life = world.running()
    released = threading.Event()
    life.on_fence(released.set)
    world.tell("raise")
    assert released.wait(PATIENCE_S)


def test_a_fenced_life_is_not_heard_any_more(world: World) -> None:
    life = world.running()
    released = threading.Event()
    life.on_fence(released.set)
    life.fence()
    assert life.fenced
    assert released.wait(PATIENCE_S)
    life.send(Did("a", "late"), "far", "b")
    assert set(world.dead()) == {"the sender is fenced"}
    assert eventually(lambda: not life.is_running())
    assert world.linked.empty()
    assert world.reports.empty()


def test_what_is_registered_after_the_fence_is_released_at_once(world: World) -> None:
    life = world.running()
    life.fence()
    released = threading.Event()
    life.on_fence(released.set)
    assert released.is_set()


def test_a_pure_python_spin_ends_when_interrupted(world: World) -> None:
    life = world.running()
    world.tell("spin")
    assert LIVES[0].entered.wait(PATIENCE_S)
    life.fence()

    def interrupted() -> bool:
        life.interrupt()
        return not life.is_running()

    assert eventually(interrupted)
    assert "no Python frame" in life.stack()
    life.interrupt()


def test_a_hung_thread_that_only_waits_is_not_interrupted(world: World) -> None:
    life = world.running()
    world.tell("hang", "0.2")
    assert LIVES[0].entered.wait(PATIENCE_S)
    for _ in range(5):
        life.interrupt()
    world.tell("hello")
    assert world.said() == "hello"


def test_an_expired_command_is_not_carried_out(world: World) -> None:
    life = world.running()
    world.tell("hello", deadline_ns=time.monotonic_ns() - 1)
    world.tell("there", deadline_ns=time.monotonic_ns() + 10**10)
    assert world.said() == "there"
    assert world.dead() == ["expired"]
    assert life.is_running()


def test_a_malformed_message_is_a_dead_letter_and_no_crash(world: World) -> None:
    world.running()
    world.office.dispatch(
        Frame(Header(receiver="a", sender="x", epoch=1, lane=Lane.CONTROL), b"\xc1")
    )
    world.tell("hello")
    assert world.said() == "hello"
    assert world.dead() == ["malformed"]


def test_an_actor_is_ticked_and_gets_its_own_events(world: World) -> None:
    life = world.running()
    life.post("mine", urgent=True)
    assert LIVES[0].seen.get(timeout=PATIENCE_S) == "mine"
    assert LIVES[0].ticked.wait(PATIENCE_S)


def test_an_actor_that_finishes_ends_normally(world: World) -> None:
    world.running()
    world.tell("finish")
    assert world.outcome() == Finished()


def test_an_ordered_stop_calls_on_stop_with_its_reason(world: World) -> None:
    life = world.running()
    life.order_stop(StopReason.ORPHANED)
    assert world.said() == "stopped orphaned"
    assert world.outcome() == Stopped()


def test_a_message_that_did_not_come_through_the_post_office_is_a_crash(world: World) -> None:
    life = world.running()
    life.mailbox.put(pykka_envelope("surprise"))
    outcome = world.outcome()
    assert isinstance(outcome, Crashed)
    assert "outside the post office" in outcome.reason


def pykka_envelope(message: Any) -> Any:
    from supervision.mailbox import Delivery

    return Delivery(message)


def test_asking_root_for_a_cell_goes_to_root(world: World) -> None:
    world.running()
    world.tell("start_cell", "trainer")
    assert world.linked.get(timeout=PATIENCE_S).header.receiver == "@root"
