"""Control cell and publisher over a link that drops, under restarts: what was taken becomes durable, in order."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.courier import Courier
from actors.messages import (
    DeviceSchema,
    PointInfo,
    PublisherStatus,
    Sample,
    SpoolAck,
)
from actors.publisher.actor import PublisherActor
from actors.publisher.config import PublisherConfig
from actors.publisher.record import RecordLane
from actors.publisher.spool import Spool
from supervision.clock import ManualClock
from supervision.envelope import Header
from tests.actors.fakes import RecordingContext

EPOCH = 5
SENDER = "inverter/b1"
SCHEMA = DeviceSchema(device_id="b1", schema_id=1, points=(PointInfo("soc_pct", "%"),))
HEADER = Header(receiver="publisher", sender=SENDER, epoch=EPOCH)


class Line:
    """A sender and a publisher, with the messages between them carried by hand."""

    def __init__(self, directory: Path, *, max_bytes: int = 1 << 20) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.sender = RecordingContext(SENDER, EPOCH, self.clock)
        self.courier = Courier(self.sender, max_bytes=max_bytes)
        self.seq = 0
        self.publisher_epoch = 0
        self.actor: PublisherActor
        self.start_publisher()

    def start_publisher(self) -> None:
        """Replace the publisher as a crash does: nothing of its memory remains."""
        if self.publisher_epoch:
            self.actor._outbox._close_spool()
        self.publisher_epoch += 1
        self.publisher = RecordingContext("publisher", self.publisher_epoch, self.clock)
        config = PublisherConfig(site_id="S", state_dir=str(self.directory), reserve_mb=0)
        self.actor = PublisherActor(config)
        self.actor.on_start(self.publisher)
        self.actor._outbox._sink_retry_s = float("inf")  # only storing is of interest
        self.actor.on_message(SCHEMA, HEADER)

    def poll(self, gap: int = 1) -> None:
        self.seq += gap
        sample = Sample(
            device_id="b1",
            schema_id=1,
            seq=self.seq,
            epoch=EPOCH,
            wall_ns=self.seq,
            mono_ns=self.seq,
            values=(1.0,),
        )
        self.courier.send(sample)

    def carry(self, *, drop_every: int = 0) -> None:
        """Carry what was sent, except every so many-th message, and the acknowledgements back."""
        sent, self.sender.sent = self.sender.sent, []
        for number, each in enumerate(sent, 1):
            if not drop_every or number % drop_every:
                self.actor.on_message(each.message, HEADER)
        self.clock.advance(0.25)
        self.actor.on_tick()
        acks = self.publisher.messages(SpoolAck)
        self.publisher.sent = [
            s for s in self.publisher.sent if not isinstance(s.message, SpoolAck)
        ]
        for number, ack in enumerate(acks, 1):
            if not drop_every or number % drop_every:
                self.courier.heard(ack)
        self.courier.tick()

    def settle(self) -> None:
        """Let both sides come to rest."""
        for _ in range(200):
            self.carry()
            if not self.courier.unacked:
                return
            self.clock.advance(0.5)
        raise AssertionError("the sender never learnt that everything is durable")

    def stored(self) -> list[int]:
        self.actor._outbox._close_spool()
        spool = Spool(self.directory / "spool.db", quota_bytes=1 << 30)
        items = spool.next_batch(RecordLane.TELEMETRY, limit=100_000).items
        spool.close()
        return [item.record.seq for item in items]


_STEPS = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.integers(1, 3),
        st.sampled_from([0, 0, 2, 3, 1]),
        st.sampled_from(["", "", "", "restart"]),
    ),
    max_size=12,
)


@settings(max_examples=30)
@given(_STEPS)
def test_every_sample_becomes_durable_and_the_order_of_first_sight_is_kept(
    steps: list[tuple[int, int, int, str]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        line = Line(Path(directory))
        polled = []
        for polls, gap, drop_every, event in steps:
            for _ in range(polls):
                line.poll(gap)
                polled.append(line.seq)
            line.carry(drop_every=drop_every)
            if event:
                line.start_publisher()
        line.settle()
        stored = line.stored()
        assert list(dict.fromkeys(stored)) == polled


def test_without_a_fault_nothing_is_stored_twice(tmp_path: Path) -> None:
    line = Line(tmp_path)
    for _ in range(100):
        line.poll()
        line.carry()
    line.settle()

    assert line.stored() == list(range(1, 101))


def test_a_restarted_publisher_gets_what_its_predecessor_had_not_stored(tmp_path: Path) -> None:
    line = Line(tmp_path)
    for _ in range(20):
        line.poll()
    line.sender.sent.clear()  # the old publisher dies with all of it
    line.start_publisher()
    line.poll()
    line.settle()

    assert line.stored() == list(range(1, 22))


def test_what_an_outage_drives_out_of_memory_is_counted_at_both_ends(tmp_path: Path) -> None:
    line = Line(tmp_path, max_bytes=3_000)
    for _ in range(200):
        line.poll()
        line.sender.sent.clear()
    lost = line.courier.unacked.lost
    line.clock.advance(10.0)
    line.settle()
    line.clock.advance(1.0)
    line.actor.on_tick()

    assert lost > 0
    status = line.publisher.messages(PublisherStatus)[-1]
    assert status.upstream_lost == lost
    assert line.stored() == list(range(lost + 1, 201))
