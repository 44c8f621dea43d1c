"""The ledger of what was lost: how many records, of which device, from when to when, and why.

One line for each cause, kind, device and incarnation, so that it stays small; it survives restarts.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from actors.publisher.record import Record

MAX_LINES: Final = 5_000
"""Beyond it the oldest lines leave the ledger; they were logged when they came."""

_UPSERT: Final = """INSERT INTO lost VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (cause, kind, device, epoch) DO UPDATE SET
    first_seq = min(first_seq, excluded.first_seq), last_seq = max(last_seq, excluded.last_seq),
    first_wall_ns = min(first_wall_ns, excluded.first_wall_ns),
    last_wall_ns = max(last_wall_ns, excluded.last_wall_ns), records = records + excluded.records"""
_PRUNE: Final = (
    "DELETE FROM lost WHERE rowid IN (SELECT rowid FROM lost ORDER BY last_wall_ns LIMIT ?)"
)


class Cause(enum.Enum):
    """Why a record was lost."""

    EVICTED = "evicted"
    """The quota was reached, or the disk full, before it could be delivered."""
    DEAD_EVICTED = "dead_evicted"
    """A dead letter made room."""
    DAMAGED = "damaged"
    """The stored bytes were not what had been stored."""
    DROPPED = "dropped"
    """The buffer in memory was full while the spool could not be written."""
    UPSTREAM = "upstream"
    """The sender's own memory was full before the spool could take it."""


class Loss(NamedTuple):
    """One line of the ledger."""

    cause: str
    kind: str
    device_id: str
    epoch: int
    first_seq: int
    last_seq: int
    first_wall_ns: int
    last_wall_ns: int
    records: int


def losses_of(cause: Cause, records: Sequence[Record]) -> list[Loss]:
    """Return the lines that say that `records` are lost."""
    return merged(
        Loss(cause.value, r.kind, r.device_id, r.epoch, r.seq, r.seq, r.wall_ns, r.wall_ns, 1)
        for r in records
    )


def merged(losses: Iterable[Loss]) -> list[Loss]:
    """Return `losses` with one line for each cause, kind, device and incarnation."""
    lines: dict[tuple[str, str, str, int], Loss] = {}
    for loss in losses:
        known = lines.get(loss[:4])
        lines[loss[:4]] = loss if known is None else _joined(known, loss)
    return list(lines.values())


def _joined(one: Loss, other: Loss) -> Loss:
    return one._replace(
        first_seq=min(one.first_seq, other.first_seq),
        last_seq=max(one.last_seq, other.last_seq),
        first_wall_ns=min(one.first_wall_ns, other.first_wall_ns),
        last_wall_ns=max(one.last_wall_ns, other.last_wall_ns),
        records=one.records + other.records,
    )


class Losses:
    """The table `lost`, written within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self.noted: list[Loss] = []
        """What was noted since the last `take`, for the log."""

    def note(self, cause: Cause, records: Sequence[Record]) -> None:
        """Note that `records` are lost."""
        for loss in losses_of(cause, records):
            self.note_loss(loss)

    def note_unnamed(self, cause: Cause, count: int) -> None:
        """Note that `count` records are lost of which nothing more can be read."""
        if count > 0:
            self.note_loss(Loss(cause.value, "", "", 0, 0, 0, 0, 0, count))

    def note_loss(self, loss: Loss) -> None:
        """Note one line."""
        self._connection.execute(_UPSERT, loss)
        self.noted.append(loss)

    @contextmanager
    def noting(self) -> Generator[None, None, None]:
        """Forget what was noted within the block if the block fails: it did not happen."""
        before = len(self.noted)
        try:
            yield
        except BaseException:
            del self.noted[before:]
            raise

    def take(self) -> list[Loss]:
        """Return what was noted since the last call."""
        noted, self.noted = self.noted, []
        return noted

    def prune(self) -> None:
        """Forget the oldest lines beyond `MAX_LINES`."""
        (lines,) = self._connection.execute("SELECT count(*) FROM lost").fetchone()
        if lines > MAX_LINES:
            self._connection.execute(_PRUNE, (lines - MAX_LINES,))

    def lines(self) -> list[Loss]:
        """Return the ledger, the newest last."""
        rows = self._connection.execute("SELECT * FROM lost ORDER BY last_wall_ns").fetchall()
        return [Loss(*map(_text, row[:3]), *map(int, row[3:])) for row in rows]


def _text(stored: object) -> Any:  # noqa: ANN401 - a text, where the types cannot tell a tuple's parts apart
    return stored.decode(errors="replace") if isinstance(stored, bytes) else str(stored)
