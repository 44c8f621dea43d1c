"""Delivers frames within a cell, and hands the rest to the link.

It also counts what could not be delivered. A dead letter is never silent: each kind is reported as an event.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from supervision.envelope import Frame
from supervision.events import ROOT
from supervision.mailbox import Acceptance, Mailbox


class DeadLetter(NamedTuple):
    """A kind of undeliverable frame."""

    sender: str
    receiver: str
    reason: str


class PostOffice:
    """The addresses of one cell. Thread-safe."""

    def __init__(self, addresses: Iterable[str], to_link: Callable[[Frame], bool]) -> None:
        """Know every actor of the site in `addresses`; frames for other cells go to `to_link`."""
        self._addresses = frozenset(addresses)
        self._to_link = to_link
        self._boxes: dict[str, Mailbox] = {}
        self._local: set[str] = set()
        self._lock = threading.Lock()
        self._dead: Counter[DeadLetter] = Counter()
        self.dead_letters = 0
        """How many since the cell started."""

    def open(self, name: str, box: Mailbox) -> None:
        """Deliver frames for `name` to `box` from now on."""
        self._local.add(name)
        self._boxes[name] = box

    def close(self, name: str, box: Mailbox) -> None:
        """Deliver nothing more to `box`; what still waits in it becomes dead letters."""
        if self._boxes.get(name) is box:
            del self._boxes[name]
        for frame in box.close():
            self.bury(frame, "the receiver ended before serving it")

    def dispatch(self, frame: Frame) -> None:
        """Deliver `frame` or bury it; never blocks."""
        receiver = frame.header.receiver
        box = self._boxes.get(receiver)
        if box is not None:
            self._put(box, frame)
        elif receiver in self._local:
            self.bury(frame, "the receiver is not running")
        elif receiver in self._addresses or receiver == ROOT:
            if not self._to_link(frame):
                self.bury(frame, "the sender floods the link")
        else:
            self.bury(frame, "no such address")

    def bury(self, frame: Frame, reason: str) -> None:
        """Count `frame` as a dead letter."""
        with self._lock:
            self.dead_letters += 1
            self._dead[DeadLetter(frame.header.sender, frame.header.receiver, reason)] += 1

    def take_dead(self) -> dict[DeadLetter, int]:
        """Return the dead letters since the last call, counted by kind."""
        with self._lock:
            dead, self._dead = self._dead, Counter()
        return dead

    def _put(self, box: Mailbox, frame: Frame) -> None:
        match box.deliver(frame):
            case Acceptance.TAKEN:
                pass
            case Acceptance.FLOODED:
                self.bury(frame, "the sender floods the receiver")
            case Acceptance.CLOSED:
                self.bury(frame, "the receiver has ended")
