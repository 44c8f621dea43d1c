"""Writes the history beside the spool, on a thread of its own so that neither waits for the other.

What comes is handed over in memory, bounded; the history is a copy for the page and the command line, so what does not
fit is left out and counted, while the spool still has it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from pathlib import Path
from typing import Final

import structlog

from actors.messages import DeviceSchema, Sample
from actors.publisher.history_store import HistoryStore
from actors.publisher.record import Record
from actors.publisher.series import Reading
from actors.schemas import good_values
from supervision.clock import NS_PER_S, Clock

MAX_WAITING: Final = 8_000
"""A sample of 100 points occupies some 3 kB."""
FULL: Final = 4_000
"""So many are written although it is not time yet."""
FLUSH_S: Final = 10.0
"""How often what has come is written: the newest seconds are not in the history yet."""
GRACE_S: Final = 60
"""How long after its end a window is made into one row: late samples are still to come."""
MERGES: Final = 4
"""Windows that are merged in one turn."""
FORGET_S: Final = 60.0
_TURN_S: Final = 0.5
_log = structlog.get_logger()


class History:
    """Takes samples and events; `turn` writes them when it is time."""

    def __init__(self, path: Path, clock: Clock, *, quota_bytes: int) -> None:
        self.left_out = 0
        """Samples and events that the history could not take."""
        self.fault = ""
        self._path = path
        self._clock = clock
        self._quota_bytes = quota_bytes
        self._store: HistoryStore | None = None
        self._waiting: deque[tuple[Sample, DeviceSchema] | Record] = deque()
        self._flush_due_s = clock.monotonic_s() + FLUSH_S
        self._forget_due_s = 0.0

    def sample(self, sample: Sample, schema: DeviceSchema) -> None:
        """Take a sample; any thread."""
        self._take((sample, schema))

    def event(self, record: Record) -> None:
        """Take an event; any thread."""
        self._take(record)

    def turn(self, *, last: bool = False) -> None:
        """Do what is due; a fault is told and tried again."""
        now_s = self._clock.monotonic_s()
        try:
            if last or now_s >= self._flush_due_s or len(self._waiting) >= FULL:
                self._flush_due_s = now_s + FLUSH_S
                self._write()
            if self._store is not None and not last:
                self._tidy(self._store, now_s)
        except (sqlite3.Error, OSError) as error:
            self._on_error(error)
        else:
            self.fault = ""

    def close(self) -> None:
        """Write what is there and close the file."""
        self.turn(last=True)
        if self._store is not None:
            self._store.close()
            self._store = None

    def _take(self, item: tuple[Sample, DeviceSchema] | Record) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self.left_out += 1
        else:
            self._waiting.append(item)

    def _write(self) -> None:
        if self._store is None:
            self._store = HistoryStore(self._path, quota_bytes=self._quota_bytes)
        items = [self._waiting[n] for n in range(len(self._waiting))]
        if not items:
            return
        readings: dict[str, list[Reading]] = {}
        for item in items:
            if not isinstance(item, Record):
                readings.setdefault(item[0].device_id, []).append(_reading(*item))
        events = [
            (each.dedupe_id, each.device_id, each.wall_ns, each.body)
            for each in items
            if isinstance(each, Record)
        ]
        self._store.add(readings, events)
        for _ in items:
            self._waiting.popleft()

    def _tidy(self, store: HistoryStore, now_s: float) -> None:
        wall_s = self._clock.wall_ns() // NS_PER_S
        windows = store.unmerged(wall_s - GRACE_S, MERGES)
        for window in windows:
            store.merge(window)
        if len(windows) < MERGES and now_s >= self._forget_due_s:  # what goes is summed up first
            self._forget_due_s = now_s + FORGET_S
            store.forget(wall_s)

    def _on_error(self, error: Exception) -> None:
        if self.fault != str(error):
            _log.error("history fault", path=str(self._path), reason=str(error))
        self.fault = str(error)
        if self._store is not None:
            self._store.close()
            self._store = None
        busy = isinstance(error, (sqlite3.OperationalError, OSError))
        if not busy and self._path.exists():
            aside = self._path.with_name(f"{self._path.name}.set-aside-{self._clock.wall_ns()}")
            self._path.rename(aside)
            _log.error("history set aside", moved_to=str(aside))


def _reading(sample: Sample, schema: DeviceSchema) -> Reading:
    return Reading(sample.epoch, sample.seq, sample.wall_ns, good_values(schema, sample))


class HistoryThread:
    """Gives a `History` its turns."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Have everything written, and wait for it a moment."""
        self._stop.set()
        self._thread.join(timeout=1.0)

    def abandon(self) -> None:
        """Have it end by itself."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(_TURN_S):
            try:
                self._history.turn()
            except Exception as error:  # noqa: BLE001 - the history is a copy: its defects end a turn, not telemetry
                _log.exception("history turn failed")
                self._history.fault = repr(error)
        self._history.close()
