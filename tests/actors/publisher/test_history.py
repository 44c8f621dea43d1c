from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.messages import DeviceSchema, PointInfo, Sample
from actors.publisher.history import FLUSH_S, GRACE_S, History, HistoryThread
from actors.publisher.history_query import Bucket, HistoryReader
from actors.publisher.history_store import AGGREGATE_S, EVENT_S, RAW_S, WINDOW_S
from actors.publisher.record import RecordLane
from supervision.clock import NS_PER_S, ManualClock, SystemClock
from tests.actors.publisher.records import record

SCHEMA = DeviceSchema(device_id="b1", schema_id=1, points=(PointInfo("soc_pct", "%"),))
START_S = 1_700_000_100  # the beginning of a quarter of an hour
DAY_S = 86_400


class Kept:
    """A history with a clock of its own, and the number of the last sample."""

    def __init__(self, directory: Path, *, quota_bytes: int = 64 << 20) -> None:
        self.path = directory / "history.db"
        self.clock = ManualClock(wall_ns=START_S * NS_PER_S)
        self.history = History(self.path, self.clock, quota_bytes=quota_bytes)
        self.seq = 0

    def sample(self, value: float, *, at_s: float | None = None) -> None:
        self.seq += 1
        wall_ns = self.clock.wall_ns() if at_s is None else int(at_s * NS_PER_S)
        message = Sample(
            device_id="b1",
            schema_id=1,
            seq=self.seq,
            epoch=5,
            wall_ns=wall_ns,
            mono_ns=0,
            values=(value,),
        )
        self.history.sample(message, SCHEMA)

    def let_pass(self, seconds: float, *, turns: int = 1) -> None:
        for _ in range(turns):
            self.clock.advance(seconds / turns)
            self.history.turn()

    def query(self, from_s: float, to_s: float, every_s: float) -> list[Bucket]:
        reader = HistoryReader(self.path)
        found = reader.query("b1", "soc_pct", START_S + from_s, START_S + to_s, every_s)
        reader.close()
        return [bucket._replace(start_s=bucket.start_s - START_S) for bucket in found]

    def rows(self, table: str) -> int:
        connection = sqlite3.connect(self.path)
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - names of our own
        connection.close()
        return int(count)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    kept = Kept(tmp_path)
    yield kept
    kept.history.close()


def test_raw_samples_are_read_back_down_sampled(kept: Kept) -> None:
    for value in range(60):
        kept.sample(float(value))
        kept.let_pass(1.0)
    kept.let_pass(FLUSH_S)

    assert kept.query(0, 100, 30) == [
        Bucket(0, 30, 0.0, 14.5, 29.0),
        Bucket(30, 30, 30.0, 44.5, 59.0),
    ]
    assert kept.query(10, 12, 1) == [Bucket(10, 1, 10, 10, 10), Bucket(11, 1, 11, 11, 11)]


def test_a_quarter_of_an_hour_becomes_one_row_and_one_summary(kept: Kept) -> None:
    for value in range(90):
        kept.sample(float(value))
        kept.let_pass(10.0)
    kept.let_pass(WINDOW_S, turns=2)

    assert (kept.rows("raw"), kept.rows("aggregate")) == (1, 1)
    assert kept.query(0, WINDOW_S, WINDOW_S) == [Bucket(0, 90, 0.0, 44.5, 89.0)]


def test_late_samples_join_their_window_and_twice_is_once(kept: Kept) -> None:
    for value in range(10):
        kept.sample(float(value), at_s=START_S + value)
    kept.let_pass(WINDOW_S + GRACE_S, turns=3)
    kept.seq = 5
    for value in range(5, 12):
        kept.sample(float(value), at_s=START_S + value)
    kept.let_pass(2 * FLUSH_S, turns=2)

    assert kept.rows("raw") == 1
    (bucket,) = kept.query(0, WINDOW_S, WINDOW_S)
    assert (bucket.samples, bucket.low, bucket.high) == (12, 0.0, 11.0)


def test_after_a_week_the_quarter_hours_remain(kept: Kept) -> None:
    for value in (1.0, 3.0):
        kept.sample(value)
    kept.let_pass(WINDOW_S + GRACE_S, turns=3)
    kept.let_pass(RAW_S + WINDOW_S)

    assert kept.rows("raw") == 0
    assert kept.query(0, WINDOW_S, 60) == [Bucket(0, 2, 1.0, 2.0, 3.0)]
    kept.let_pass(40 * DAY_S - RAW_S - 2 * WINDOW_S)
    assert kept.rows("aggregate") == 1
    kept.let_pass(AGGREGATE_S)
    assert kept.rows("aggregate") == 0


def test_events_stay_for_nine_months_and_are_stored_once(kept: Kept) -> None:
    event = record(1, lane=RecordLane.EVENT)._replace(wall_ns=START_S * NS_PER_S)
    kept.history.event(event)
    kept.history.event(event)
    kept.let_pass(FLUSH_S)
    kept.let_pass(275 * DAY_S)

    reader = HistoryReader(kept.path)
    assert [e.body for e in reader.events("b1", 0, START_S + 1, limit=9)] == [event.body]
    assert reader.events("b2", 0, START_S + 1, limit=9) == []
    reader.close()
    kept.let_pass(EVENT_S)
    assert kept.rows("event") == 0


def test_over_the_quota_the_oldest_raw_samples_leave_and_events_stay(tmp_path: Path) -> None:
    kept = Kept(tmp_path, quota_bytes=96 << 10)
    kept.history.event(record(1, lane=RecordLane.EVENT)._replace(wall_ns=START_S * NS_PER_S))
    noise = random.Random(3)
    for quarter in range(100):
        for _ in range(200):
            kept.sample(noise.random())
        kept.clock.advance(WINDOW_S)
        if quarter % 10 == 0:
            kept.history.turn()
    kept.let_pass(WINDOW_S, turns=30)

    assert kept.rows("event") == 1
    assert kept.rows("aggregate") == 100
    assert 0 < kept.rows("raw") < 90
    kept.history.close()


def test_a_reader_that_holds_the_file_delays_nothing_and_loses_nothing(kept: Kept) -> None:
    kept.sample(1.0)
    kept.let_pass(FLUSH_S)
    reader = sqlite3.connect(kept.path, isolation_level=None)
    kept.history._store._connection.execute("PRAGMA busy_timeout = 10")  # type: ignore[union-attr]
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM raw").fetchone()
    kept.sample(2.0)
    kept.let_pass(FLUSH_S)
    assert "locked" in kept.history.fault
    reader.execute("COMMIT")
    reader.close()
    kept.let_pass(FLUSH_S)

    assert kept.history.fault == ""
    assert [bucket.samples for bucket in kept.query(0, 60, 60)] == [2]


def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"nonsense" * 1_000)
    kept = Kept(tmp_path)
    kept.sample(1.0)
    kept.let_pass(2 * FLUSH_S, turns=2)

    assert kept.rows("raw") == 1
    assert len(list(tmp_path.glob("history.db.set-aside-*"))) == 1
    kept.history.close()


def test_the_thread_writes_what_is_there_when_it_is_stopped(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.history = History(kept.path, SystemClock(), quota_bytes=1 << 20)
    thread = HistoryThread(kept.history)
    kept.sample(4.0)
    thread.stop()

    assert [bucket.mean for bucket in kept.query(0, 60, 60)] == [4.0]
