from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from actors.publisher.record import Record
from actors.publisher.sender import LONGEST_RETRY_S, SenderSink
from actors.publisher.sinks import Delivery, SinkError
from bessai.testing import wait_for
from supervision.clock import ManualClock
from tests.actors.publisher.records import number_of, record

BATCH = [record(number) for number in range(3)]


class ScriptedSink:
    """Does with a batch what the test says, and waits where it says so."""

    name = "scripted"

    def __init__(self) -> None:
        self.outcome: Callable[[Sequence[Record]], Delivery] = lambda b: Delivery(range(len(b)))
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.batches: list[list[int]] = []
        self.closed = threading.Event()

    def send(self, batch: Sequence[Record]) -> Delivery:
        self.batches.append([number_of(each.body) for each in batch])
        self.may_go_on.wait(10.0)
        return self.outcome(batch)

    def close(self) -> None:
        self.closed.set()


class Bench:
    def __init__(self) -> None:
        self.inner = ScriptedSink()
        self.clock = ManualClock()
        self.sink = SenderSink(self.inner, self.clock, patience_s=0.05)

    def heard(self, batch: Sequence[Record] = BATCH) -> Delivery:
        """Return the first thing that is told."""

        def told() -> Delivery | None:
            delivery = self.sink.send(batch)
            return delivery if delivery != Delivery(()) else None

        return wait_for("the sender tells", told)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.inner.may_go_on.set()
    bench.sink.close()


def test_what_the_network_takes_is_told(bench: Bench) -> None:
    assert bench.heard() == Delivery([0, 1, 2])


def test_a_network_that_hangs_holds_nobody_and_is_told_later(bench: Bench) -> None:
    bench.inner.may_go_on.clear()
    assert bench.sink.send(BATCH) == Delivery(())
    assert bench.sink.send(BATCH) == Delivery(())

    bench.inner.may_go_on.set()

    assert bench.heard() == Delivery([0, 1, 2])
    assert bench.inner.batches == [[0, 1, 2]]


def test_an_acknowledgement_waits_for_its_records_to_come_again(bench: Bench) -> None:
    urgent = [record(9)]
    bench.inner.may_go_on.clear()
    bench.sink.send(BATCH)
    assert bench.sink.send(urgent) == Delivery(())
    bench.inner.may_go_on.set()

    assert bench.heard(urgent) == Delivery([0])
    assert bench.heard() == Delivery([0, 1, 2])
    assert bench.inner.batches == [[0, 1, 2], [9]]


def test_a_fault_is_told_and_tried_again_when_it_is_time(bench: Bench) -> None:
    bench.inner.outcome = lambda _: Delivery((), fault="down")
    assert bench.heard().fault == "down"
    assert bench.sink.send(BATCH).fault == "down"
    assert len(bench.inner.batches) == 1

    bench.inner.outcome = lambda b: Delivery(range(len(b)))
    bench.clock.advance(LONGEST_RETRY_S)

    assert bench.heard().acknowledged == [0, 1, 2]


def test_an_outage_of_a_day_is_not_asked_every_moment(bench: Bench) -> None:
    bench.inner.outcome = lambda _: Delivery((), fault="down")
    for _ in range(100):
        bench.heard()
        bench.clock.advance(LONGEST_RETRY_S / 4)

    assert 20 < len(bench.inner.batches) < 60


def test_a_record_that_is_refused_is_told_beside_the_others(bench: Bench) -> None:
    bench.inner.outcome = lambda _: Delivery({0, 2}, {1: "too strange"})

    assert bench.heard() == Delivery([0, 2], {1: "too strange"})


@pytest.mark.parametrize("error", [SinkError("no route"), ZeroDivisionError("a surprise")])
def test_whatever_a_library_raises_is_a_fault_and_the_thread_lives(
    bench: Bench, error: Exception
) -> None:
    def fail(_: Sequence[Record]) -> Delivery:
        raise error

    bench.inner.outcome = fail
    assert str(error) in bench.heard().fault

    bench.inner.outcome = lambda b: Delivery(range(len(b)))
    bench.clock.advance(LONGEST_RETRY_S)
    assert bench.heard().acknowledged == [0, 1, 2]


def test_closing_ends_the_thread_and_what_it_sent_with() -> None:
    bench = Bench()
    bench.heard()

    bench.sink.close()

    assert bench.inner.closed.is_set()
