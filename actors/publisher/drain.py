"""What goes to the sink next: events, then live telemetry, then what was left behind, each oldest first.

Telemetry is live for `LIVE_S` after it was stored; what the sink could not take by then is back-fill, and no longer
stands before newer data, unless it is so little that keeping the order costs nothing. A record that the sink refuses
for what it is is tried a few times while its lane goes on, and becomes a dead letter.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import Final, NamedTuple

from actors.publisher.dead import DeadLetter
from actors.publisher.record import RecordLane
from actors.publisher.sinks import Delivery, Sink
from actors.publisher.spool import END, Batch, Spool, Stored

LIVE_S: Final = 10.0
BATCH_RECORDS: Final = 1_000
IN_ORDER_RECORDS: Final = 1_000
"""So many waiting records are sent in order, however old they are."""
_MAX_STORED: Final = 10_000
"""Commits whose time is remembered; far more than there are in `LIVE_S`."""


class _Stretch(NamedTuple):
    """A part of the queue with a place in the order of service."""

    name: str
    lane: RecordLane
    after_id: int
    before_id: int


class Drain:
    """Hands batches of a spool to `sink`, and keeps what the next commit has to write down."""

    def __init__(self, sink: Sink, *, reject_limit: int, in_order: int = IN_ORDER_RECORDS) -> None:
        self.sink = sink
        self.settled: dict[int, set[int]] = {}
        """Delivered or dead, and not yet written down."""
        self.dead: list[DeadLetter] = []
        """Refused for good, and not yet written down."""
        self.delivered = 0
        self.fault = ""
        """Why the sink takes no more now, or empty."""
        self._reject_limit = reject_limit
        self._in_order = in_order
        self._rejections: Counter[tuple[int, int]] = Counter()
        self._done: dict[str, int] = {}
        self._stored: deque[tuple[int, float]] = deque(maxlen=_MAX_STORED)
        self._live_from = 0
        self._probing = False
        """Whether the sink failed last: then it is tried with one block before more is read for it."""

    @property
    def unwritten(self) -> int:
        """How many records are settled and not yet written down."""
        return sum(map(len, self.settled.values()))

    def begin(self, spool: Spool, now_s: float) -> None:
        """Serve `spool`; what is in it already is back-fill if it is much."""
        self.forget()
        self._live_from = 0
        self._stored.append((spool.last_id(), now_s - LIVE_S))

    def forget(self) -> None:
        """Forget what refers to rows: they are another file's. What was sent is sent again."""
        self.settled.clear()
        self.dead.clear()
        self._rejections.clear()
        self._done.clear()
        self._stored.clear()

    def stored(self, last_id: int, now_s: float) -> None:
        """Take note that rows up to `last_id` were stored now."""
        if last_id:
            self._stored.append((last_id, now_s))

    def written(self) -> None:
        """Take note that `settled` and `dead` are written down."""
        self.settled.clear()
        self.dead.clear()

    def step(self, spool: Spool, now_s: float) -> bool:
        """Hand over one batch; return whether there may be more to do now.

        Raises:
            SinkError: the sink takes nothing now.
            SpoolError: the spool cannot be read.
        """
        if spool.waiting - self.unwritten > self._in_order:
            self._leave_behind(now_s)
        for stretch in self._stretches():
            batch = self._next(spool, stretch, limit=1 if self._probing else BATCH_RECORDS)
            if batch.items:
                return self._hand_over(stretch, batch)
            if batch.damaged:
                return True
        return False

    def _leave_behind(self, now_s: float) -> None:
        while self._stored and self._stored[0][1] <= now_s - LIVE_S:
            self._live_from = self._stored.popleft()[0] + 1

    def oldest_wall_ns(self, spool: Spool) -> int:
        """Return the stamp of the oldest record that is still to be sent, or 0."""
        waiting = (self._next(spool, stretch, limit=1) for stretch in self._stretches())
        stamps = [batch.items[0].record.wall_ns for batch in waiting if batch.items]
        return min(stamps, default=0)

    def _stretches(self) -> tuple[_Stretch, ...]:
        def after(name: str) -> int:
            return self._done.get(name, 0)

        live_after = max(after("live"), self._live_from - 1)
        return (
            _Stretch("event", RecordLane.EVENT, after("event"), END),
            _Stretch("live", RecordLane.TELEMETRY, live_after, END),
            _Stretch("back-fill", RecordLane.TELEMETRY, after("back-fill"), self._live_from),
        )

    def _next(self, spool: Spool, stretch: _Stretch, *, limit: int = BATCH_RECORDS) -> Batch:
        return spool.next_batch(
            stretch.lane,
            limit=limit,
            after_id=stretch.after_id,
            before_id=stretch.before_id,
            settled=self.settled,
        )

    def _hand_over(self, stretch: _Stretch, batch: Batch) -> bool:
        self._probing = True  # if the sink raises, too
        delivery = self.sink.send([item.record for item in batch.items])
        self._probing = bool(delivery.fault)
        for index in delivery.acknowledged:
            self._settle(batch.items[index])
        self.delivered += len(delivery.acknowledged)
        for index, reason in delivery.rejected.items():
            self._reject(batch.items[index], reason)
        self._advance(stretch, batch)
        self.fault = delivery.fault
        return not delivery.fault and _progressed(delivery)

    def _settle(self, item: Stored) -> None:
        self.settled.setdefault(item.row_id, set()).add(item.place)
        self._rejections.pop((item.row_id, item.place), None)

    def _reject(self, item: Stored, reason: str) -> None:
        place = (item.row_id, item.place)
        self._rejections[place] += 1
        if self._rejections[place] >= self._reject_limit:
            self.dead.append(DeadLetter(reason, item.record))
            self._settle(item)

    def _advance(self, stretch: _Stretch, batch: Batch) -> None:
        """Pass over the rows that have nothing left to send."""
        for row_id, index, _ in batch.items:
            if index not in self.settled.get(row_id, ()):
                self._done[stretch.name] = row_id - 1
                return
        self._done[stretch.name] = batch.items[-1].row_id


def _progressed(delivery: Delivery) -> bool:
    return bool(delivery.acknowledged or delivery.rejected)
