"""Dead letters: records that the sink refused again and again for what they are. They are kept, not sent."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from actors.publisher.block import DamagedBlockError, unpack
from actors.publisher.database import explained
from actors.publisher.eviction import ROW_OVERHEAD_BYTES, Tally
from actors.publisher.record import Record

_encoder = msgspec.msgpack.Encoder()


class DeadLetter(NamedTuple):
    """A record that the sink will not take."""

    reason: str
    record: Record


class DeadLetters:
    """The table `dead`, written within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def add(self, letters: Sequence[DeadLetter]) -> Tally:
        """Keep `letters`; return what they occupy."""
        size = 0
        for reason, record in letters:
            body = _encoder.encode([record])
            self._connection.execute(
                "INSERT INTO dead (reason, crc32, body) VALUES (?, ?, ?)",
                (reason, zlib.crc32(body), body),
            )
            size += len(body) + ROW_OVERHEAD_BYTES
        return Tally(0, 0, size)

    def count(self) -> int:
        """Return how many there are."""
        with explained(self._path):
            return int(self._connection.execute("SELECT count(*) FROM dead").fetchone()[0])

    def letters(self) -> Iterator[tuple[int, DeadLetter]]:
        """Yield id and letter of every one that is sound, oldest first."""
        with explained(self._path):
            rows = self._connection.execute("SELECT id, reason, crc32, body FROM dead ORDER BY id")
            for row_id, reason, crc, body in rows:
                if zlib.crc32(body) == crc:
                    try:
                        (record,) = unpack(0, body)
                    except (DamagedBlockError, ValueError):
                        continue
                    yield row_id, DeadLetter(reason.decode(errors="replace"), record)

    def remove(self, ids: Sequence[int]) -> Tally:
        """Forget letters; return what they occupied."""
        size = 0
        for row_id in ids:
            query = "DELETE FROM dead WHERE id = ? RETURNING length(body)"
            gone = self._connection.execute(query, (row_id,)).fetchall()
            size += sum(length + ROW_OVERHEAD_BYTES for (length,) in gone)
        return Tally(0, 0, size)
