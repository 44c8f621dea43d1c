"""Store and forward: records wait in memory for a group commit, in the spool for the sink.

While the spool cannot be written, records stay in memory up to a bound, and then no more are taken; while the sink
cannot be reached, they stay in the spool up to its quota. Either is a fault that is told and retried.

A full disk is met in steps: the reserve is given up, and from then on the spool does not grow any more, so that the
oldest telemetry makes room for the newest, until there is space again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from actors.messages import PublisherStatus
from actors.publisher.alarm import LossAlarm
from actors.publisher.config import PublisherConfig
from actors.publisher.database import SpoolCorruptError, SpoolError, SpoolFullError, set_aside
from actors.publisher.drain import Drain
from actors.publisher.losses import Cause, Loss, losses_of, merged
from actors.publisher.record import Record
from actors.publisher.reserve import Reserve
from actors.publisher.sinks import Sink, SinkError
from actors.publisher.spool import Spool
from supervision.clock import Clock

RETRY_S: Final = 1.0
"""How long a failed spool or sink is left alone."""
WORK_S: Final = 0.25
"""How long one turn may go on delivering; new messages wait for so long at most."""
UNWRITTEN: Final = 5_000
"""So many deliveries are written down at once at the latest."""
SHRINK: Final = 0.95
"""Each time the disk turns out to be full, the spool is made so much smaller."""
_MB: Final = 1 << 20
_log = structlog.get_logger()


class Outbox:
    """Makes records durable and hands them to `sink`; used by one thread."""

    def __init__(self, config: PublisherConfig, sink: Sink, clock: Clock) -> None:
        self.commits = 0
        """Successful commits: each made everything durable that had been accepted before."""
        self.dropped = 0
        """Records lost before they were durable."""
        self._config = config
        self._clock = clock
        self._path = Path(config.state_dir) / "spool.db"
        self._reserve = Reserve(self._path.with_name("spool.reserve"), config.reserve_mb * _MB)
        self._spool: Spool | None = None
        self._drain = Drain(sink, reject_limit=config.reject_limit)
        self._alarm = LossAlarm(clock)
        self._buffer: list[Record] = []
        self._lost: list[Loss] = []
        self._buffered_s = 0.0
        self._accepted = self._evicted = self._dead = 0
        self._tight = False
        self._spool_fault = self._sink_fault = self._notice = ""
        self._spool_retry_s = self._sink_retry_s = float("-inf")

    @property
    def has_room(self) -> bool:
        """Whether `accept` takes a record without dropping one."""
        return len(self._buffer) < self._config.buffer_messages

    def accept(self, record: Record) -> None:
        """Take `record`; it is durable once `commits` has risen. Without room it is dropped, and counted."""
        if not self.has_room:
            self.dropped += 1
            self.note_lost(losses_of(Cause.DROPPED, [record]))
            return
        if not self._buffer:
            self._buffered_s = self._clock.monotonic_s()
        self._buffer.append(record)
        if len(self._buffer) % self._config.commit_messages == 0:
            self.commit()

    def note_lost(self, losses: list[Loss]) -> None:
        """Have `losses` written into the ledger and told."""
        self._lost = merged([*self._lost, *losses])
        self._alarm.sound(losses)

    def turn(self) -> None:
        """Commit what is due and deliver what waits."""
        due_s = self._buffered_s + self._config.commit_s
        if (
            self._drain.settled
            or self._spool is None
            or ((self._buffer or self._lost) and self._clock.monotonic_s() >= due_s)
        ):
            self.commit()
        self.deliver()
        self._alarm.tell()

    def commit(self) -> None:
        """Make everything in memory durable now, unless the spool failed just before."""
        if self._clock.monotonic_s() < self._spool_retry_s:
            return
        try:
            spool = self._open()
            try:
                self._commit(spool)
            except SpoolFullError:
                self._tighten(spool)
                self._commit(spool)
        except SpoolError as error:
            self._on_spool_error(error)
            return
        self._spool_fault = ""

    def deliver(self) -> None:
        """Give the sink what waits, as long as it takes everything and there is time."""
        now_s = begin_s = self._clock.monotonic_s()
        if self._spool is None or now_s < self._sink_retry_s:
            return
        try:
            while self._drain.step(self._spool, now_s):
                now_s = self._clock.monotonic_s()
                if self._drain.unwritten >= UNWRITTEN or now_s >= begin_s + WORK_S:
                    break
        except SinkError as error:
            self._on_sink_fault(str(error))
        except SpoolError as error:
            self._on_spool_error(error)
        else:
            self._on_sink_fault(self._drain.fault)

    def status(self) -> PublisherStatus:
        """Return how things stand."""
        spool, drain = self._spool, self._drain
        faults = (self._spool_fault, self._sink_fault, self._alarm.sentence())
        return PublisherStatus(
            sink=drain.sink.name,
            accepted=self._accepted,
            delivered=drain.delivered,
            waiting=spool.waiting - drain.unwritten if spool else 0,
            evicted=self._evicted,
            spool_bytes=spool.stored_bytes if spool else 0,
            oldest_wall_ns=self._oldest_wall_ns(),
            mono_ns=self._clock.monotonic_ns(),
            fault="; ".join(fault for fault in faults if fault),
            dropped=self.dropped,
            damaged=spool.damaged if spool else 0,
            spooling=spool is not None,
            notice=self._notice,
            dead=self._dead,
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
        self._drain.sink.close()

    def _commit(self, spool: Spool) -> None:
        evicted_before, dead = spool.evicted, len(self._drain.dead)
        last_id = spool.commit(self._buffer, self._drain.settled, self._drain.dead, self._lost)
        self.commits += 1
        self._accepted += len(self._buffer)
        self._evicted += spool.evicted - evicted_before
        self._dead += dead
        self._alarm.sound(loss for loss in spool.losses.take() if loss not in self._lost)
        self._drain.stored(last_id, self._clock.monotonic_s())
        self._drain.written()
        self._buffer.clear()
        self._lost.clear()

    def _open(self) -> Spool:
        if self._spool is None:
            quota_bytes = self._config.quota_mb * _MB
            try:
                self._spool = Spool(self._path, quota_bytes=quota_bytes)
            except SpoolCorruptError as error:
                self._set_aside(error)
                self._spool = Spool(self._path, quota_bytes=quota_bytes)
            self._drain.begin(self._spool, self._clock.monotonic_s())
            self._tight = not self._reserve.restore()
        elif self._tight and self._reserve.restore():
            self._tight = False
            self._spool.quota_bytes = self._config.quota_mb * _MB
        return self._spool

    def _tighten(self, spool: Spool) -> None:
        """The disk is full: give the reserve up, and let the spool shrink rather than grow."""
        self._tight = True
        released = self._reserve.release()
        spool.quota_bytes = min(spool.quota_bytes, int(spool.stored_bytes * SHRINK))
        _log.error("disk full", reserve_released=released, spool_bytes=spool.stored_bytes)

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

    def _on_sink_fault(self, fault: str) -> None:
        if fault and self._sink_fault != fault:
            _log.error("sink fault", reason=fault)
        if fault:
            self._sink_retry_s = self._clock.monotonic_s() + RETRY_S
        self._sink_fault = fault

    def _set_aside(self, error: SpoolCorruptError) -> None:
        moved = set_aside(self._path, self._clock.wall_ns())
        self._notice = f"{error}; set aside as {moved}"
        _log.error("spool set aside", reason=str(error), moved_to=str(moved))

    def _close_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
        self._spool = None
        self._drain.forget()

    def _oldest_wall_ns(self) -> int:
        if self._spool is None:
            return 0
        try:
            return self._drain.oldest_wall_ns(self._spool)
        except SpoolError as error:
            self._on_spool_error(error)
            return 0
