"""Tests of who is sent what, and in which lane, by a real window over a clock that is moved by hand."""

from __future__ import annotations

from actors.courier import Courier
from actors.messages import API, DETECTOR, PUBLISHER, Sample, SpoolResume
from actors.unacked import PATIENCE_NS
from supervision.clock import NS_PER_S, ManualClock
from supervision.envelope import Lane
from tests.actors.fakes import RecordingContext


def sample(seq: int) -> Sample:
    return Sample(
        device_id="b1", schema_id=1, seq=seq, epoch=1, wall_ns=seq, mono_ns=seq, values=(1.0,)
    )


def courier(window: int) -> tuple[Courier, RecordingContext, ManualClock]:
    clock = ManualClock()
    context = RecordingContext("inverter/b1", 1, clock)
    return Courier(context, max_bytes=1 << 20, window=window), context, clock


def test_others_get_a_message_in_their_lane_and_the_spool_in_its_own() -> None:
    subject, context, _ = courier(window=4)
    subject.send(sample(1), DETECTOR, API, lane=Lane.LATEST)
    assert {each.receivers: each.lane for each in context.sent} == {
        (DETECTOR, API): Lane.LATEST,
        (PUBLISHER,): Lane.TELEMETRY,
    }


def test_one_frame_is_for_all_in_the_lane_of_the_spool() -> None:
    subject, context, _ = courier(window=4)
    subject.send(sample(1), API)
    assert [each.receivers for each in context.sent] == [(PUBLISHER, API)]


def test_others_get_at_once_what_the_spool_has_to_wait_for() -> None:
    subject, context, _ = courier(window=1)
    for seq in (1, 2):
        subject.send(sample(seq), API, lane=Lane.LATEST)
    subject.send(sample(3))
    told = [
        (each.receivers, each.message.seq)
        for each in context.sent
        if isinstance(each.message, Sample)
    ]
    assert sorted(told) == [((API,), 1), ((API,), 2), ((PUBLISHER,), 1)]


def test_a_silence_of_the_spool_is_noticed_by_the_next_message_without_a_tick() -> None:
    subject, context, clock = courier(window=4)
    subject.send(sample(1))
    clock.advance(PATIENCE_NS / NS_PER_S)
    subject.send(sample(2))
    kinds = [type(each.message) for each in context.sent]
    assert kinds == [Sample, Sample, SpoolResume, Sample]
