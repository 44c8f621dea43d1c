"""A sink that sends in a thread of its own, so that a network that hangs never holds the publisher.

One batch is under way at a time, so order is kept. The caller waits for it a little while; if it is not through by
then the caller is told nothing, comes again with the same records, and hears what became of them.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from typing import Final

import structlog

from actors.publisher.record import Record
from actors.publisher.sinks import Delivery, Sink, SinkError
from supervision.clock import Clock

PATIENCE_S: Final = 0.5
"""How long one call may wait; a tenth of the publisher's liveness."""
FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 2.0
"""Short, because an attempt costs little and the live lane must be drained within seconds of a restored link."""
_CLOSE_S: Final = 2.0
_UNTOLD: Final = 10_000
_log = structlog.get_logger()


class SenderSink:
    """Hands batches to `inner`, which may block, in its own thread, and retries with a growing pause."""

    def __init__(self, inner: Sink, clock: Clock, *, patience_s: float = PATIENCE_S) -> None:
        """Send by `inner`, which from now on is used by the sender's thread only."""
        self.name = inner.name
        self._inner = inner
        self._clock = clock
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._job: tuple[Record, ...] = ()
        self._taken: set[str] = set()  # acknowledged, and not yet told
        self._rejected: dict[str, str] = {}
        self._fault = ""
        self._failures = 0
        self._retry_s = float("-inf")
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"{inner.name}-sender", daemon=True)
        self._thread.start()

    def send(self, batch: Sequence[Record]) -> Delivery:
        """Have `batch` sent and return what is known of it by now; empty means that it is under way."""
        with self._changed:
            told = self._told(batch)
            if told is not None:
                return told
            if not self._job and self._clock.monotonic_s() >= self._retry_s:
                self._job = tuple(batch)
                self._fault = ""
                self._changed.notify_all()
            self._changed.wait_for(lambda: not self._job, self._patience_s)
            return self._told(batch) or Delivery((), fault="" if self._job else self._fault)

    def close(self) -> None:
        """Wait a moment for what is under way, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            _log.warning("sender still busy at the end", sink=self.name)

    def _told(self, batch: Sequence[Record]) -> Delivery | None:
        """Return what became of records of `batch`, and forget it; None if nothing is known."""
        if self._job or not (self._taken or self._rejected):
            return None
        taken = [n for n, record in enumerate(batch) if record.dedupe_id in self._taken]
        rejected = {
            n: self._rejected[record.dedupe_id]
            for n, record in enumerate(batch)
            if record.dedupe_id in self._rejected
        }
        self._forget([batch[n].dedupe_id for n in (*taken, *rejected)])
        return Delivery(taken, rejected, self._fault) if taken or rejected else None

    def _forget(self, told: Sequence[str]) -> None:
        """Drop what was told, and everything if nobody comes for it: it is then sent again, with the same key."""
        self._taken.difference_update(told)
        for key in told:
            self._rejected.pop(key, None)
        if len(self._taken) + len(self._rejected) > _UNTOLD:
            self._taken.clear()
            self._rejected.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._job or self._closing)
                job = self._job
            if not job:
                break
            self._attempt(job)
        self._inner.close()

    def _attempt(self, job: tuple[Record, ...]) -> None:
        try:
            delivery = self._inner.send(job)
        except SinkError as error:
            delivery = Delivery((), fault=str(error))
        except Exception as error:  # noqa: BLE001 - a library's surprise ends one attempt, not the thread that sends
            _log.exception("sender surprised", sink=self.name)
            delivery = Delivery((), fault=f"the sink {self.name} failed unexpectedly: {error!r}")
        with self._changed:
            self._taken.update(job[n].dedupe_id for n in delivery.acknowledged)
            self._rejected |= {job[n].dedupe_id: why for n, why in delivery.rejected.items()}
            self._note(delivery)
            self._job = ()
            self._changed.notify_all()

    def _note(self, delivery: Delivery) -> None:
        """Set when the next attempt may be made."""
        self._fault = delivery.fault
        if not delivery.fault:
            self._failures, self._retry_s = 0, float("-inf")
            return
        pause_s = min(FIRST_RETRY_S * 2.0 ** min(self._failures, 10), LONGEST_RETRY_S)
        self._failures += 1
        spread = random.uniform(0.5, 1.0)  # noqa: S311 - keeps gateways apart, hides nothing
        self._retry_s = self._clock.monotonic_s() + pause_s * spread
