"""Whatever the sink does, every record that was accepted is somewhere, and is counted once."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.publisher.config import PublisherConfig
from actors.publisher.outbox import RETRY_S, Outbox
from actors.publisher.record import Record, RecordLane
from actors.publisher.sinks import Delivery, SinkError
from supervision.clock import ManualClock
from tests.actors.publisher.records import number_of, record

QUOTA_BYTES = 6_000


class ScriptedSink:
    """Takes, refuses and fails as the test says."""

    name = "scripted"

    def __init__(self) -> None:
        self.room = 0
        self.poison_every = 0
        self.taken: list[int] = []

    def send(self, batch: Sequence[Record]) -> Delivery:
        if not self.room:
            raise SinkError("out of order")
        numbers = [number_of(each.body) for each in batch]
        rejected = {
            i: "poison"
            for i, number in enumerate(numbers)
            if self.poison_every and number % self.poison_every == 0
        }
        taken = [i for i in range(len(numbers)) if i not in rejected][: self.room]
        self.taken += [numbers[i] for i in taken]
        return Delivery(taken, rejected)

    def close(self) -> None:
        """Have nothing to release."""


class Ledger:
    """An outbox, and what was given to it."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.sink = ScriptedSink()
        self.outbox = Outbox(
            PublisherConfig(site_id="S", state_dir=str(directory), reject_limit=2, reserve_mb=0),
            self.sink,
            self.clock,
        )
        self.outbox.commit()
        assert self.outbox._spool is not None
        self.spool = self.outbox._spool
        self.spool.quota_bytes = QUOTA_BYTES
        self.given = 0
        self.events: set[int] = set()

    def turn(self, step: tuple[int, int, int, int]) -> None:
        added, event_every, self.sink.room, self.sink.poison_every = step
        for _ in range(added):
            self.given += 1
            event = bool(event_every) and self.given % event_every == 0
            if event:
                self.events.add(self.given)
            lane = RecordLane.EVENT if event else RecordLane.TELEMETRY
            self.outbox.accept(record(self.given, size=200, lane=lane))
        self.clock.advance(RETRY_S)
        self.outbox.turn()
        self.outbox.commit()

    def waiting(self) -> set[int]:
        items = [
            item for lane in RecordLane for item in self.spool.next_batch(lane, limit=10_000).items
        ]
        return {number_of(item.record.body) for item in items}


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 12), st.integers(0, 4), st.sampled_from([0, 0, 3, 50]), st.integers(0, 3)
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(_STEPS)
def test_accepted_is_delivered_or_waiting_or_evicted_or_dead(
    steps: list[tuple[int, int, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        ledger = Ledger(Path(directory))
        for step in steps:
            ledger.turn(step)
            status = ledger.outbox.status()
            accounted = status.delivered + status.waiting + status.evicted + status.dead
            assert (status.accepted, accounted) == (ledger.given, ledger.given)
            assert status.spool_bytes <= QUOTA_BYTES
        taken = ledger.sink.taken
        assert len(taken) == len(set(taken))
        assert not set(taken) & ledger.waiting()
        lost = sum(loss.records for loss in ledger.spool.losses.lines() if loss.cause == "evicted")
        assert lost == ledger.outbox.status().evicted
        ledger.outbox.close()


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(2, 4)), max_size=10))
def test_no_event_is_evicted_while_there_is_telemetry(steps: list[tuple[int, int]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        ledger = Ledger(Path(directory))
        for added, event_every in steps:
            ledger.turn((added, event_every, 0, 0))
            waiting = ledger.waiting()
            missing_events = ledger.events - waiting
            telemetry = waiting - ledger.events
            assert not missing_events or not telemetry
            gone = set(range(1, ledger.given + 1)) - ledger.events - waiting
            assert max(gone, default=0) < min(telemetry, default=ledger.given + 1)
        ledger.outbox.close()
