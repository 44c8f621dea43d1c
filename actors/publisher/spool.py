"""The durable queue between the site and its sink: what `commit` returned for survives crashes and power cuts.

Rows are blocks of records of one lane, each with a checksum, because SQLite returns a flipped byte as it finds it. A
block that fails its checksum stays in the file, marked, and is not delivered. Bounded by bytes: the oldest telemetry
makes room first, then dead letters, then the oldest events; what went is counted and named in the ledger.
One spool is used by one thread.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from actors.publisher.block import (
    Block,
    DamagedBlockError,
    Packing,
    checksum,
    cut,
    decode_settled,
    encode_settled,
    unpack,
)
from actors.publisher.database import explained, open_database, transaction
from actors.publisher.dead import DeadLetter, DeadLetters
from actors.publisher.eviction import ROW_OVERHEAD_BYTES, Evictor, Tally
from actors.publisher.losses import Loss, Losses
from actors.publisher.record import Record, RecordLane
from actors.publisher.schema import INSERT, row_of

_NEXT: Final = (
    "SELECT id, lane, packing, records, wall_ns, crc32, settled, body FROM spool "
    "WHERE lane = ? AND id > ? AND id < ? AND damaged = 0 ORDER BY id LIMIT 1"
)
_PACKINGS: Final = frozenset(Packing)
END: Final = 1 << 62
"""An id beyond all rows."""
MAX_BATCH_BYTES: Final = 4 << 20
"""A batch is not made longer once its bodies reach a quarter of it: a block may hold as much again."""

Settled = Mapping[int, set[int]]
"""By row, the places in its block that need not be sent any more."""


class Stored(NamedTuple):
    """A record and its place in the queue."""

    row_id: int
    place: int
    record: Record


class Batch(NamedTuple):
    """What is next in a lane."""

    items: tuple[Stored, ...]
    damaged: int
    """How many records were now found damaged and marked."""


class Spool:
    """The queue in the SQLite file `path`, holding at most `quota_bytes` of rows.

    Raises:
        SpoolUnavailableError: the file cannot be used (from every method).
        SpoolCorruptError: the file is damaged or of another version (from every method).
    """

    def __init__(self, path: Path, *, quota_bytes: int) -> None:
        self.path = path
        self.quota_bytes = quota_bytes
        self.connection = open_database(path)
        self.losses = Losses(self.connection, path)
        self.dead = DeadLetters(self.connection, path)
        self._evictor = Evictor(self.connection, self.losses)
        self.evicted = 0
        """Records evicted since it was opened."""
        with explained(path):
            self.tally = self._evictor.count()

    @property
    def waiting(self) -> int:
        """Records that are still to be delivered."""
        return self.tally.waiting

    @property
    def damaged(self) -> int:
        """Records in blocks that failed their checksum."""
        return self.tally.damaged

    @property
    def stored_bytes(self) -> int:
        """What the rows are taken to occupy."""
        return self.tally.stored_bytes

    def commit(
        self,
        records: Sequence[Record],
        settled: Settled | None = None,
        dead: Sequence[DeadLetter] = (),
        lost: Sequence[Loss] = (),
        revived: Sequence[int] = (),
    ) -> int:
        """Store `records`, settle what was delivered, keep the `dead` but forget the `revived`, note the `lost`.

        All of it or nothing; durable on return. Returns the id of the last row.
        """
        tally = self.tally
        with self.losses.noting(), transaction(self.connection, self.path):
            for row_id, places in (settled or {}).items():
                tally = self._settle(tally, row_id, places)
            tally += self.dead.add(dead)
            tally -= self.dead.remove(revived)
            for loss in lost:
                self.losses.note_loss(loss)
            added, last_id = self._insert(records)
            tally += added
            tally, evicted = self._evictor.make_room(tally, self.quota_bytes)
            if self.losses.noted:
                self.losses.prune()
        self.tally = tally
        self.evicted += evicted
        return last_id

    def next_batch(
        self,
        lane: RecordLane,
        *,
        limit: int,
        after_id: int = 0,
        before_id: int = END,
        settled: Settled | None = None,
    ) -> Batch:
        """Return the next records of `lane` in rows between the ids, oldest first: whole blocks, until `limit` is met.

        Left out is what is in `settled`.
        """
        items: list[Stored] = []
        damaged = size = 0
        while len(items) < limit and size < MAX_BATCH_BYTES // 4:
            with explained(self.path):
                row = self.connection.execute(_NEXT, (lane, after_id, before_id)).fetchone()
            if row is None:
                break
            after_id = row[0]
            try:
                found = _unsettled(row, (settled or {}).get(after_id, set()))
            except DamagedBlockError:
                damaged += self._mark_damaged(after_id)
                continue
            items += found
            size += sum(len(item.record.body) for item in found)
        return Batch(tuple(items), damaged)

    def last_id(self) -> int:
        """Return the id of the newest row there ever was."""
        query = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'spool'"
        with explained(self.path):
            return int(self.connection.execute(query).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def _insert(self, records: Sequence[Record]) -> tuple[Tally, int]:
        lanes: defaultdict[RecordLane, list[Record]] = defaultdict(list)
        for record in records:
            lanes[record.lane].append(record)
        size = last_id = 0
        for lane in sorted(lanes):
            for run in cut(lanes[lane]):
                row = row_of(list(run))
                last_id = self.connection.execute(INSERT, row).lastrowid or 0
                size += len(row[-1]) + ROW_OVERHEAD_BYTES
        return Tally(len(records), 0, size), last_id

    def _settle(self, tally: Tally, row_id: int, places: set[int]) -> Tally:
        query = "SELECT CAST(records AS INTEGER), settled, coalesce(length(body), 0) FROM spool WHERE id = ?"
        row = self.connection.execute(query, (row_id,)).fetchone()
        if row is None:
            return tally  # evicted meanwhile, and counted as such
        records, stored, body_bytes = row
        before = decode_settled(row_id, stored)
        after = before | places
        gone = Tally(len(after) - len(before), 0, 0)
        if len(after) < records:
            bits = encode_settled(row_id, after, records)
            self.connection.execute("UPDATE spool SET settled = ? WHERE id = ?", (bits, row_id))
        else:
            self.connection.execute("DELETE FROM spool WHERE id = ?", (row_id,))
            gone += Tally(0, 0, body_bytes + ROW_OVERHEAD_BYTES)
        return tally - gone

    def _mark_damaged(self, row_id: int) -> int:
        with transaction(self.connection, self.path):
            self.connection.execute("UPDATE spool SET damaged = 1 WHERE id = ?", (row_id,))
            count = self._evictor.unsettled(row_id)
        self.tally += Tally(-count, count, 0)
        return max(count, 1)


def read_block(row: tuple[object, ...]) -> list[Record]:
    """Return the records of (lane, packing, records, wall_ns, crc32, body).

    Raises:
        DamagedBlockError: they are not what was stored.
    """
    match row:
        case (int(lane), int(packing), int(count), int(wall_ns), int(crc), bytes(body)):
            if packing in _PACKINGS:
                block = Block(Packing(packing), count, wall_ns, body)
                records = unpack(packing, body) if checksum(lane, block) == crc else []
                if records and len(records) == count:
                    return records
        case _:
            pass
    raise DamagedBlockError("the checksum does not fit")


def _unsettled(row: tuple[object, ...], pending: set[int]) -> list[Stored]:
    """Return what of a row of `_NEXT` is still to be sent."""
    row_id, *rest, settled, body = row
    records = read_block((*rest, body))
    match row_id, settled:
        case int(), bytes() | None:
            done = pending | decode_settled(row_id, settled)
            return [
                Stored(row_id, index, record)
                for index, record in enumerate(records)
                if index not in done
            ]
        case _:
            raise DamagedBlockError("the row's id or marks are of another type")
