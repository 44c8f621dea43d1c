"""Each order is suffered once, as it says, by the wrapped actor and by nobody else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.messages import DescribeDevice
from bessai.chaos import ChaosActor, ChaosConfig, ChaosError, build
from supervision.actor import Actor, ActorContext, StopReason
from supervision.envelope import Header, Lane
from tests.actors.fakes import RecordingContext

HEADER = Header(receiver="a/b", sender="x", epoch=1, lane=Lane.CONTROL)
NEWS = DescribeDevice(device_id="d1")


class Diary(Actor):
    """Notes what it is told, in a list that tests read."""

    def __init__(self) -> None:
        self.pages: list[object] = []

    def on_start(self, context: ActorContext) -> None:
        self.pages.append("start")

    def on_message(self, message: Any, header: Header) -> None:
        self.pages.append(message)

    def on_event(self, event: Any) -> None:
        self.pages.append(event)

    def on_tick(self) -> None:
        self.pages.append("tick")

    def on_stop(self, reason: StopReason) -> None:
        self.pages.append(reason)


def diary(_config: bytes) -> Diary:
    return Diary()


def config(directory: Path) -> ChaosConfig:
    return ChaosConfig(
        name="a/b", factory=f"{__name__}:diary", config=b"", directory=str(directory)
    )


@pytest.fixture
def context() -> RecordingContext:
    return RecordingContext("a/b")


@pytest.fixture
def actor(tmp_path: Path, context: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> ChaosActor:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[diary.__module__])
    actor = build(msgspec.msgpack.encode(config(tmp_path)))
    actor.on_start(context)
    return actor


def order(directory: Path, text: str) -> Path:
    path = directory / "a_b.fault"
    path.write_text(text)
    return path


def pages(actor: ChaosActor) -> list[object]:
    assert isinstance(actor._inner, Diary)
    return actor._inner.pages


def test_without_an_order_it_is_the_actor_it_wraps(actor: ChaosActor) -> None:
    actor.on_message(NEWS, HEADER)
    actor.on_event("event")
    actor.on_tick()
    actor.on_stop(StopReason.SHUTDOWN)
    assert pages(actor) == ["start", NEWS, "event", "tick", StopReason.SHUTDOWN]


@pytest.mark.parametrize(("text", "kind"), [("raise", ChaosError), ("exit", SystemExit)])
def test_raise_and_exit_strike_while_the_next_message_is_handled(
    actor: ChaosActor, tmp_path: Path, text: str, kind: type[BaseException]
) -> None:
    path = order(tmp_path, text)
    actor.on_tick()
    assert not path.exists()
    with pytest.raises(kind, match="a/b was ordered to"):
        actor.on_message(NEWS, HEADER)
    actor.on_message(NEWS, HEADER)
    assert pages(actor)[-1] == NEWS


def test_an_event_counts_as_a_message(actor: ChaosActor, tmp_path: Path) -> None:
    order(tmp_path, "raise")
    actor.on_tick()
    with pytest.raises(ChaosError):
        actor.on_event("event")


@pytest.mark.parametrize("text", ["hang 0.05", "spin 0.05"])
def test_hang_and_spin_hold_the_tick_up(actor: ChaosActor, tmp_path: Path, text: str) -> None:
    order(tmp_path, text)
    began_s = time.monotonic()
    actor.on_tick()
    assert time.monotonic() - began_s >= 0.05
    assert pages(actor)[-1] == "tick"


def test_a_spin_burns_the_processor_and_a_hang_does_not(actor: ChaosActor, tmp_path: Path) -> None:
    burnt_s = []
    for text in ("hang 0.1", "spin 0.1"):
        order(tmp_path, text)
        began_s = time.thread_time()
        actor.on_tick()
        burnt_s.append(time.thread_time() - began_s)
    assert burnt_s[0] < burnt_s[1]


def test_eating_takes_a_step_a_tick_until_it_has_had_enough(
    actor: ChaosActor, tmp_path: Path
) -> None:
    order(tmp_path, "eat 32")
    for _ in range(4):
        actor.on_tick()
    assert [len(meal) for meal in actor._food] == [16 << 20, 16 << 20]


def test_a_flood_reaches_its_receiver_on_both_lanes_every_tick(
    actor: ChaosActor, tmp_path: Path, context: RecordingContext
) -> None:
    order(tmp_path, "flood safety 3")
    actor.on_tick()
    actor.on_tick()
    assert {sent.receivers for sent in context.sent} == {("safety",)}
    lanes = [sent.lane for sent in context.sent]
    assert (lanes.count(Lane.CONTROL), lanes.count(Lane.TELEMETRY)) == (6, 6)


def test_a_flood_ends(
    actor: ChaosActor,
    tmp_path: Path,
    context: RecordingContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bessai.chaos.FLOOD_S", -1.0)
    order(tmp_path, "flood safety 3")
    actor.on_tick()
    assert context.sent == []


def test_constructions_fail_as_often_as_ordered(actor: ChaosActor, tmp_path: Path) -> None:
    order(tmp_path, "construct 2")
    with pytest.raises(ChaosError, match="before failing its construct"):
        actor.on_tick()
    for _ in range(2):
        with pytest.raises(ChaosError, match="fail its construction"):
            ChaosActor(config(tmp_path))
    ChaosActor(config(tmp_path))


def test_starts_fail_as_often_as_ordered(
    actor: ChaosActor, tmp_path: Path, context: RecordingContext
) -> None:
    order(tmp_path, "start 1")
    with pytest.raises(ChaosError, match="before failing its start"):
        actor.on_tick()
    with pytest.raises(ChaosError, match="fail its start"):
        ChaosActor(config(tmp_path)).on_start(context)
    ChaosActor(config(tmp_path)).on_start(context)


def test_the_loaded_modules_can_be_asked_for(actor: ChaosActor, tmp_path: Path) -> None:
    order(tmp_path, "modules")
    actor.on_tick()
    assert "bessai.chaos" in (tmp_path / "a_b.modules").read_text().splitlines()


@pytest.mark.parametrize("text", ["dance", "hang", "flood safety"])
def test_an_order_nobody_knows_is_told(actor: ChaosActor, tmp_path: Path, text: str) -> None:
    order(tmp_path, text)
    with pytest.raises(ChaosError, match="unknown order"):
        actor.on_tick()


def test_a_segfault_ends_the_process(tmp_path: Path) -> None:
    order(tmp_path, "segfault")
    code = (
        "from bessai.chaos import ChaosActor, ChaosConfig\n"
        "wrapped = ChaosConfig(name='a/b', factory='builtins:str', config=b'', directory='.')\n"
        "ChaosActor(wrapped).on_tick()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=False,
        timeout=20,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == -11
