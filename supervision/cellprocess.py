"""A cell as root holds it: its specification, its present process and link, and what it last reported."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable

import msgspec

from supervision.envelope import Frame, Header, Lane
from supervision.events import ROOT, Beat, CellReport, Introduction, State, cell_address
from supervision.intensity import RestartHistory
from supervision.link import Link
from supervision.process import describe_exit, resident_bytes, spawn
from supervision.spec import CellKind, CellSpec, Restart

_RESTARTS = {
    CellKind.CRITICAL: Restart.PERMANENT,
    CellKind.DEGRADABLE: Restart.PERMANENT,
    CellKind.ON_DEMAND: Restart.TRANSIENT,
}


class CellProcess:
    """One cell. It decides nothing: root does."""

    def __init__(self, spec: CellSpec, rng: random.Random, *, title: str) -> None:
        """Describe the cell; `start` makes a process of it."""
        self.spec = spec
        self.history = RestartHistory(_RESTARTS[spec.kind], spec.intensity, spec.backoff, rng)
        self.state = State.IDLE
        self.since_s = 0.0
        self.due_s = 0.0
        """When a backing-off or quarantined cell is started, or a stopping one is killed."""
        self.reason = ""
        self.incarnation = 0
        self.last_beat: Beat | None = None
        self.heard_s = 0.0
        """When root last heard a beat of this incarnation, or started it."""
        self.memory_bytes = 0
        self.killed_for = ""
        self.forged_in = 0
        """The incarnation that last sent something in another's name."""
        self.link: Link | None = None
        self.pidfd = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._title = title
        self._dropped_before = 0
        self._dead_before = 0

    @property
    def pid(self) -> int:
        """The process id, 0 without a process."""
        return self._process.pid if self._process else 0

    @property
    def resolved(self) -> bool:
        """Whether its first start has come to something."""
        return (
            self.state not in {State.IDLE, State.STARTING} or self.spec.kind is CellKind.ON_DEMAND
        )

    def start(self, introduction: Callable[[int], Introduction], now_s: float) -> None:
        """Start a new process and introduce it to itself.

        Raises:
            OSError: the operating system cannot start a process.
        """
        self.incarnation += 1
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = spawn(
                    "supervision.cell", self._title, theirs, self.spec.environment
                )
            except OSError:
                ours.close()
                raise
        self.pidfd = os.pidfd_open(self._process.pid)
        self.link = Link(ours)
        self.last_beat, self.killed_for, self.heard_s = None, "", now_s
        self.enter(State.STARTING, now_s)
        body = msgspec.msgpack.encode(introduction(self.incarnation))
        self.tell(body)

    def tell(self, body: bytes) -> None:
        """Queue an encoded supervision message for the cell's supervisor."""
        if self.link is not None:
            header = Header(
                receiver=cell_address(self.spec.name), sender=ROOT, epoch=0, lane=Lane.CONTROL
            )
            self.link.send(Frame(header, body))

    def kill(self, reason: str) -> None:
        """Send SIGKILL; the reason is told when the process has ended."""
        if self._process is not None and not self.killed_for:
            self.killed_for = reason
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def collect(self) -> tuple[str, int]:
        """Reap the ended process, close its link, and return why it ended and its status."""
        assert self._process is not None  # noqa: S101 - only a process ends
        status = self._process.wait()
        self._process = None
        os.close(self.pidfd)
        self.pidfd = -1
        if self.last_beat is not None:
            self._dropped_before += self.last_beat.dropped
            self._dead_before += self.last_beat.dead_letters
        if self.link is not None:
            self._dropped_before += self.link.dropped
            self.link.close()
            self.link = None
        self.memory_bytes = 0
        return self.killed_for or describe_exit(status), status

    def measure(self) -> int:
        """Measure and return the resident memory, in bytes."""
        self.memory_bytes = resident_bytes(self.pid) if self.pid else 0
        return self.memory_bytes

    def enter(self, state: State, now_s: float, due_s: float = 0.0) -> None:
        """Change state."""
        self.state, self.since_s, self.due_s = state, now_s, due_s

    def report(self) -> CellReport:
        """Return how the cell stands."""
        beat = self.last_beat
        return CellReport(
            name=self.spec.name,
            kind=self.spec.kind.value,
            state=self.state,
            pid=self.pid,
            incarnation=self.incarnation,
            restarts=self.history.restarts,
            reason=self.reason,
            beat_ns=beat.mono_ns if beat else 0,
            memory_bytes=self.memory_bytes,
            dead_letters=self._dead_before + (beat.dead_letters if beat else 0),
            dropped=self._dropped_before
            + (beat.dropped if beat else 0)
            + (self.link.dropped if self.link is not None else 0),
            abandoned_threads=beat.abandoned_threads if beat else 0,
            actors=(beat.actors if beat else None) or (),
        )
