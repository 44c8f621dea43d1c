"""One subscription: what waits, what is leased, what comes again. Pure: the time is handed in.

A message that is not acknowledged within its lease is delivered again, and with ordering so is everything of its key
that was delivered after it.
"""

from __future__ import annotations

import heapq
from typing import Any, NamedTuple


class Delivered(NamedTuple):
    """A message as a subscriber gets it."""

    ack_id: str
    message: Any
    attempt: int


class _Lease(NamedTuple):
    seq: int
    until_s: float


class Subscription:
    """The state of one subscription."""

    def __init__(self, *, ordered: bool, ack_deadline_s: float) -> None:
        self.ack_deadline_s = ack_deadline_s
        self._ordered = ordered
        self._messages: dict[int, Any] = {}
        self._attempts: dict[int, int] = {}
        self._waiting: list[int] = []
        self._leases: dict[str, _Lease] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, seq: int, message: Any) -> None:  # noqa: ANN401 - a protobuf class that is made at run time
        """Keep `message`, the service's number `seq`, until it is acknowledged."""
        self._messages[seq] = message
        heapq.heappush(self._waiting, seq)

    def pull(self, limit: int, now_s: float) -> list[Delivered]:
        """Lease up to `limit` messages, oldest first."""
        self._expire(now_s)
        taken: list[Delivered] = []
        while self._waiting and len(taken) < limit:
            seq = heapq.heappop(self._waiting)
            attempt = self._attempts.get(seq, 0) + 1
            self._attempts[seq] = attempt
            ack_id = f"{seq}-{attempt}"
            self._leases[ack_id] = _Lease(seq, now_s + self.ack_deadline_s)
            taken.append(Delivered(ack_id, self._messages[seq], attempt))
        return taken

    def acknowledge(self, ack_ids: list[str]) -> None:
        """Forget what was leased under `ack_ids`; an id whose lease has ended means nothing."""
        for ack_id in ack_ids:
            lease = self._leases.pop(ack_id, None)
            if lease is not None:
                del self._messages[lease.seq]
                del self._attempts[lease.seq]

    def modify(self, ack_ids: list[str], seconds: float, now_s: float) -> None:
        """Let the leases end in `seconds` from now; 0 gives the messages back."""
        for ack_id in ack_ids:
            lease = self._leases.get(ack_id)
            if lease is not None:
                self._leases[ack_id] = lease._replace(until_s=now_s + seconds)
        self._expire(now_s)

    def _expire(self, now_s: float) -> None:
        ended = {ack_id: lease for ack_id, lease in self._leases.items() if now_s >= lease.until_s}
        if ended and self._ordered:
            ended |= self._followers(ended)
        for ack_id, lease in ended.items():
            del self._leases[ack_id]
            heapq.heappush(self._waiting, lease.seq)

    def _followers(self, ended: dict[str, _Lease]) -> dict[str, _Lease]:
        """Return the leases on later messages of the same keys."""
        first: dict[str, int] = {}
        for lease in ended.values():
            key = self._messages[lease.seq].ordering_key
            first[key] = min(lease.seq, first.get(key, lease.seq))
        first.pop("", None)
        return {
            ack_id: lease
            for ack_id, lease in self._leases.items()
            if lease.seq > first.get(self._messages[lease.seq].ordering_key, lease.seq)
        }
