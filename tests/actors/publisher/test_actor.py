from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.messages import (
    API,
    AnomalyScore,
    DescribeDevice,
    DeviceSchema,
    PointInfo,
    PublisherStatus,
    SafetyEvent,
    Sample,
    Vitals,
)
from actors.publisher.actor import PublisherActor, build
from actors.publisher.config import PublisherConfig
from supervision.actor import StopReason
from supervision.clock import ManualClock
from supervision.envelope import Header
from supervision.events import Lifecycle, What
from tests.actors.fakes import RecordingContext

HEADER = Header(receiver="publisher", sender="inverter/b1", epoch=5)
SCHEMA = DeviceSchema(device_id="b1", schema_id=1, points=(PointInfo("soc_pct", "%"),))


class Bench:
    """A started PublisherActor with a clock of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.context = RecordingContext("publisher", clock=self.clock)
        config = PublisherConfig(site_id="S", state_dir=str(directory), held_samples=3)
        self.actor = build(msgspec.msgpack.encode(config))
        self.actor.on_start(self.context)

    def give(self, *messages: msgspec.Struct) -> None:
        for message in messages:
            self.actor.on_message(message, HEADER)
        self.clock.advance(1.0)
        self.actor.on_tick()

    def published(self) -> list[dict[str, Any]]:
        files = sorted((self.directory / "published").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.actor.on_stop(StopReason.SHUTDOWN)


def _sample(seq: int, schema_id: int = 1) -> Sample:
    return Sample(
        device_id="b1",
        schema_id=schema_id,
        seq=seq,
        epoch=5,
        wall_ns=seq,
        mono_ns=seq,
        values=(50.0,),
    )


def _score(seq: int, *, anomalous: bool) -> AnomalyScore:
    return AnomalyScore(
        device_id="b1",
        seq=seq,
        mono_ns=seq,
        wall_ns=seq,
        z_max=1.0,
        z_point="soc_pct",
        forest_score=None,
        anomalous=anomalous,
    )


def test_a_sample_is_published_by_the_names_of_its_schema(bench: Bench) -> None:
    bench.give(SCHEMA, _sample(1))

    (published,) = bench.published()
    assert published["values"] == {"soc_pct": 50.0}


def test_samples_wait_for_their_schema_and_the_device_is_asked_once(bench: Bench) -> None:
    bench.give(_sample(1), _sample(2))
    assert bench.context.messages(DescribeDevice, "inverter/b1") == [DescribeDevice(device_id="b1")]

    bench.give(SCHEMA)

    assert [each["seq"] for each in bench.published()] == [1, 2]


def test_samples_that_nobody_explains_are_bounded_and_counted(bench: Bench) -> None:
    bench.give(*(_sample(seq) for seq in range(1, 6)))
    bench.give(SCHEMA)

    assert [each["seq"] for each in bench.published()] == [3, 4, 5]
    assert bench.context.messages(PublisherStatus)[-1].dropped == 2


def test_a_sample_of_a_later_schema_waits_for_that_one(bench: Bench) -> None:
    later = msgspec.structs.replace(SCHEMA, schema_id=2)
    bench.give(SCHEMA, _sample(1), _sample(2, schema_id=2))
    assert len(bench.published()) == 1

    bench.give(later)

    assert [each["seq"] for each in bench.published()] == [1, 2]


def test_safety_and_lifecycle_events_are_published(bench: Bench) -> None:
    bench.give(
        SafetyEvent(device_id="b1", kind="began", rule="r", detail="", wall_ns=1, mono_ns=1),
        Lifecycle(cell="detector", what=What.CRASHED, wall_ns=2),
    )

    assert [each["kind"] for each in bench.published()] == ["safety_event", "lifecycle"]


def test_only_anomalies_and_their_end_are_published(bench: Bench) -> None:
    flags = [False, True, True, False, False]
    bench.give(*(_score(seq, anomalous=flag) for seq, flag in enumerate(flags)))

    assert [each["seq"] for each in bench.published()] == [1, 2, 3]


def test_other_messages_are_not_published(bench: Bench) -> None:
    bench.give(Vitals(device_id="b1", seq=1, epoch=1, wall_ns=1, mono_ns=1))

    assert bench.published() == []


def test_its_state_is_told_once_a_second(bench: Bench) -> None:
    for _ in range(20):
        bench.actor.on_tick()
        bench.clock.advance(0.1)

    assert len(bench.context.messages(PublisherStatus, API)) == 2


def test_a_fenced_incarnation_leaves_the_files_to_the_next(bench: Bench) -> None:
    bench.context.fence()
    bench.give(SCHEMA, _sample(1))

    assert bench.published() == []


def test_a_start_without_a_usable_state_directory_is_told_not_raised(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file")
    bench.give()

    (status,) = bench.context.messages(PublisherStatus)
    assert "file/spool.db cannot be used" in status.fault


def test_what_is_in_memory_is_published_at_an_orderly_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.actor.on_message(SCHEMA, HEADER)
    bench.actor.on_message(_sample(1), HEADER)

    bench.actor.on_stop(StopReason.SHUTDOWN)

    assert len(bench.published()) == 1


@pytest.mark.parametrize("field", ["quota_mb", "commit_messages", "held_samples"])
def test_a_config_without_room_is_refused(field: str) -> None:
    raw = {"site_id": "S", "state_dir": "/x", field: 0}

    with pytest.raises(msgspec.ValidationError, match=field):
        build(msgspec.msgpack.encode(raw))


def test_the_factory_builds_the_actor() -> None:
    config = PublisherConfig(site_id="S", state_dir="/x")

    assert isinstance(build(msgspec.msgpack.encode(config)), PublisherActor)
