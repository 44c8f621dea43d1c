from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from actors.publisher.drain import LIVE_S, Drain
from actors.publisher.record import Record, RecordLane
from actors.publisher.sinks import Delivery, SinkError
from actors.publisher.spool import Spool
from tests.actors.publisher.records import number_of, record

MB = 1 << 20
EVENT = RecordLane.EVENT


class FussySink:
    """Takes at most `room` records of each batch, and refuses those in `poison` for what they are."""

    name = "fussy"

    def __init__(self, *, room: int = 1_000, poison: Sequence[int] = ()) -> None:
        self.room = room
        self.poison = set(poison)
        self.taken: list[int] = []
        self.calls = 0

    def send(self, batch: Sequence[Record]) -> Delivery:
        self.calls += 1
        if not self.room:
            raise SinkError("the broker does not answer")
        numbers = [number_of(each.body) for each in batch]
        rejected = {i: "malformed" for i, number in enumerate(numbers) if number in self.poison}
        acknowledged = [i for i in range(len(numbers)) if i not in rejected][: self.room]
        self.taken += [numbers[i] for i in acknowledged]
        return Delivery(acknowledged, rejected)

    def close(self) -> None:
        """Have nothing to release."""


class Served:
    """A spool and what drains it."""

    def __init__(self, directory: Path, sink: FussySink, *, in_order: int = 0) -> None:
        self.spool = Spool(directory / "spool.db", quota_bytes=MB)
        self.sink = sink
        self.drain = Drain(sink, reject_limit=3, in_order=in_order)
        self.now_s = 100.0
        self.drain.begin(self.spool, self.now_s)

    def store(self, *records: Record) -> None:
        last_id = self.spool.commit(records, self.drain.settled, self.drain.dead)
        self.drain.stored(last_id, self.now_s)
        self.drain.written()

    def run(self) -> list[int]:
        """Drain until there is nothing to do, and return what the sink took meanwhile."""
        before = len(self.sink.taken)
        while self.drain.step(self.spool, self.now_s):
            pass
        return self.sink.taken[before:]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path, FussySink())


def test_events_go_before_telemetry(served: Served) -> None:
    served.store(record(1), record(2), record(3, lane=EVENT))

    assert served.run() == [3, 1, 2]


def test_what_was_delivered_is_not_sent_again_before_it_is_written_down(served: Served) -> None:
    served.store(record(1))

    assert (served.run(), served.run()) == ([1], [])
    served.store()
    assert served.spool.waiting == 0


def test_live_telemetry_goes_before_what_an_outage_left_behind(served: Served) -> None:
    served.sink.room = 0
    for number in range(1, 4):
        served.store(record(number))
        served.now_s += LIVE_S - 1
    served.store(record(9))
    with pytest.raises(SinkError):
        served.run()
    served.sink.room = 1_000

    assert served.run() == [3, 9, 1, 2]


def test_what_was_there_at_the_start_is_back_fill(tmp_path: Path) -> None:
    Served(tmp_path, FussySink()).store(record(1))
    served = Served(tmp_path, FussySink())
    served.store(record(2))

    assert served.run() == [2, 1]


def test_a_small_backlog_keeps_its_order(tmp_path: Path) -> None:
    Served(tmp_path, FussySink()).store(record(1))
    served = Served(tmp_path, FussySink(), in_order=2)
    served.now_s += LIVE_S
    served.store(record(2))

    assert served.run() == [1, 2]


def test_a_batch_that_was_taken_in_part_goes_on_where_it_stopped(served: Served) -> None:
    served.sink.room = 2
    served.store(*(record(number) for number in range(5)))

    assert served.run() == [0, 1, 2, 3, 4]
    assert served.sink.calls == 3


def test_a_poisoned_record_becomes_a_dead_letter_while_its_lane_goes_on(served: Served) -> None:
    served.sink.poison = {1}
    served.store(record(0), record(1), record(2))

    assert served.run() == [0, 2]
    assert served.sink.calls == 3
    served.store()
    assert [letter.reason for _, letter in served.spool.dead.letters()] == ["malformed"]
    assert (served.spool.waiting, served.drain.delivered) == (0, 2)


def test_a_record_that_is_taken_at_the_second_try_is_no_dead_letter(served: Served) -> None:
    served.sink.poison = {1}
    served.store(record(1))
    served.drain.step(served.spool, served.now_s)
    served.sink.poison = set()

    assert served.run() == [1]
    assert served.drain.dead == []


def test_rows_that_were_evicted_meanwhile_are_no_trouble(served: Served) -> None:
    served.store(record(1))
    served.run()
    served.spool.quota_bytes = 10

    served.store(record(2))

    assert served.run() == []
    assert served.spool.waiting == 0


def test_a_sink_that_failed_is_tried_with_one_block_before_it_is_given_more(served: Served) -> None:
    for number in range(3):
        served.store(record(number))
    served.sink.room = 0
    with pytest.raises(SinkError):
        served.run()
    served.sink.room = 1_000
    served.drain.step(served.spool, served.now_s)
    assert served.sink.taken == [0]

    served.drain.step(served.spool, served.now_s)

    assert served.sink.taken == [0, 1, 2]


def test_a_fault_beside_a_delivery_ends_the_turn(served: Served) -> None:
    class HalfWay(FussySink):
        def send(self, batch: Sequence[Record]) -> Delivery:
            self.taken.append(number_of(batch[0].body))
            return Delivery([0], fault="the broker went away")

    served.drain.sink = sink = HalfWay()
    served.store(record(1), record(2))

    assert not served.drain.step(served.spool, served.now_s)
    assert (served.drain.fault, sink.taken) == ("the broker went away", [1])
