from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.publisher.config import PublisherConfig
from actors.publisher.file_sink import FileSink
from actors.publisher.outbox import RETRY_S, Outbox
from actors.publisher.record import Record
from actors.publisher.sinks import Delivery, SinkError
from supervision.clock import ManualClock
from tests.actors.publisher.records import number_of, record


class BrokenSink:
    """Takes at most `room` records, then raises."""

    name = "broken"

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.taken: list[int] = []

    def send(self, batch: Sequence[Record]) -> Delivery:
        if not self.room:
            raise SinkError("the broker does not answer")
        taken = batch[: self.room]
        self.room -= len(taken)
        self.taken += [number_of(each.body) for each in taken]
        return Delivery(range(len(taken)))

    def close(self) -> None:
        """Have nothing to release."""


def _config(directory: Path, **changes: Any) -> PublisherConfig:
    return PublisherConfig(site_id="S", state_dir=str(directory), **changes)


def _file_outbox(directory: Path, clock: ManualClock) -> Outbox:
    sink = FileSink(directory / "published", clock, max_bytes=1 << 20, keep_bytes=1 << 24)
    return Outbox(_config(directory), sink, clock)


def _published(directory: Path) -> list[int]:
    files = sorted((directory / "published").glob("*.jsonl"))
    return [number_of(line) for path in files for line in path.read_bytes().splitlines()]


def test_records_reach_the_sink_once_they_are_durable(tmp_path: Path) -> None:
    clock = ManualClock()
    outbox = _file_outbox(tmp_path, clock)
    outbox.commit()
    outbox.accept(record(1))
    outbox.turn()
    assert outbox.status().accepted == 0
    clock.advance(0.2)
    outbox.turn()

    status = outbox.status()

    assert (status.accepted, status.delivered, status.waiting, status.fault) == (1, 1, 0, "")
    assert _published(tmp_path) == [1]
    outbox.close()


def test_many_records_are_committed_without_waiting(tmp_path: Path) -> None:
    outbox = _file_outbox(tmp_path, ManualClock())
    for number in range(250):
        outbox.accept(record(number))

    assert outbox.status().accepted == 200
    outbox.close()
    assert _published(tmp_path) == list(range(250))


def test_what_the_sink_does_not_take_waits_and_is_told(tmp_path: Path) -> None:
    clock = ManualClock()
    outbox = Outbox(_config(tmp_path), BrokenSink(), clock)
    outbox.accept(record(7))
    outbox.turn()

    status = outbox.status()

    assert (status.waiting, status.delivered, status.oldest_wall_ns) == (1, 0, 7)
    assert status.fault == "the broker does not answer"
    outbox.close()


def test_a_partly_acknowledged_batch_goes_on_where_it_stopped(tmp_path: Path) -> None:
    clock = ManualClock()
    sink = BrokenSink(room=3)
    outbox = Outbox(_config(tmp_path), sink, clock)
    for number in range(5):
        outbox.accept(record(number))
    outbox.turn()
    sink.room = 10
    clock.advance(RETRY_S)
    outbox.turn()

    assert sink.taken == [0, 1, 2, 3, 4]
    assert outbox.status().waiting == 0
    outbox.close()


def test_what_was_delivered_leaves_the_spool_for_good(tmp_path: Path) -> None:
    clock = ManualClock()
    outbox = _file_outbox(tmp_path, clock)
    outbox.accept(record(1))
    outbox.close()
    outbox = _file_outbox(tmp_path, clock)
    outbox.turn()

    assert outbox.status().waiting == 0
    assert _published(tmp_path) == [1]
    outbox.close()


def test_a_spool_that_cannot_be_written_is_a_fault_that_passes(tmp_path: Path) -> None:
    clock = ManualClock()
    state = tmp_path / "state"
    state.write_text("in the way")
    outbox = _file_outbox(state, clock)
    outbox.accept(record(1))
    outbox.turn()
    assert "free space" in outbox.status().fault
    assert not outbox.status().spooling

    state.unlink()
    clock.advance(RETRY_S)
    outbox.turn()

    assert (outbox.status().fault, outbox.status().delivered) == ("", 1)
    outbox.close()


def test_memory_is_bounded_while_the_spool_is_gone_and_the_loss_is_counted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("in the way")
    config = _config(state, buffer_messages=5, commit_messages=2)
    outbox = Outbox(config, BrokenSink(), ManualClock())
    for number in range(8):
        outbox.accept(record(number))

    assert outbox.status().dropped == 3
    assert not outbox.has_room
    assert [number_of(each.body) for each in outbox._buffer] == [0, 1, 2, 3, 4]
    outbox.close()


def test_without_a_page_to_spare_records_stay_in_memory_until_there_is_space(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    outbox = _file_outbox(tmp_path, clock)
    outbox.commit()
    spool = outbox._spool
    assert spool is not None
    pages = spool.connection.execute("PRAGMA page_count").fetchone()[0]
    spool.connection.execute(f"PRAGMA max_page_count = {pages}")
    outbox.accept(record(1, size=20_000))
    clock.advance(1.0)
    outbox.turn()
    assert "disk is full" in outbox.status().fault
    assert outbox.status().spooling

    spool.connection.execute("PRAGMA max_page_count = 100000")
    spool.quota_bytes = 1 << 20
    clock.advance(RETRY_S)
    outbox.turn()

    assert (outbox.status().fault, _published(tmp_path)) == ("", [1])
    outbox.close()


def test_a_damaged_spool_is_set_aside_and_a_fresh_one_begun(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"no database" * 1_000)
    outbox = _file_outbox(tmp_path, ManualClock())
    outbox.accept(record(1))
    outbox.turn()

    status = outbox.status()

    assert (status.delivered, status.fault) == (1, "")
    assert "set aside as" in status.notice
    (kept,) = tmp_path.glob("spool.db.set-aside-*")
    assert kept.read_bytes() == b"no database" * 1_000
    outbox.close()


def test_a_spool_that_breaks_while_open_is_set_aside_and_nothing_in_memory_is_lost(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    outbox = Outbox(_config(tmp_path), BrokenSink(), clock)
    for number in range(300):
        outbox.accept(record(number, size=3_000))
    outbox.turn()
    assert outbox._spool is not None
    outbox._spool.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox._spool.connection.execute("PRAGMA cache_size = 0")
    data = bytearray((tmp_path / "spool.db").read_bytes())
    data[4096:] = b"\xaa" * (len(data) - 4096)
    (tmp_path / "spool.db").write_bytes(data)
    outbox.accept(record(1_000))
    clock.advance(RETRY_S)
    outbox.turn()
    clock.advance(RETRY_S)
    outbox.turn()

    status = outbox.status()

    assert "set aside as" in status.notice
    assert status.waiting == 1
    assert len(list(tmp_path.glob("spool.db.set-aside-*"))) == 1
    outbox.close()
