"""The history's SQLite file: raw samples for a week, quarter-hours for six, events for most of a year.

It has a rollback journal, not a WAL: a reader in another process is safe beside its one writer, with any SQLite.
Readers fetch one row at a time, so the writer never waits long; what it cannot write it writes later.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from actors.publisher import series
from actors.publisher.series import DamagedSeriesError, Reading
from supervision.clock import NS_PER_S

HISTORY_VERSION: Final = 1
WINDOW_S: Final = 900
RAW_S: Final = 7 * 86_400
AGGREGATE_S: Final = 42 * 86_400
EVENT_S: Final = 280 * 86_400
_PAGE_BYTES: Final = 4096
_CHUNK: Final = 20
"""Rows that are removed at once for room."""
_CREATE: Final = (
    """CREATE TABLE raw (
        id INTEGER PRIMARY KEY, device TEXT NOT NULL, start_s INTEGER NOT NULL, merged INTEGER NOT NULL,
        body BLOB NOT NULL)""",
    "CREATE INDEX raw_window ON raw (device, start_s)",
    "CREATE INDEX raw_age ON raw (start_s)",
    "CREATE INDEX raw_unmerged ON raw (start_s) WHERE merged = 0",
    """CREATE TABLE aggregate (
        device TEXT NOT NULL, start_s INTEGER NOT NULL, samples INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (device, start_s)) WITHOUT ROWID""",
    "CREATE INDEX aggregate_age ON aggregate (start_s)",
    """CREATE TABLE event (
        dedupe TEXT PRIMARY KEY, device TEXT NOT NULL, wall_ns INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX event_age ON event (wall_ns)",
    f"PRAGMA user_version = {HISTORY_VERSION}",
)
_AGES: Final = (("raw", "start_s", 1), ("aggregate", "start_s", 1), ("event", "wall_ns", NS_PER_S))


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """A point over one quarter of an hour."""

    count: int
    low: float
    mean: float
    high: float
    last: float


class Window(NamedTuple):
    """A device's quarter of an hour."""

    device_id: str
    start_s: int


_encoder = msgspec.msgpack.Encoder()
summaries_decoder = msgspec.msgpack.Decoder(dict[str, Summary])


class HistoryStore:
    """The writer's side of the file `path`, kept within `quota_bytes`. Used by one thread.

    Raises:
        sqlite3.Error: the file cannot be used now (from every method).
    """

    def __init__(self, path: Path, *, quota_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._quota_bytes = quota_bytes
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=2.0)
        try:
            self._prepare()
        except sqlite3.Error:
            self._connection.close()
            raise

    def add(self, readings: dict[str, list[Reading]], events: Iterable[Sequence[object]]) -> None:
        """Store new readings by device, and events as (dedupe id, device, stamp, body)."""
        rows = [
            (device, start_s, series.pack(run))
            for device, found in readings.items()
            for start_s, run in _by_window(found).items()
        ]
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO raw (device, start_s, merged, body) VALUES (?, ?, 0, ?)", rows
            )
            connection.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?)", events)

    def unmerged(self, before_s: int, limit: int) -> list[Window]:
        """Return windows that have ended by `before_s` and are still in pieces, the oldest first."""
        query = (
            "SELECT DISTINCT device, start_s FROM raw WHERE merged = 0 AND start_s <= ? "
            "ORDER BY start_s LIMIT ?"
        )
        rows = self._connection.execute(query, (before_s - WINDOW_S, limit)).fetchall()
        return [Window(*row) for row in rows]

    def merge(self, window: Window) -> None:
        """Make one row of a window's pieces, each sample once, and its summary."""
        query = "SELECT id, body FROM raw WHERE device = ? AND start_s = ?"
        found: dict[tuple[int, int], Reading] = {}
        ids = []
        for row_id, body in self._connection.execute(query, window).fetchall():
            ids.append((row_id,))
            try:
                found.update({(r.epoch, r.seq): r for r in series.unpack(body)})
            except DamagedSeriesError:
                continue
        readings = sorted(found.values(), key=lambda reading: reading.wall_ns)
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM raw WHERE id = ?", ids)
            if readings:
                connection.execute(
                    "INSERT INTO raw (device, start_s, merged, body) VALUES (?, ?, 1, ?)",
                    (*window, series.pack(readings)),
                )
                connection.execute(
                    "INSERT INTO aggregate VALUES (?, ?, ?, ?) ON CONFLICT (device, start_s) DO UPDATE "
                    "SET samples = excluded.samples, body = excluded.body "
                    "WHERE excluded.samples >= samples",
                    (*window, len(readings), _encoder.encode(summarise(readings))),
                )

    def forget(self, now_s: int) -> None:
        """Remove what is older than it need be, then over the quota the oldest raw samples, summaries, events."""
        with self._connection as connection:
            connection.execute("BEGIN IMMEDIATE")
            for (table, column, unit), keep_s in zip(
                _AGES, (RAW_S, AGGREGATE_S, EVENT_S), strict=True
            ):
                connection.execute(
                    f"DELETE FROM {table} WHERE {column} < ?",  # noqa: S608 - constants
                    ((now_s - keep_s - WINDOW_S) * unit,),
                )
            while self._used_bytes() > self._quota_bytes and self._remove_oldest():
                pass

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -1000")
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                for statement in _CREATE:
                    connection.execute(statement)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != HISTORY_VERSION:
            raise sqlite3.DatabaseError(f"the history has version {version}, not {HISTORY_VERSION}")

    def _used_bytes(self) -> int:
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return int(pages - free) * _PAGE_BYTES

    def _remove_oldest(self) -> bool:
        for table, column, _ in _AGES:
            key = "dedupe" if table == "event" else "device || start_s"
            key = "id" if table == "raw" else key
            gone = self._connection.execute(
                f"DELETE FROM {table} WHERE {key} IN "  # noqa: S608 - constants
                f"(SELECT {key} FROM {table} ORDER BY {column} LIMIT {_CHUNK})"
            )
            if gone.rowcount:
                return True
        return False


def summarise(readings: Iterable[Reading]) -> dict[str, Summary]:
    """Return each point's summary over `readings`, which are in order of time."""
    values: dict[str, list[float]] = {}
    for reading in readings:
        for name, value in reading.values.items():
            values.setdefault(name, []).append(value)
    return {
        name: Summary(len(v), min(v), sum(v) / len(v), max(v), v[-1]) for name, v in values.items()
    }


def _by_window(readings: Iterable[Reading]) -> dict[int, list[Reading]]:
    windows: dict[int, list[Reading]] = {}
    for reading in readings:
        start_s = reading.wall_ns // NS_PER_S // WINDOW_S * WINDOW_S
        windows.setdefault(start_s, []).append(reading)
    return windows
