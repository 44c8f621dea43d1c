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
    SpoolAck,
    SpoolResume,
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

    def __init__(self, directory: Path, **changes: Any) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.context = RecordingContext("publisher", clock=self.clock)
        config = PublisherConfig(site_id="S", state_dir=str(directory), **changes)
        self.actor = build(msgspec.msgpack.encode(config))
        self.actor.on_start(self.context)

    def give(self, *messages: msgspec.Struct, sender: str = "inverter/b1") -> None:
        header = msgspec.structs.replace(HEADER, sender=sender)
        for message in messages:
            self.actor.on_message(message, header)
        self.clock.advance(1.0)
        self.actor.on_tick()

    def acks(self) -> list[SpoolAck]:
        return self.context.messages(SpoolAck, "inverter/b1")

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
        prior_seq=seq - 1,
    )


def _event(seq: int) -> SafetyEvent:
    return SafetyEvent(
        device_id="b1",
        kind="began",
        rule="r",
        detail="",
        wall_ns=seq,
        mono_ns=seq,
        seq=seq,
        prior_seq=seq - 1,
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


def test_a_device_whose_schema_is_unknown_is_asked_once_and_sends_again(bench: Bench) -> None:
    bench.give(_sample(1), _sample(2))
    assert bench.context.messages(DescribeDevice, "inverter/b1") == [DescribeDevice(device_id="b1")]
    assert bench.acks() == [SpoolAck(epoch=5, seq=0, again=0)]

    bench.give(SCHEMA, _sample(1), _sample(2))

    assert [each["seq"] for each in bench.published()] == [1, 2]


def test_a_sample_of_a_schema_that_its_device_has_no_more_takes_the_names_of_its_places(
    bench: Bench,
) -> None:
    newer = msgspec.structs.replace(SCHEMA, schema_id=2)
    bench.give(newer, _sample(1))
    assert bench.published() == []

    bench.give(newer, _sample(1))

    (published,) = bench.published()
    assert published["values"] == {"unnamed_0": 50.0}


def test_what_is_durable_is_acknowledged_to_its_sender(bench: Bench) -> None:
    bench.give(SCHEMA, _sample(1), _sample(2))

    assert bench.acks() == [SpoolAck(epoch=5, seq=2)]


def test_nothing_is_acknowledged_before_it_is_durable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file")
    bench.give(SCHEMA, _sample(1), _sample(2))

    assert all(ack.seq == 0 for ack in bench.acks())


def test_a_sample_after_a_gap_is_not_taken_but_asked_for_again(bench: Bench) -> None:
    bench.give(SCHEMA, _sample(1), _sample(3))

    assert bench.acks() == [SpoolAck(epoch=5, seq=1, again=1)]
    assert [each["seq"] for each in bench.published()] == [1]


def test_a_sample_that_comes_twice_is_stored_once(bench: Bench) -> None:
    bench.give(SCHEMA, _sample(1), _sample(1), _sample(2), _sample(1))

    assert [each["seq"] for each in bench.published()] == [1, 2]


def test_what_a_sender_lost_is_counted_named_and_told(bench: Bench) -> None:
    bench.give(SCHEMA, SpoolResume(epoch=5, first_seq=40, prior_seq=39, lost=38), _sample(40))

    status = bench.context.messages(PublisherStatus)[-1]
    assert status.upstream_lost == 38
    assert "38 message(s) lost, most of them samples of b1" in status.fault
    assert [each["seq"] for each in bench.published()] == [40]


def test_numbered_safety_events_are_acknowledged_too(bench: Bench) -> None:
    bench.give(_event(1), _event(2), sender="safety")

    assert bench.context.messages(SpoolAck, "safety") == [SpoolAck(epoch=5, seq=2)]


def test_with_memory_full_nothing_more_is_taken_and_nothing_numbered_is_dropped(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file", buffer_messages=2)
    bench.give(SCHEMA, *(_sample(seq) for seq in range(1, 6)))
    (tmp_path / "file").unlink()
    bench.give(_sample(1), _sample(2))
    bench.give(*(_sample(seq) for seq in range(3, 6)))
    bench.give(_sample(5))

    assert [each["seq"] for each in bench.published()] == [1, 2, 3, 4, 5]
    assert bench.context.messages(PublisherStatus)[-1].dropped == 0


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


@pytest.mark.parametrize("field", ["quota_mb", "commit_messages", "reject_limit"])
def test_a_config_without_room_is_refused(field: str) -> None:
    raw = {"site_id": "S", "state_dir": "/x", field: 0}

    with pytest.raises(msgspec.ValidationError, match=field):
        build(msgspec.msgpack.encode(raw))


def test_the_factory_builds_the_actor() -> None:
    config = PublisherConfig(site_id="S", state_dir="/x")

    assert isinstance(build(msgspec.msgpack.encode(config)), PublisherActor)
