from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path

from actors.publisher.record import Record, RecordLane
from actors.publisher.spool import Spool

_VERSION_1 = """
CREATE TABLE spool (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    device TEXT NOT NULL,
    dedupe TEXT NOT NULL,
    wall_ns INTEGER NOT NULL,
    crc32 INTEGER NOT NULL,
    damaged INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL
)
"""


def _version_1(path: Path, count: int) -> None:
    """Write a spool as the first gateway did; its third message is damaged, every fifth an event."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_VERSION_1)
    for n in range(1, count + 1):
        kind = "lifecycle" if n % 5 == 0 else "sample"
        body = b'{"epoch": 7, "seq": %d}' % n
        told = b"\0".join((kind.encode(), b"b1", f"S/{n}".encode(), str(n).encode(), body))
        crc = zlib.crc32(told) ^ (n == 3)
        connection.execute(
            "INSERT INTO spool (kind, device, dedupe, wall_ns, crc32, body) VALUES (?,?,?,?,?,?)",
            (kind, "b1", f"S/{n}", n, crc, body),
        )
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()


def test_a_spool_of_the_first_version_is_carried_over_without_loss(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    _version_1(path, 250)

    spool = Spool(path, quota_bytes=1 << 20)

    samples = spool.next_batch(RecordLane.TELEMETRY, limit=1_000).items
    events = spool.next_batch(RecordLane.EVENT, limit=1_000).items
    expected = [n for n in range(1, 251) if n % 5 and n != 3]
    assert [item.record.seq for item in samples] == expected
    assert [item.record.seq for item in events] == list(range(5, 251, 5))
    assert spool.waiting == 249
    assert [(loss.cause, loss.records) for loss in spool.losses.lines()] == [("damaged", 1)]


def test_records_keep_all_they_had_and_ids_go_on_rising(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    _version_1(path, 2)
    spool = Spool(path, quota_bytes=1 << 20)

    (first, _) = spool.next_batch(RecordLane.TELEMETRY, limit=9).items

    body = b'{"epoch": 7, "seq": 1}'
    assert first.record == Record("sample", "b1", "S/1", 1, body, RecordLane.TELEMETRY, 7, 1)
    assert first.row_id > 2
    assert spool.commit([first.record]) > first.row_id


def test_a_migrated_spool_is_opened_again_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    _version_1(path, 20)
    Spool(path, quota_bytes=1 << 20).close()

    spool = Spool(path, quota_bytes=1 << 20)

    assert spool.waiting == 19
