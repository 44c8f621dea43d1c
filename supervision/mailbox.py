"""The inbox of one incarnation: frames from others, its own events, and the tick.

It takes the place of Pykka's unbounded queue. `get` hands out, in this order: the order to stop, a tick that is due,
the actor's own urgent events, and then frames and ordinary events in turn, so that no source can starve another.
"""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from supervision.actor import StopReason
from supervision.clock import NS_PER_S, Clock
from supervision.envelope import Frame, Lane
from supervision.lanes import Lanes
from supervision.spec import MailboxSpec

_PUT_OFF = 4
"""So many periods may pass in work before a tick comes that waits for idleness."""


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


Wait = Callable[[float], object]
"""Sleeps for at most so many seconds, or until rung: real time in a cell, virtual time in a test."""


class Bell:
    """Wakes the one thread that sleeps on it; a ring while nobody sleeps is remembered.

    A condition would allocate a lock for every sleep and make the woken thread wait for a second one.
    """

    def __init__(self) -> None:
        """Begin silent."""
        self._gate = threading.Lock()
        self._gate.acquire()

    def ring(self) -> None:
        """End the present sleep, or the next one at its beginning."""
        with contextlib.suppress(RuntimeError):  # it was rung already
            self._gate.release()

    def ring_for(self, _urgent: bool) -> None:  # noqa: FBT001 - as the mailbox calls it
        """End the present sleep, whatever has come."""
        self.ring()

    def sleep(self, timeout_s: float) -> None:
        """Sleep until rung, for at most `timeout_s`."""
        self._gate.acquire(timeout=timeout_s)


class Mailbox:
    """Thread-safe; many put, one gets."""

    def __init__(
        self,
        spec: MailboxSpec,
        clock: Clock,
        *,
        tick_s: float,
        tick_when_idle: bool = False,
        wait: Wait | None = None,
        ring: Callable[[bool], None] | None = None,
    ) -> None:
        """Start empty; the first tick is due after `tick_s`, or after `tick_s` without other work.

        `ring` is called in place of a bell whenever something comes, with whether it is a command or urgent: for an
        actor that no thread waits for.
        """
        self._lock = threading.Lock()
        self._bell = Bell()
        self._wait = wait or self._bell.sleep
        self._ring = ring or self._bell.ring_for
        self._clock = clock
        self._tick_s = tick_s
        self._tick_when_idle = tick_when_idle
        self._grid_s = clock.monotonic_s() + tick_s
        self._tick_due_s = self._grid_s
        self._ticked_s = self._grid_s - tick_s
        self._system: list[Delivery] = []
        self._urgent: list[OwnEvent] = []
        self._events: list[OwnEvent] = []
        self._lanes = Lanes(control_per_sender=spec.control_per_sender, telemetry=spec.telemetry)
        self._event_turn = True
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many frames and events wait."""
        return len(self._lanes) + len(self._events) + len(self._urgent)

    @property
    def idle(self) -> bool:
        """Whether nothing but ticks would be served. Does not wait for who is just putting something in."""
        return not (self._urgent or self._events or self._lanes or self._system)

    @property
    def dropped(self) -> int:
        """How many frames were dropped or refused so far."""
        return self._lanes.dropped + self._lanes.refused

    def deliver(self, frame: Frame) -> Acceptance:
        """Offer a frame from another actor."""
        with self._lock:
            if self._closed:
                return Acceptance.CLOSED
            taken = self._lanes.put(frame)
        self._ring(frame.header.lane is Lane.CONTROL)
        return Acceptance.TAKEN if taken else Acceptance.FLOODED

    def post(self, event: object, *, urgent: bool = False) -> bool:
        """Queue the actor's own event; return False if the incarnation has ended."""
        with self._lock:
            if self._closed:
                return False
            (self._urgent if urgent else self._events).append(OwnEvent(event))
        self._ring(urgent)
        return True

    def wake_at(self, mono_ns: int) -> None:
        """Have a tick due at `mono_ns`, unless the next regular one is earlier; called by the one that gets."""
        self._tick_due_s = min(self._grid_s, mono_ns / NS_PER_S)

    def order_stop(self, reason: StopReason) -> None:
        """Have the incarnation stop before it serves anything else."""
        self.put(Delivery(StopOrder(reason)))

    def put(self, envelope: Any) -> None:  # noqa: ANN401 - Pykka's own envelope or a Delivery
        """Queue a system message; Pykka's side of the inbox."""
        with self._lock:
            self._system.append(envelope)
        self._ring(False)

    def get(self) -> Delivery:
        """Block until something is to be done and return it."""
        while (delivery := self.take()) is None:
            self._wait(max(0.0, self._tick_due_s - self._clock.monotonic_s()))
        return delivery

    def take(self) -> Delivery | None:
        """Return what is to be done now, or None."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            delivery = self._next(now_s)
            if delivery is not None and self._tick_when_idle:
                self._put_off_tick(now_s)
            return delivery

    @property
    def due_s(self) -> float:
        """When the next tick is due, in monotonic seconds."""
        return self._tick_due_s

    def empty(self) -> bool:
        """Return whether nothing but ticks would be served; Pykka's side of the inbox."""
        with self._lock:
            return self.idle

    def close(self) -> list[Frame]:
        """Take no more frames and return those that nobody will serve."""
        with self._lock:
            self._closed = True
            self._urgent.clear()
            self._events.clear()
            return self._lanes.drain()

    def _next(self, now_s: float) -> Delivery | None:
        if self._system:
            return self._system.pop(0)
        if now_s >= self._tick_due_s:
            self._tick(now_s)
            return Delivery(Tick())
        if self._urgent:
            return Delivery(self._urgent.pop(0))
        return self._take_in_turn()

    def _take_in_turn(self) -> Delivery | None:
        self._event_turn = not self._event_turn
        if self._events and (self._event_turn or not len(self._lanes)):
            return Delivery(self._events.pop(0))
        frame = self._lanes.pop()
        return None if frame is None else Delivery(frame)

    def _put_off_tick(self, now_s: float) -> None:
        """Count `tick_s` from now, since work was found; not for ever, or a flood would end all ticks."""
        woken_s = self._tick_due_s if self._tick_due_s < self._grid_s else float("inf")
        self._grid_s = min(now_s, self._ticked_s + _PUT_OFF * self._tick_s) + self._tick_s
        self._tick_due_s = min(self._grid_s, woken_s)

    def _tick(self, now_s: float) -> None:
        """Reckon when the next tick is due."""
        if now_s >= self._grid_s:
            missed = int((now_s - self._grid_s) / self._tick_s)
            self._grid_s += (missed + 1) * self._tick_s
        self._tick_due_s = self._grid_s
        self._ticked_s = now_s
