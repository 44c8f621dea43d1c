"""Store and forward: records wait in memory for a group commit, in the spool for the sink.

While the spool cannot be written, records stay in memory up to a bound, then the oldest are dropped and counted;
while the sink cannot be reached, they stay in the spool up to its quota. Either is a fault that is told and retried.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Final

import structlog

from actors.messages import PublisherStatus
from actors.publisher.config import PublisherConfig
from actors.publisher.database import SpoolCorruptError, SpoolError, SpoolFullError, set_aside
from actors.publisher.encode import Record
from actors.publisher.sinks import Sink, SinkError
from actors.publisher.spool import Spool
from supervision.clock import Clock

RETRY_S: Final = 1.0
"""How long a failed spool or sink is left alone."""
BATCH_ROWS: Final = 200
WORK_S: Final = 1.0
"""How long one turn may go on delivering; well below the actor's liveness."""
_MB: Final = 1 << 20
_log = structlog.get_logger()


class Outbox:
    """Makes records durable and hands them to `sink`; used by one thread."""

    def __init__(self, config: PublisherConfig, sink: Sink, clock: Clock) -> None:
        self.dropped = 0
        """Records and samples lost before they were durable."""
        self._config = config
        self._sink = sink
        self._clock = clock
        self._path = Path(config.state_dir) / "spool.db"
        self._spool: Spool | None = None
        self._buffer: deque[Record] = deque()
        self._buffered_s = 0.0
        self._sent: list[int] = []  # acknowledged by the sink, leave the spool with the next commit
        self._sent_to_id = 0
        self._accepted = self._delivered = self._evicted = 0
        self._spool_fault = self._sink_fault = self._notice = ""
        self._spool_retry_s = self._sink_retry_s = float("-inf")

    def accept(self, record: Record) -> None:
        """Take `record`; it is durable once a later `PublisherStatus.accepted` counts it."""
        if not self._buffer:
            self._buffered_s = self._clock.monotonic_s()
        self._buffer.append(record)
        if len(self._buffer) > self._config.buffer_messages:
            self._buffer.popleft()
            self.dropped += 1
        if len(self._buffer) % self._config.commit_messages == 0:
            self.commit()

    def turn(self) -> None:
        """Commit what is due and deliver what waits."""
        due_s = self._buffered_s + self._config.commit_s
        if (
            self._sent
            or self._spool is None
            or (self._buffer and self._clock.monotonic_s() >= due_s)
        ):
            self.commit()
        self.deliver()

    def commit(self) -> None:
        """Make everything in memory durable now, unless the spool failed just before."""
        if self._clock.monotonic_s() < self._spool_retry_s:
            return
        try:
            spool = self._open()
            evicted_before = spool.evicted
            spool.commit(self._buffer, self._sent)
        except SpoolError as error:
            self._on_spool_error(error)
            return
        self._accepted += len(self._buffer)
        self._evicted += spool.evicted - evicted_before
        self._buffer.clear()
        self._sent.clear()
        self._spool_fault = ""

    def deliver(self) -> None:
        """Give the sink what waits, as long as it takes everything and there is time."""
        now_s = self._clock.monotonic_s()
        if self._spool is None or now_s < self._sink_retry_s:
            return
        try:
            while self._deliver_batch(self._spool) and self._clock.monotonic_s() < now_s + WORK_S:
                pass
        except SinkError as error:
            self._on_sink_error(error)
        except SpoolError as error:
            self._on_spool_error(error)

    def status(self) -> PublisherStatus:
        """Return how things stand."""
        spool = self._spool
        return PublisherStatus(
            sink=self._sink.name,
            accepted=self._accepted,
            delivered=self._delivered,
            waiting=spool.waiting - len(self._sent) if spool else 0,
            evicted=self._evicted,
            spool_bytes=spool.stored_bytes if spool else 0,
            oldest_wall_ns=self._oldest_wall_ns(),
            mono_ns=self._clock.monotonic_ns(),
            fault="; ".join(fault for fault in (self._spool_fault, self._sink_fault) if fault),
            dropped=self.dropped,
            damaged=spool.damaged if spool else 0,
            spooling=spool is not None,
            notice=self._notice,
        )

    def close(self) -> None:
        """Make durable and deliver what can be, and close everything."""
        self._spool_retry_s = self._sink_retry_s = float("-inf")
        self.commit()
        self.deliver()
        self.commit()
        if self._buffer:
            _log.error("messages lost at stop", count=len(self._buffer), fault=self._spool_fault)
        self._close_spool()
        self._sink.close()

    def _deliver_batch(self, spool: Spool) -> bool:
        """Deliver one batch; return whether there may be more to do."""
        batch = spool.next_batch(self._sent_to_id, limit=BATCH_ROWS)
        if batch.damaged:
            _log.error("damaged rows set aside", spool=str(spool.path), count=batch.damaged)
        if not batch.rows:
            return batch.damaged > 0
        taken = self._sink.send([row.record for row in batch.rows])
        self._sink_fault = ""
        self._sent += [row.id for row in batch.rows[:taken]]
        self._sent_to_id = self._sent[-1] if taken else self._sent_to_id
        self._delivered += taken
        return taken == len(batch.rows)

    def _open(self) -> Spool:
        if self._spool is None:
            quota_bytes = self._config.quota_mb * _MB
            try:
                self._spool = Spool(self._path, quota_bytes=quota_bytes)
            except SpoolCorruptError as error:
                self._set_aside(error)
                self._spool = Spool(self._path, quota_bytes=quota_bytes)
        return self._spool

    def _on_spool_error(self, error: SpoolError) -> None:
        """Tell it, and unless only space is missing, start the next attempt from what is then in the file."""
        if self._spool_fault != str(error):
            _log.error("spool fault", reason=str(error))
        self._spool_fault = str(error)
        self._spool_retry_s = self._clock.monotonic_s() + RETRY_S
        if isinstance(error, SpoolFullError):
            return  # opening it again would check all of it again, for nothing
        self._close_spool()
        if isinstance(error, SpoolCorruptError):
            try:
                self._set_aside(error)
            except SpoolError as hindrance:
                self._spool_fault = str(hindrance)

    def _on_sink_error(self, error: SinkError) -> None:
        if self._sink_fault != str(error):
            _log.error("sink fault", reason=str(error))
        self._sink_fault = str(error)
        self._sink_retry_s = self._clock.monotonic_s() + RETRY_S

    def _set_aside(self, error: SpoolCorruptError) -> None:
        moved = set_aside(self._path, self._clock.wall_ns())
        self._notice = f"{error}; set aside as {moved}"
        _log.error("spool set aside", reason=str(error), moved_to=str(moved))

    def _close_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
        self._spool = None
        self._sent.clear()  # the ids mean nothing in another file; what was sent is sent again
        self._sent_to_id = 0

    def _oldest_wall_ns(self) -> int:
        if self._spool is None:
            return 0
        try:
            return self._spool.oldest_wall_ns(self._sent_to_id)
        except SpoolError as error:
            self._on_spool_error(error)
            return 0
