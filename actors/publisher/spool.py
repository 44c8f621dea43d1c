"""The durable queue between the site and its sink: what `commit` returned for survives crashes and power cuts.

First in, first out; bounded by bytes, the oldest row evicted first and counted; every row carries a checksum,
because SQLite returns a flipped byte as it finds it. A row that fails its checksum stays in the file, marked, and is
not delivered. One spool is used by one thread.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from actors.publisher.database import explained, open_database
from actors.publisher.encode import Record

ROW_OVERHEAD_BYTES: Final = 256
"""What a row is taken to cost beside its body: keys, checksum, and SQLite's own."""

_SIZE: Final = f"coalesce(length(body), 0) + {ROW_OVERHEAD_BYTES}"
_INSERT: Final = (
    "INSERT INTO spool (kind, device, dedupe, wall_ns, crc32, body) VALUES (?, ?, ?, ?, ?, ?)"
)
_NEXT: Final = (
    "SELECT id, kind, device, dedupe, wall_ns, crc32, body FROM spool "
    "WHERE id > ? AND damaged = 0 ORDER BY id LIMIT ?"
)


class Stored(NamedTuple):
    """A record and its place in the queue."""

    id: int
    record: Record


class Batch(NamedTuple):
    """What is next in the queue."""

    rows: tuple[Stored, ...]
    damaged: int
    """How many rows were now found damaged and marked."""


class Spool:
    """The queue in the SQLite file `path`, holding at most `quota_bytes` of rows.

    Raises:
        SpoolUnavailableError: the file cannot be used (from every method).
        SpoolCorruptError: the file is damaged or of another version (from every method).
    """

    def __init__(self, path: Path, *, quota_bytes: int) -> None:
        self.path = path
        self._quota_bytes = quota_bytes
        self._connection = open_database(path)
        self.rows: int
        self.stored_bytes: int
        self.damaged: int
        query = f"SELECT count(*), coalesce(sum({_SIZE}), 0), coalesce(sum(damaged), 0) FROM spool"  # noqa: S608 - constants
        with explained(path):
            self.rows, self.stored_bytes, self.damaged = self._connection.execute(query).fetchone()
        self.evicted = 0
        """Rows evicted since it was opened."""

    @property
    def waiting(self) -> int:
        """Rows that are still to be delivered."""
        return self.rows - self.damaged

    def commit(self, records: Sequence[Record], delivered: Sequence[int] = ()) -> None:
        """Store `records` and remove the `delivered` rows, all or nothing; durable on return."""
        rows, size = self.rows, self.stored_bytes
        with self._transaction() as connection:
            connection.executemany(_INSERT, map(_row, records))
            rows += len(records)
            size += sum(len(record.body) + ROW_OVERHEAD_BYTES for record in records)
            for count, freed in map(self._remove, delivered):
                rows, size = rows - count, size - freed
            evicted, freed = self._evict(size - self._quota_bytes)
            damaged = self._count_damaged() if evicted else self.damaged
        self.rows, self.stored_bytes, self.damaged = rows - evicted, size - freed, damaged
        self.evicted += evicted

    def next_batch(self, after_id: int, *, limit: int) -> Batch:
        """Return up to `limit` sound rows with ids above `after_id`, oldest first."""
        with explained(self.path):
            found = self._connection.execute(_NEXT, (after_id, limit)).fetchall()
        checked = [(row[0], _sound(row)) for row in found]
        broken = [(row_id,) for row_id, record in checked if record is None]
        if broken:
            with self._transaction() as connection:
                connection.executemany("UPDATE spool SET damaged = 1 WHERE id = ?", broken)
            self.damaged += len(broken)
        sound = tuple(Stored(row_id, record) for row_id, record in checked if record is not None)
        return Batch(sound, len(broken))

    def oldest_wall_ns(self, after_id: int = 0) -> int:
        """Return the wall time of the oldest row above `after_id` that is to be delivered, or 0."""
        query = "SELECT wall_ns FROM spool WHERE id > ? AND damaged = 0 ORDER BY id LIMIT 1"
        with explained(self.path):
            row = self._connection.execute(query, (after_id,)).fetchone()
        match row:
            case (int(wall_ns),):
                return wall_ns
            case _:
                return 0

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _remove(self, row_id: int) -> tuple[int, int]:
        query = f"DELETE FROM spool WHERE id = ? RETURNING {_SIZE}"  # noqa: S608 - constants
        gone = self._connection.execute(query, (row_id,)).fetchall()
        return len(gone), sum(size for (size,) in gone)

    def _evict(self, excess_bytes: int) -> tuple[int, int]:
        """Remove the oldest rows until at least `excess_bytes` are freed; return how many and how much."""
        if excess_bytes <= 0:
            return 0, 0
        freed = last_id = 0
        for row_id, size in self._connection.execute(f"SELECT id, {_SIZE} FROM spool ORDER BY id"):  # noqa: S608 - constants
            freed, last_id = freed + size, row_id
            if freed >= excess_bytes:
                break
        gone = self._connection.execute("DELETE FROM spool WHERE id <= ?", (last_id,))
        return gone.rowcount, freed

    def _count_damaged(self) -> int:
        (count,) = self._connection.execute(
            "SELECT count(*) FROM spool WHERE damaged != 0"
        ).fetchone()
        return int(count)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection, None, None]:
        connection = self._connection
        with explained(self.path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if (
                    connection.in_transaction
                ):  # SQLite has already rolled back where the disk is full
                    connection.execute("ROLLBACK")
                raise


def _checksum(kind: bytes, device: bytes, dedupe: bytes, wall_ns: int, body: bytes) -> int:
    return zlib.crc32(b"\0".join((kind, device, dedupe, str(wall_ns).encode(), body)))


def _row(record: Record) -> tuple[str, str, str, int, int, bytes]:
    kind, device, dedupe, wall_ns, body = record
    crc32 = _checksum(kind.encode(), device.encode(), dedupe.encode(), wall_ns, body)
    return kind, device, dedupe, wall_ns, crc32, body


def _sound(row: tuple[object, ...]) -> Record | None:
    """Return the record of a row of `_NEXT`, or None if it is not what was stored."""
    match row:
        case (_, bytes(kind), bytes(device), bytes(dedupe), int(wall_ns), int(crc32), bytes(body)):
            if _checksum(kind, device, dedupe, wall_ns, body) == crc32:
                return Record(kind.decode(), device.decode(), dedupe.decode(), wall_ns, body)
        case _:
            pass
    return None
