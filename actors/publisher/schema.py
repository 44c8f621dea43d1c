"""The tables of the spool, and how those of an older gateway become today's.

Version 1 had one row for each message. Version 2 has blocks of them, dead letters, and the ledger of what was lost.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from actors.publisher.block import checksum, cut, pack
from actors.publisher.record import Record, RecordLane

SCHEMA_VERSION: Final = 2
"""Kept in the file's user_version; a file of a later one is set aside."""

TABLES: Final = {
    "spool": [
        "id",
        "lane",
        "packing",
        "records",
        "wall_ns",
        "crc32",
        "settled",
        "damaged",
        "body",
    ],
    "dead": ["id", "reason", "crc32", "body"],
    "lost": [
        "cause",
        "kind",
        "device",
        "epoch",
        "first_seq",
        "last_seq",
        "first_wall_ns",
        "last_wall_ns",
        "records",
    ],
}
"""Every table and its columns, in order."""

_CREATE: Final = (
    """CREATE TABLE spool (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        lane INTEGER NOT NULL,
        packing INTEGER NOT NULL,
        records INTEGER NOT NULL,
        wall_ns INTEGER NOT NULL,
        crc32 INTEGER NOT NULL,
        settled BLOB,
        damaged INTEGER NOT NULL DEFAULT 0,
        body BLOB NOT NULL
    )""",
    "CREATE INDEX spool_lane ON spool (lane, id)",
    """CREATE TABLE dead (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        reason TEXT NOT NULL,
        crc32 INTEGER NOT NULL,
        body BLOB NOT NULL
    )""",
    """CREATE TABLE lost (
        cause TEXT NOT NULL,
        kind TEXT NOT NULL,
        device TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        first_wall_ns INTEGER NOT NULL,
        last_wall_ns INTEGER NOT NULL,
        records INTEGER NOT NULL,
        PRIMARY KEY (cause, kind, device, epoch)
    )""",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
INSERT: Final = (
    "INSERT INTO spool (lane, packing, records, wall_ns, crc32, body) VALUES (?, ?, ?, ?, ?, ?)"
)
_V1_ROWS: Final = (
    "SELECT kind, device, dedupe, wall_ns, crc32, body FROM spool_1 WHERE damaged = 0 ORDER BY id"
)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables; to be called in a transaction."""
    for statement in _CREATE:
        connection.execute(statement)


def migrate_from_1(connection: sqlite3.Connection) -> None:
    """Turn the messages of version 1 into blocks; to be called in a transaction.

    A row that fails its checksum is not carried over, but counted in the ledger.
    """
    (last_id,) = connection.execute("SELECT coalesce(max(id), 0) FROM spool").fetchone()
    connection.execute("ALTER TABLE spool RENAME TO spool_1")
    create(connection)
    connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('spool', ?)", (last_id,))
    for lane in RecordLane:
        sound = (record for record in _sound_records(connection) if record.lane is lane)
        for records in cut_lazily(sound):
            connection.execute(INSERT, row_of(records))
    (rows,) = connection.execute("SELECT count(*) FROM spool_1").fetchone()
    carried = sum(1 for _ in _sound_records(connection))
    if rows > carried:
        connection.execute(
            "INSERT INTO lost VALUES ('damaged', '', '', 0, 0, 0, 0, 0, ?)", (rows - carried,)
        )
    connection.execute("DROP TABLE spool_1")


def row_of(records: list[Record]) -> tuple[int, int, int, int, int, bytes]:
    """Return the values of `INSERT` for a block of `records`."""
    lane, block = records[0].lane, pack(records)
    return lane, block.packing, block.records, block.wall_ns, checksum(lane, block), block.body


def cut_lazily(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Yield blocks' worth of `records` without holding all of them."""
    held: list[Record] = []
    for record in records:
        held.append(record)
        *whole, last = cut(held)
        for run in whole:
            yield list(run)
        held = list(last)
    if held:
        yield held


def _sound_records(connection: sqlite3.Connection) -> Iterator[Record]:
    for row in connection.execute(_V1_ROWS):
        match row:
            case (bytes(kind), bytes(device), bytes(dedupe), int(wall_ns), int(crc), bytes(body)):
                told = b"\0".join((kind, device, dedupe, str(wall_ns).encode(), body))
                if zlib.crc32(told) == crc:
                    yield _record(kind.decode(), device.decode(), dedupe.decode(), wall_ns, body)
            case _:
                pass


class _Numbers(msgspec.Struct):
    """What version 1 kept inside the body only."""

    epoch: int = 0
    seq: int = 0


def _record(kind: str, device: str, dedupe: str, wall_ns: int, body: bytes) -> Record:
    try:
        numbers = msgspec.json.decode(body, type=_Numbers)
    except msgspec.MsgspecError:
        numbers = _Numbers()
    lane = RecordLane.TELEMETRY if kind == "sample" else RecordLane.EVENT
    return Record(kind, device, dedupe, wall_ns, body, lane, numbers.epoch, numbers.seq)
