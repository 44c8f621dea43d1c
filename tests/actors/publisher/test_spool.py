from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.publisher.database import SpoolError, SpoolFullError
from actors.publisher.dead import DeadLetter
from actors.publisher.losses import Loss
from actors.publisher.record import RecordLane
from actors.publisher.spool import Spool
from tests.actors.publisher.records import number_of, record

MB = 1 << 20
EVENT, TELEMETRY = RecordLane.EVENT, RecordLane.TELEMETRY


def _numbers(spool: Spool, lane: RecordLane = TELEMETRY, *, limit: int = 1_000) -> list[int]:
    return [number_of(item.record.body) for item in spool.next_batch(lane, limit=limit).items]


def _settle(spool: Spool, *numbers: int) -> dict[int, set[int]]:
    settled: dict[int, set[int]] = {}
    for item in spool.next_batch(TELEMETRY, limit=1_000).items:
        if number_of(item.record.body) in numbers:
            settled.setdefault(item.row_id, set()).add(item.place)
    return settled


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.db", quota_bytes=MB)


def test_what_was_committed_is_there_after_reopening(spool: Spool) -> None:
    spool.commit([record(1), record(2)])
    spool.close()

    spool = Spool(spool.path, quota_bytes=MB)

    items = spool.next_batch(TELEMETRY, limit=9).items
    assert [item.record for item in items] == [record(1), record(2)]
    assert spool.waiting == 2


def test_the_file_is_opened_so_that_a_commit_survives_a_power_cut(spool: Spool) -> None:
    connection = spool.connection

    assert connection.execute("PRAGMA journal_mode").fetchone() == (b"wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_like_messages_are_stored_together_and_shorter(spool: Spool) -> None:
    records = [record(n)._replace(body=b'{"soc_pct": 50.0, "n": %d}' % n * 20) for n in range(100)]
    spool.commit(records)

    assert spool.connection.execute("SELECT count(*) FROM spool").fetchone() == (1,)
    assert spool.stored_bytes < sum(len(each.body) for each in records) / 4


def test_exactly_the_records_that_were_acknowledged_leave(spool: Spool) -> None:
    spool.commit([record(n) for n in range(5)])
    spool.commit([], _settle(spool, 0, 2))
    assert _numbers(spool) == [1, 3, 4]
    spool.close()

    spool = Spool(spool.path, quota_bytes=MB)

    assert (_numbers(spool), spool.waiting) == ([1, 3, 4], 3)
    spool.commit([], _settle(spool, 1, 3, 4))
    assert (spool.waiting, spool.stored_bytes) == (0, 0)


def test_records_that_are_settled_but_not_written_down_are_left_out(spool: Spool) -> None:
    spool.commit([record(n) for n in range(3)])

    batch = spool.next_batch(TELEMETRY, limit=9, settled=_settle(spool, 1))

    assert [number_of(item.record.body) for item in batch.items] == [0, 2]


def test_ids_are_never_used_again(spool: Spool) -> None:
    first = spool.commit([record(1)])
    spool.commit([], _settle(spool, 1))

    assert spool.commit([record(2)]) > first
    assert spool.last_id() > first


def test_lanes_are_kept_apart(spool: Spool) -> None:
    spool.commit([record(1), record(2, lane=EVENT), record(3)])

    assert (_numbers(spool), _numbers(spool, EVENT)) == ([1, 3], [2])


def test_a_batch_ends_with_the_block_that_fills_it(spool: Spool) -> None:
    for start in range(0, 30, 10):
        spool.commit([record(start + n) for n in range(10)])

    assert _numbers(spool, limit=15) == list(range(20))


def test_the_oldest_telemetry_makes_room_before_any_event_and_is_named(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=3_000)
    spool.commit([record(1, lane=EVENT)])
    for number in range(2, 8):
        spool.commit([record(number, size=600)])

    assert _numbers(spool, EVENT) == [1]
    assert _numbers(spool) == [5, 6, 7]
    assert (spool.evicted, spool.stored_bytes <= 3_000) == (3, True)
    assert spool.losses.lines() == [Loss("evicted", "sample", "b1", 1, 2, 4, 2, 4, 3)]


def test_dead_letters_make_room_before_events_do(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=1_500)
    spool.commit([], dead=[DeadLetter("too large", record(1, size=600))])
    for number in range(2, 4):
        spool.commit([record(number, lane=EVENT, size=600)])
    assert (spool.dead.count(), _numbers(spool, EVENT)) == (0, [2, 3])

    spool.commit([record(4, lane=EVENT, size=600)])

    assert _numbers(spool, EVENT) == [3, 4]


def test_a_dead_letter_is_kept_with_its_reason(spool: Spool) -> None:
    spool.commit([record(1)])
    spool.commit([], _settle(spool, 1), [DeadLetter("too large", record(1))])

    assert [letter for _, letter in spool.dead.letters()] == [DeadLetter("too large", record(1))]
    assert spool.waiting == 0


def _damaged(path: Path, change: Callable[[bytearray], None]) -> Spool:
    """Return the spool at `path` after `change` to the bytes of the file, as by a failing flash cell."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return Spool(path, quota_bytes=MB)


def _flip_body_of(number: int) -> Callable[[bytearray], None]:
    def flip(data: bytearray) -> None:
        data[data.index(b'"n": %d' % number) + 1] ^= 0x04

    return flip


def _plain(spool: Spool) -> None:
    """Store three blocks of one record each that are not compressed, so that a test finds their bytes."""
    for number in (101, 102, 103):
        spool.commit([record(number)])
    spool.close()


def test_a_flipped_byte_is_found_and_the_other_rows_are_delivered(spool: Spool) -> None:
    _plain(spool)

    spool = _damaged(spool.path, _flip_body_of(102))
    batch = spool.next_batch(TELEMETRY, limit=9)

    assert [number_of(item.record.body) for item in batch.items] == [101, 103]
    assert (batch.damaged, spool.damaged, spool.waiting) == (1, 1, 2)
    assert spool.next_batch(TELEMETRY, limit=9).damaged == 0


def test_a_damaged_row_stays_in_the_file_until_it_is_evicted_as_damaged(spool: Spool) -> None:
    _plain(spool)
    spool = _damaged(spool.path, _flip_body_of(101))
    spool.next_batch(TELEMETRY, limit=9)
    spool.close()

    spool = Spool(spool.path, quota_bytes=900)
    assert (spool.damaged, spool.waiting) == (1, 2)
    spool.commit([])

    assert (spool.damaged, spool.waiting) == (0, 2)
    assert [(loss.cause, loss.records) for loss in spool.losses.lines()] == [("damaged", 1)]


def test_any_flipped_byte_of_compressed_blocks_is_found_or_harmless(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    records = [record(n, size=40) for n in range(60)]
    for start in range(0, 60, 20):
        spool.commit(records[start : start + 20])
    bodies = [bytes(b) for (b,) in spool.connection.execute("SELECT body FROM spool")]
    spool.close()
    for body in bodies:
        damaged = bytearray((tmp_path / "spool.db").read_bytes())
        for offset in range(10, 200, 37):
            copy = tmp_path / "copy.db"
            flipped = bytearray(damaged)
            flipped[flipped.index(body[:200]) + offset] ^= 0x10
            copy.write_bytes(flipped)
            spool = Spool(copy, quota_bytes=MB)
            items = spool.next_batch(TELEMETRY, limit=99).items
            assert spool.damaged == 20
            assert {item.record for item in items} < set(records)
            spool.close()


@pytest.mark.parametrize("seed", range(20))
def test_whatever_byte_flips_no_record_is_made_up_and_nothing_but_a_spool_error_is_raised(
    tmp_path: Path, seed: int
) -> None:
    stored = [record(n, size=300) for n in range(40)]
    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    for start in range(0, 40, 4):
        spool.commit(stored[start : start + 4])
    spool.commit([], _settle(spool, 0, 17), [DeadLetter("refused", record(99))])
    spool.close()
    data = bytearray((tmp_path / "spool.db").read_bytes())
    place = random.Random(seed).randrange(len(data))
    data[place] ^= 1 << seed % 8
    (tmp_path / "spool.db").write_bytes(data)

    with contextlib.suppress(SpoolError):
        spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
        with contextlib.closing(spool):
            for lane in RecordLane:
                items = spool.next_batch(lane, limit=1_000).items
                assert {item.record for item in items} <= set(stored)
                spool.commit([], {item.row_id: {item.place} for item in items})
            assert {letter.record for _, letter in spool.dead.letters()} <= {record(99)}
            spool.quota_bytes = 10
            spool.commit([record(100)])


def test_marks_that_are_damaged_have_records_sent_again_rather_than_skipped(spool: Spool) -> None:
    spool.commit([record(n) for n in range(3)])
    spool.commit([], _settle(spool, 0))
    spool.connection.execute("UPDATE spool SET settled = x'07' || substr(settled, 2)")

    assert _numbers(spool) == [0, 1, 2]


def test_a_full_disk_stores_nothing_of_a_commit_and_loses_nothing_before_it(spool: Spool) -> None:
    spool.commit([record(1)])
    pages = spool.connection.execute("PRAGMA page_count").fetchone()[0]
    spool.connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(SpoolFullError, match=r"spool\.db cannot be used.*free space"):
        spool.commit([record(n, size=4_000) for n in range(2, 12)])

    assert _numbers(spool) == [1]
    spool.connection.execute("PRAGMA max_page_count = 1000000")
    spool.commit([record(2)])
    assert _numbers(spool) == [1, 2]


def test_the_file_stays_within_twice_the_quota(tmp_path: Path) -> None:
    quota = 2 * MB
    spool = Spool(tmp_path / "spool.db", quota_bytes=quota)
    for start in range(0, 2_000, 100):
        spool.commit([record(n, size=2_700) for n in range(start, start + 100)])
    spool.close()

    assert (tmp_path / "spool.db").stat().st_size < 2 * quota
