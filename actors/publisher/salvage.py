"""Reads what can still be read of a spool that was set aside, without changing it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actors.publisher.block import DamagedBlockError, decode_settled
from actors.publisher.record import Record
from actors.publisher.spool import read_block

_ROW: Final = (
    "SELECT lane, packing, records, wall_ns, crc32, settled, body FROM spool "
    "WHERE id = ? AND typeof(body) = 'blob'"
)


def salvage(path: Path) -> Iterator[Record]:
    """Yield every record that is still to be sent and whose block is sound.

    It works on a copy, so that the file stays as it was found.

    Raises:
        OSError: the file cannot be read.
        sqlite3.DatabaseError: nothing can be read of it: it is no SQLite file, or its table cannot be found.
    """
    with tempfile.TemporaryDirectory(prefix="bessai-salvage-") as directory:
        copy = Path(directory) / "spool.db"
        for suffix in ("", "-wal"):
            part = path.with_name(path.name + suffix)
            if not suffix or part.exists():
                shutil.copyfile(part, copy.with_name(copy.name + suffix))
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.text_factory = bytes
            for row_id in _ids(connection):
                yield from _records(connection, row_id)


def _ids(connection: sqlite3.Connection) -> Iterator[int]:
    """Yield the ids there may be: a damaged page hides its rows, not those of the pages after it."""
    first, last = None, None
    with contextlib.suppress(sqlite3.DatabaseError):
        (last,) = connection.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'spool'"
        ).fetchone() or (None,)
    if last is None:
        (last,) = connection.execute("SELECT max(id) FROM spool").fetchone()
    with contextlib.suppress(sqlite3.DatabaseError):
        (first,) = connection.execute("SELECT min(id) FROM spool").fetchone()
    return iter(range(first or 1, (last or 0) + 1))


def _records(connection: sqlite3.Connection, row_id: int) -> list[Record]:
    try:
        row = connection.execute(_ROW, (row_id,)).fetchone()
        if row is None:
            return []
        *head, settled, body = row
        records = read_block((*head, body))
    except (sqlite3.DatabaseError, DamagedBlockError):
        return []
    done = decode_settled(row_id, settled if isinstance(settled, bytes) else None)
    return [record for place, record in enumerate(records) if place not in done]
