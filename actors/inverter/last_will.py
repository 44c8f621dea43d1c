"""Leaves a device safe when its actor is stopped: the one time that an actor waits for its link."""

from __future__ import annotations

import queue
from collections.abc import Callable

from actors.inverter.jobs import LinkEvent, WriteDone, WriteJob
from actors.messages import WriteResult
from supervision.clock import Clock


class LastWill:
    """The last job of an incarnation, and its outcome, which no mailbox takes any more."""

    def __init__(self) -> None:
        """Begin with nothing to carry out."""
        self._done: queue.SimpleQueue[WriteDone] = queue.SimpleQueue()
        self._number = 0

    def takes(self, event: LinkEvent) -> bool:
        """Return whether `event` is the outcome that is waited for; called on the link's thread."""
        if not (self._number and isinstance(event, WriteDone) and event.number == self._number):
            return False
        self._done.put(event)
        return True

    def carry_out(
        self, job: WriteJob, submit: Callable[[WriteJob], None], timeout_s: float, clock: Clock
    ) -> WriteDone:
        """Have `job` written and wait at most `timeout_s` for its outcome."""
        self._number = job.number
        submit(job)
        try:
            return self._done.get(timeout=timeout_s)
        except queue.Empty:
            detail = f"no answer within {timeout_s:g} s: the device's own countdown must end it"
            return WriteDone(job.number, WriteResult.UNKNOWN, detail, clock.monotonic_ns())
