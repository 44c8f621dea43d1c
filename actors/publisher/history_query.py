"""Questions to the history, from any process: a point over time, down-sampled, and events."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from actors.publisher import series
from actors.publisher.history_store import WINDOW_S, summaries_decoder
from actors.publisher.series import DamagedSeriesError
from supervision.clock import NS_PER_S


class Bucket(NamedTuple):
    """A point over `every_s` seconds from `start_s` on, or over a quarter of an hour where no more is kept."""

    start_s: float
    samples: int
    low: float
    mean: float
    high: float


class Event(NamedTuple):
    """Something that happened."""

    wall_ns: int
    device_id: str
    body: bytes


class HistoryReader:
    """Reads the file `path`; each question is many short ones, between which the writer writes.

    Raises:
        sqlite3.Error: the file cannot be read (from every method).
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0
        )

    def points(self, device_id: str) -> list[str]:
        """Return the points of a device of which something is kept."""
        query = "SELECT body FROM raw WHERE device = ? ORDER BY start_s DESC LIMIT 1"
        row = self._connection.execute(query, (device_id,)).fetchone()
        with contextlib.suppress(DamagedSeriesError):
            return [] if row is None else sorted(series.unpack(row[0])[-1].values)
        return []

    def query(
        self, device_id: str, point: str, from_s: float, to_s: float, every_s: float
    ) -> list[Bucket]:
        """Return the buckets of `every_s` seconds that have a value between two times, in order.

        A quarter of an hour of which only the summary is kept is one bucket.
        """
        buckets: dict[float, Bucket] = {}
        raw = self._windows("raw", device_id, from_s, to_s)
        for start_s in raw:
            for wall_ns, value in self._values(device_id, start_s, point):
                stamp_s = wall_ns / NS_PER_S
                if from_s <= stamp_s < to_s:
                    _put(buckets, Bucket(stamp_s // every_s * every_s, 1, value, value, value))
        for start_s in self._windows("aggregate", device_id, from_s, to_s):
            if start_s not in raw:
                self._add_summary(buckets, device_id, start_s, point, every_s)
        return [buckets[start_s] for start_s in sorted(buckets)]

    def events(self, device_id: str, from_s: float, to_s: float, *, limit: int) -> list[Event]:
        """Return the newest events between two times, of one device or (empty) of all, oldest first."""
        query = (
            "SELECT wall_ns, device, body FROM event WHERE wall_ns >= ? AND wall_ns < ? "
            "AND (device = ? OR ? = '') ORDER BY wall_ns DESC LIMIT ?"
        )
        bounds = (int(from_s * NS_PER_S), int(to_s * NS_PER_S), device_id, device_id, limit)
        return [Event(*row) for row in reversed(self._connection.execute(query, bounds).fetchall())]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _windows(self, table: str, device_id: str, from_s: float, to_s: float) -> dict[int, None]:
        query = (
            f"SELECT DISTINCT start_s FROM {table} WHERE device = ? "  # noqa: S608 - constants
            "AND start_s > ? AND start_s < ? ORDER BY start_s"
        )
        bounds = (device_id, from_s - WINDOW_S, to_s)
        return dict.fromkeys(row[0] for row in self._connection.execute(query, bounds).fetchall())

    def _values(self, device_id: str, start_s: int, point: str) -> Iterator[tuple[int, float]]:
        query = "SELECT id FROM raw WHERE device = ? AND start_s = ?"
        seen: set[int] = set()
        for (row_id,) in self._connection.execute(query, (device_id, start_s)).fetchall():
            row = self._connection.execute(
                "SELECT body FROM raw WHERE id = ?", (row_id,)
            ).fetchone()
            if row is None:
                continue  # merged or forgotten since
            with contextlib.suppress(DamagedSeriesError):
                for wall_ns, value in series.column(row[0], point):
                    if wall_ns not in seen:
                        seen.add(wall_ns)
                        yield wall_ns, value

    def _add_summary(
        self,
        buckets: dict[float, Bucket],
        device_id: str,
        start_s: int,
        point: str,
        every_s: float,
    ) -> None:
        query = "SELECT body FROM aggregate WHERE device = ? AND start_s = ?"
        row = self._connection.execute(query, (device_id, start_s)).fetchone()
        found = None if row is None else summaries_decoder.decode(row[0]).get(point)
        if found is not None:
            begin_s = start_s // every_s * every_s
            _put(buckets, Bucket(begin_s, found.count, found.low, found.mean, found.high))


def _put(buckets: dict[float, Bucket], new: Bucket) -> None:
    """Add `new` to the bucket that begins with it."""
    old = buckets.get(new.start_s)
    if old is None:
        buckets[new.start_s] = new
        return
    samples = old.samples + new.samples
    mean = (old.mean * old.samples + new.mean * new.samples) / samples
    buckets[new.start_s] = Bucket(
        new.start_s, samples, min(old.low, new.low), mean, max(old.high, new.high)
    )
