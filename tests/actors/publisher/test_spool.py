from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.publisher.database import SpoolFullError
from actors.publisher.spool import ROW_OVERHEAD_BYTES, Spool
from tests.actors.publisher.records import number_of, record

MB = 1 << 20


def _numbers(spool: Spool, after_id: int = 0) -> list[int]:
    rows = spool.next_batch(after_id, limit=1_000).rows
    return [number_of(row.record.body) for row in rows]


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    spool.commit([record(1), record(2)])
    spool.close()

    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)

    assert [row.record for row in spool.next_batch(0, limit=9).rows] == [record(1), record(2)]
    assert spool.waiting == 2
    spool.close()


def test_the_file_is_opened_so_that_a_commit_survives_a_power_cut(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)

    connection = spool._connection

    assert connection.execute("PRAGMA journal_mode").fetchone() == (b"wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    spool.close()


def test_delivered_rows_leave_and_their_ids_are_never_used_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    spool.commit([record(1), record(2)])
    ids = [row.id for row in spool.next_batch(0, limit=9).rows]
    spool.commit([], delivered=ids)
    spool.commit([record(3)])

    (row,) = spool.next_batch(0, limit=9).rows

    assert row.id > max(ids)
    assert (spool.waiting, spool.stored_bytes) == (1, len(record(3).body) + ROW_OVERHEAD_BYTES)
    spool.close()


def test_the_oldest_rows_make_room_and_are_counted(tmp_path: Path) -> None:
    quota = 3 * (len(record(1).body) + ROW_OVERHEAD_BYTES)
    spool = Spool(tmp_path / "spool.db", quota_bytes=quota)
    spool.commit([record(n) for n in range(1, 6)])

    assert _numbers(spool) == [3, 4, 5]
    assert spool.evicted == 2
    assert spool.stored_bytes <= quota
    spool.close()


def test_the_oldest_time_is_that_of_the_first_row_still_to_send(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    assert spool.oldest_wall_ns() == 0
    spool.commit([record(41), record(42)])
    first = spool.next_batch(0, limit=1).rows[0].id

    assert spool.oldest_wall_ns() == 41
    assert spool.oldest_wall_ns(after_id=first) == 42
    spool.close()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 300)),
        max_size=25,
    )
)
def test_every_row_is_delivered_evicted_or_waiting_and_in_order(
    steps: list[tuple[int, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        spool = Spool(Path(directory) / "spool.db", quota_bytes=3_000)
        stored = 0
        delivered: list[int] = []
        for added, taken, size in steps:
            rows = spool.next_batch(0, limit=taken).rows if taken else ()
            delivered += [number_of(row.record.body) for row in rows]
            fresh = [record(stored + n, size=size) for n in range(1, added + 1)]
            stored += added
            spool.commit(fresh, delivered=[row.id for row in rows])
            assert spool.stored_bytes <= 3_000
        left = _numbers(spool)
        assert delivered + left == sorted({*delivered, *left})
        assert len(delivered) + spool.evicted + len(left) == stored
        assert spool.waiting == len(left)
        counted = (spool.rows, spool.stored_bytes)
        spool.close()
        spool = Spool(Path(directory) / "spool.db", quota_bytes=3_000)
        assert (spool.rows, spool.stored_bytes) == counted
        spool.close()


def _flip_body_of(path: Path, number: int) -> None:
    """Change one byte of a stored body in the file, as a failing flash cell does."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    data = bytearray(path.read_bytes())
    data[data.index(b'"n": %d' % number) + 1] ^= 0x04
    path.write_bytes(data)


def test_a_flipped_byte_is_found_and_the_other_rows_are_delivered(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, quota_bytes=MB)
    spool.commit([record(n) for n in (101, 102, 103)])
    spool.close()
    _flip_body_of(path, 102)
    spool = Spool(path, quota_bytes=MB)

    batch = spool.next_batch(0, limit=9)

    assert [number_of(row.record.body) for row in batch.rows] == [101, 103]
    assert (batch.damaged, spool.damaged, spool.waiting) == (1, 1, 2)
    assert spool.next_batch(0, limit=9).damaged == 0
    spool.close()


def test_a_damaged_row_stays_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    spool = Spool(path, quota_bytes=MB)
    spool.commit([record(101)])
    spool.close()
    _flip_body_of(path, 101)
    spool = Spool(path, quota_bytes=MB)
    spool.next_batch(0, limit=9)
    spool.close()

    spool = Spool(path, quota_bytes=MB)

    assert (spool.rows, spool.damaged, spool.waiting) == (1, 1, 0)
    spool.close()


def test_a_full_disk_stores_nothing_of_a_commit_and_loses_nothing_before_it(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path / "spool.db", quota_bytes=MB)
    spool.commit([record(1)])
    spool._connection.execute("PRAGMA max_page_count = 4")

    with pytest.raises(SpoolFullError, match=r"spool\.db cannot be used.*free space"):
        spool.commit([record(n, size=4_000) for n in range(2, 12)])

    assert _numbers(spool) == [1]
    spool._connection.execute("PRAGMA max_page_count = 1000000")
    spool.commit([record(2)])
    assert _numbers(spool) == [1, 2]
    spool.close()


def test_the_file_stays_within_twice_the_quota(tmp_path: Path) -> None:
    quota = 2 * MB
    spool = Spool(tmp_path / "spool.db", quota_bytes=quota)
    for start in range(0, 2_000, 100):
        spool.commit([record(n, size=2_700) for n in range(start, start + 100)])
    spool.close()

    assert (tmp_path / "spool.db").stat().st_size < 2 * quota
