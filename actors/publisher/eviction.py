"""Who leaves when the spool is full: the oldest telemetry, then dead letters, then the oldest events."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from actors.publisher.block import DamagedBlockError, decode_settled, unpack
from actors.publisher.losses import Cause, Losses
from actors.publisher.record import Record, RecordLane

ROW_OVERHEAD_BYTES: Final = 256
"""What a row is taken to cost beside its body: checksum, marks, and SQLite's own."""

_RECORDS: Final = "CAST(records AS INTEGER)"
"""A flipped bit may have made something else of a number."""
_COUNT: Final = (
    f"SELECT id, {_RECORDS}, settled, damaged FROM spool "  # noqa: S608 - constants
    "WHERE settled IS NOT NULL OR damaged != 0"
)
_SUM: Final = (
    f"SELECT coalesce(sum({_RECORDS}), 0), count(*), coalesce(sum(length(body)), 0) FROM spool"  # noqa: S608 - constants
)
_OLDEST: Final = (
    f"SELECT id, packing, {_RECORDS}, settled, damaged, CAST(body AS BLOB) FROM spool "  # noqa: S608 - constants
    "WHERE lane = ? ORDER BY id LIMIT 1"
)
_UNSETTLED: Final = f"SELECT {_RECORDS}, settled FROM spool WHERE id = ?"  # noqa: S608 - constants


class Tally(NamedTuple):
    """What a spool holds."""

    waiting: int
    """Records that are to be delivered."""
    damaged: int
    """Records in blocks that failed their checksum."""
    stored_bytes: int

    def __add__(self, other: object) -> Tally:  # sums, not a longer tuple
        """Return the sums."""
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(
            self.waiting + other.waiting,
            self.damaged + other.damaged,
            self.stored_bytes + other.stored_bytes,
        )

    def __sub__(self, other: Tally) -> Tally:
        """Return the differences."""
        return self + Tally(-other.waiting, -other.damaged, -other.stored_bytes)


class Evictor:
    """Makes room in a spool, within the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, losses: Losses) -> None:
        self._connection = connection
        self._losses = losses

    def count(self) -> Tally:
        """Return what the file holds."""
        records, rows, size = self._connection.execute(_SUM).fetchone()
        waiting, damaged = records, 0
        for row_id, count, settled, is_damaged in self._connection.execute(_COUNT).fetchall():
            left = count - len(decode_settled(row_id, settled))
            waiting -= count if is_damaged else count - left
            damaged += left if is_damaged else 0
        (dead_rows, dead_bytes) = self._connection.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0) FROM dead"
        ).fetchone()
        return Tally(waiting, damaged, size + dead_bytes + (rows + dead_rows) * ROW_OVERHEAD_BYTES)

    def unsettled(self, row_id: int) -> int:
        """Return how many records of a block are not settled."""
        records, settled = self._connection.execute(_UNSETTLED, (row_id,)).fetchone()
        return int(records) - len(decode_settled(row_id, settled))

    def make_room(self, tally: Tally, quota_bytes: int) -> tuple[Tally, int]:
        """Evict until `tally` is within the quota; return what is left and how many records went."""
        evicted = 0
        while tally.stored_bytes > quota_bytes:
            gone = (
                self._evict_block(RecordLane.TELEMETRY)
                or self._evict_dead()
                or self._evict_block(RecordLane.EVENT)
            )
            if gone is None:
                break
            evicted += gone.waiting + gone.damaged
            tally -= gone
        return tally, evicted

    def _evict_block(self, lane: RecordLane) -> Tally | None:
        row = self._connection.execute(_OLDEST, (lane,)).fetchone()
        if row is None:
            return None
        row_id, packing, count, settled, damaged, body = row
        done = decode_settled(row_id, settled)
        left = count - len(done)
        cause = Cause.DAMAGED if damaged else Cause.EVICTED
        try:
            records = [
                r for index, r in enumerate(unpack(packing, body or b"")) if index not in done
            ]
        except DamagedBlockError:
            self._losses.note_unnamed(cause, left)
        else:
            self._losses.note(cause, records)
        self._connection.execute("DELETE FROM spool WHERE id = ?", (row_id,))
        size = len(body or b"") + ROW_OVERHEAD_BYTES
        return Tally(0, left, size) if damaged else Tally(left, 0, size)

    def _evict_dead(self) -> Tally | None:
        row = self._connection.execute("SELECT id, body FROM dead ORDER BY id LIMIT 1").fetchone()
        if row is None:
            return None
        row_id, body = row
        try:
            records: list[Record] = unpack(0, body)
        except DamagedBlockError:
            self._losses.note_unnamed(Cause.DEAD_EVICTED, 1)
        else:
            self._losses.note(Cause.DEAD_EVICTED, records)
        self._connection.execute("DELETE FROM dead WHERE id = ?", (row_id,))
        return Tally(0, 0, len(body) + ROW_OVERHEAD_BYTES)
