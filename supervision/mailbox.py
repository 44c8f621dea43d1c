"""The inbox of one incarnation: frames from others, its own events, and the tick.

It takes the place of Pykka's unbounded queue. `get` hands out, in this order: the order to stop, a tick that is due,
the actor's own urgent events, and then frames and ordinary events in turn, so that no source can starve another.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from typing import Any, NamedTuple, Protocol

from supervision.actor import StopReason
from supervision.clock import Clock
from supervision.envelope import Frame
from supervision.lanes import Lanes
from supervision.spec import MailboxSpec


class Tick:
    """It is time for `Actor.on_tick`."""


class StopOrder(NamedTuple):
    """It is time for `Actor.on_stop`."""

    reason: StopReason


class OwnEvent(NamedTuple):
    """Something the actor posted to itself."""

    event: Any


class Delivery(NamedTuple):
    """What Pykka's loop takes from an inbox."""

    message: Any
    reply_to: Any = None


class Acceptance(enum.Enum):
    """What became of a frame offered to a mailbox."""

    TAKEN = "taken"
    FLOODED = "flooded"
    """Its sender has too many control frames waiting."""
    CLOSED = "closed"
    """The incarnation has ended."""


class Waiter(Protocol):
    """How a mailbox waits: real time in a cell, virtual time in a test."""

    def __call__(self, condition: threading.Condition, timeout_s: float) -> None:
        """Wait on the held `condition` for at most `timeout_s`."""
        ...


def wait_really(condition: threading.Condition, timeout_s: float) -> None:
    """Wait in real time."""
    condition.wait(timeout_s)


class Mailbox:
    """Thread-safe; many put, one gets."""

    def __init__(
        self, spec: MailboxSpec, clock: Clock, *, tick_s: float, wait: Waiter = wait_really
    ) -> None:
        """Start empty; the first tick is due after `tick_s`."""
        self._condition = threading.Condition(threading.Lock())
        self._wait = wait
        self._clock = clock
        self._tick_s = tick_s
        self._tick_due_s = clock.monotonic_s() + tick_s
        self._system: deque[Delivery] = deque()
        self._urgent: deque[OwnEvent] = deque()
        self._events: deque[OwnEvent] = deque()
        self._lanes = Lanes(control_per_sender=spec.control_per_sender, telemetry=spec.telemetry)
        self._event_turn = True
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many frames and events wait."""
        return len(self._lanes) + len(self._events) + len(self._urgent)

    @property
    def dropped(self) -> int:
        """How many frames were dropped or refused so far."""
        return self._lanes.dropped + self._lanes.refused

    def deliver(self, frame: Frame) -> Acceptance:
        """Offer a frame from another actor."""
        with self._condition:
            if self._closed:
                return Acceptance.CLOSED
            taken = self._lanes.put(frame)
            self._condition.notify()
        return Acceptance.TAKEN if taken else Acceptance.FLOODED

    def post(self, event: object, *, urgent: bool = False) -> bool:
        """Queue the actor's own event; return False if the incarnation has ended."""
        with self._condition:
            if self._closed:
                return False
            (self._urgent if urgent else self._events).append(OwnEvent(event))
            self._condition.notify()
        return True

    def order_stop(self, reason: StopReason) -> None:
        """Have the incarnation stop before it serves anything else."""
        self.put(Delivery(StopOrder(reason)))

    def put(self, envelope: Any) -> None:  # noqa: ANN401 - Pykka's own envelope or a Delivery
        """Queue a system message; Pykka's side of the inbox."""
        with self._condition:
            self._system.append(envelope)
            self._condition.notify()

    def get(self) -> Delivery:
        """Block until something is to be done and return it."""
        with self._condition:
            while (delivery := self._take()) is None:
                self._wait(self._condition, max(0.0, self._tick_due_s - self._clock.monotonic_s()))
            return delivery

    def empty(self) -> bool:
        """Return whether nothing but ticks would be served."""
        with self._condition:
            return not (self._system or self.waiting)

    def close(self) -> list[Frame]:
        """Take no more frames and return those that nobody will serve."""
        with self._condition:
            self._closed = True
            self._urgent.clear()
            self._events.clear()
            return self._lanes.drain()

    def _take(self) -> Delivery | None:
        if self._system:
            return self._system.popleft()
        if self._tick_is_due():
            return Delivery(Tick())
        if self._urgent:
            return Delivery(self._urgent.popleft())
        return self._take_in_turn()

    def _take_in_turn(self) -> Delivery | None:
        self._event_turn = not self._event_turn
        if self._events and (self._event_turn or not len(self._lanes)):
            return Delivery(self._events.popleft())
        frame = self._lanes.pop()
        return None if frame is None else Delivery(frame)

    def _tick_is_due(self) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s < self._tick_due_s:
            return False
        missed = int((now_s - self._tick_due_s) / self._tick_s)
        self._tick_due_s += (missed + 1) * self._tick_s
        return True
