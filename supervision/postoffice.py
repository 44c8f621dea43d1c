"""Delivers frames within a cell, and hands the rest to the link.

It also counts what could not be delivered. A dead letter is never silent: each kind is reported as an event.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from supervision.envelope import Frame, addressed, is_oversized
from supervision.events import ROOT
from supervision.mailbox import Acceptance, Mailbox


class DeadLetter(NamedTuple):
    """A kind of undeliverable frame."""

    sender: str
    receiver: str
    reason: str


class PostOffice:
    """The addresses of one cell. Thread-safe."""

    def __init__(
        self,
        addresses: Iterable[str],
        to_link: Callable[[Frame], bool],
        *,
        local: Iterable[str],
    ) -> None:
        """Know every actor of the site in `addresses`, those of this cell in `local`.

        Frames for other cells go to `to_link`.
        """
        self._local = frozenset(local)
        self._remote = frozenset(addresses) - self._local | {ROOT}
        self._to_link = to_link
        self._boxes: dict[str, Mailbox] = {}
        self._lock = threading.Lock()
        self._dead: Counter[DeadLetter] = Counter()
        self.dead_letters = 0
        """How many since the cell started."""

    def open(self, name: str, box: Mailbox) -> None:
        """Deliver frames for `name` to `box` from now on."""
        with self._lock:
            self._boxes[name] = box

    def close(self, name: str, box: Mailbox) -> None:
        """Deliver nothing more to `box`; what still waits in it becomes dead letters."""
        with self._lock:  # or a late old incarnation could close the new one's address
            if self._boxes.get(name) is box:
                del self._boxes[name]
        for frame in box.close():
            self.bury(frame, "the receiver ended before serving it")

    def dispatch(self, frame: Frame) -> None:
        """Deliver `frame` to each of its receivers or bury it; never blocks."""
        if is_oversized(frame):
            self.bury(frame, "larger than a message may be")
            return
        header = frame.header
        if not header.also and (box := self._boxes.get(header.receiver)):
            self._put(box, frame, header.receiver)
            return
        far: list[str] = []
        for receiver in header.receivers:
            box = self._boxes.get(receiver)
            if box is not None:
                self._put(box, addressed(frame, [receiver]), receiver)
            elif receiver in self._remote:
                far.append(receiver)
            elif receiver in self._local:
                self._bury(frame, receiver, "the receiver is not running")
            else:
                self._bury(frame, receiver, "no such address")
        if far and not self._to_link(leaving := addressed(frame, far)):
            self.bury(leaving, "the sender floods the link")

    def bury(self, frame: Frame, reason: str) -> None:
        """Count `frame` as a dead letter to each of its receivers."""
        for receiver in frame.header.receivers:
            self._bury(frame, receiver, reason)

    def _bury(self, frame: Frame, receiver: str, reason: str) -> None:
        with self._lock:
            self.dead_letters += 1
            self._dead[DeadLetter(frame.header.sender, receiver, reason)] += 1

    def take_dead(self) -> dict[DeadLetter, int]:
        """Return the dead letters since the last call, counted by kind."""
        with self._lock:
            dead, self._dead = self._dead, Counter()
        return dead

    def _put(self, box: Mailbox, frame: Frame, receiver: str) -> None:
        """Deliver `frame`, which is for `receiver` alone."""
        match box.deliver(frame):
            case Acceptance.TAKEN:
                pass
            case Acceptance.FLOODED:
                self._bury(frame, receiver, "the sender floods the receiver")
            case Acceptance.CLOSED:
                self._bury(frame, receiver, "the receiver has ended")
