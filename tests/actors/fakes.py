"""An `ActorContext` that records instead of delivering; shared by the tests of all actors.

It takes the lock of a condition for everything, because the threads of an actor's own call it too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from actors.messages import CODEC
from supervision.clock import Clock, ManualClock
from supervision.envelope import Lane

_T = TypeVar("_T")


class Sent(NamedTuple):
    message: msgspec.Struct
    receivers: tuple[str, ...]
    lane: Lane
    ttl_s: float | None
    trace: str = ""


class RecordingContext:
    """What an actor under test is given in place of its cell."""

    def __init__(self, name: str = "actor", epoch: int = 1, clock: Clock | None = None) -> None:
        self.name = name
        self.epoch = epoch
        self.clock: Clock = clock or ManualClock()
        self.fenced = False
        self.finished = False
        self.sent: list[Sent] = []
        self.posted: list[object] = []
        self.posts: list[tuple[object, bool]] = []
        """Everything that was posted so far, and whether as urgent."""
        self.releases: list[Callable[[], None]] = []
        self.started_cells: list[str] = []
        self.wake_ns: int | None = None
        self._changed = threading.Condition()

    def send(
        self,
        message: msgspec.Struct,
        *receivers: str,
        lane: Lane = Lane.TELEMETRY,
        ttl_s: float | None = None,
        trace: str = "",
    ) -> None:
        with self._changed:
            self.sent.append(Sent(message, receivers, lane, ttl_s, trace))
            self._changed.notify_all()

    def send_encoded(
        self, body: bytes, *receivers: str, lane: Lane = Lane.TELEMETRY, trace: str = ""
    ) -> None:
        self.send(CODEC.decode(body), *receivers, lane=lane, trace=trace)

    def post(self, event: object, *, urgent: bool = False) -> None:
        with self._changed:
            self.posted.append(event)
            self.posts.append((event, urgent))
            self._changed.notify_all()

    def wake_at(self, mono_ns: int) -> None:
        self.wake_ns = mono_ns

    def on_fence(self, release: Callable[[], None]) -> None:
        self.releases.append(release)

    def fence(self) -> None:
        """Give the incarnation up, as a supervisor does."""
        self.fenced = True
        for release in self.releases:
            release()

    def start_cell(self, cell: str) -> None:
        self.started_cells.append(cell)

    def finish(self) -> None:
        self.finished = True

    def take_posted(self) -> list[object]:
        """Return and forget what the actor posted to itself."""
        with self._changed:
            events, self.posted = self.posted, []
            return events

    def messages(self, kind: type[_T], receiver: str | None = None) -> list[_T]:
        """Return what was sent of one type, to `receiver` if given."""
        with self._changed:
            return [
                sent.message
                for sent in self.sent
                if isinstance(sent.message, kind) and receiver in (None, *sent.receivers)
            ]

    def wait_for(self, predicate: Callable[[], bool], timeout_s: float = 5.0) -> bool:
        """Wait until `predicate` holds; it is asked again after every send and post."""
        with self._changed:
            return self._changed.wait_for(predicate, timeout_s)
