"""A cell: a process that hosts actors and keeps its link to root.

Run as `python -m supervision.cell FD TITLE`, by root only. The main thread is the supervisor's loop; each actor has
a thread of its own, or shares a few with other pooled ones. A degradable cell dies with root. A critical one, seeing
its link close, stops its actors in order, so that they can leave what they control in a safe state, and exits.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import msgspec
import pykka

from supervision.actor import StopReason
from supervision.clock import Clock, SystemClock
from supervision.codec import Codec
from supervision.envelope import Frame, Header, Lane
from supervision.events import ROOT, Beat, Introduction, Lifecycle, Ready, Stop, What, cell_address
from supervision.incarnation import Incarnation, Report
from supervision.link import Link, LinkClosedError, Waker
from supervision.pool import Pool
from supervision.postoffice import PostOffice
from supervision.process import (
    die_with_parent,
    give_memory_back,
    go_first,
    name_process,
    stay_on_one_processor,
)
from supervision.spec import SETUP_VARIABLE, CellKind, CellSpec, ChildSpec, load
from supervision.supervisor import Supervisor

EXIT_FAILED = 70
"""An actor exceeded its intensity."""
EXIT_ORPHANED = 72
"""Root was lost."""

_GATHER_S = 0.01
"""Frames for other cells leave this much later, many at a time: hundreds of actors would else wake root for each."""
_FEW_ACTORS = 100
"""With more, not every beat tells of all of them, but one in `_REPORT_S` at least does."""
_REPORT_S = 0.5
_DEAD_LETTER_PERIOD_S = 1.0
_YOUNG_OBJECTS = 20_000
"""Garbage in cycles is looked for when so many more objects were made than freed: messages make hardly any, and every
look goes through what hundreds of actors hold just then. CPython's 700 cost them 1.3 % of their work, this 0.5 %."""


class Cell:
    """The loop of a cell's main thread."""

    def __init__(
        self, introduction: Introduction, early: list[Frame], link: Link, clock: Clock
    ) -> None:
        """Prepare the actors that `introduction` names; nothing runs before `run`.

        `early` are frames that came behind the introduction.
        """
        self.spec = msgspec.msgpack.decode(introduction.spec, type=CellSpec)
        self._introduction = msgspec.structs.replace(
            introduction, spec=b""
        )  # it is large, and known now
        self._clock = clock
        self._waker = Waker()
        self._link = link
        self._link.on_work = self._waker.wake
        self._codec: Codec = load_codec(self.spec.codec)
        self._post_office = PostOffice(
            introduction.addresses,
            self._link.send,
            local=(child.name for child in self.spec.children),
        )
        self._supervisor = Supervisor(
            self.spec, self._launch, clock, tell=self._announce, wake=self._waker.wake
        )
        self._pool = Pool(clock)
        self._encoder = msgspec.msgpack.Encoder()
        self._last_epoch = 0
        self._step_due_s = 0.0
        self._beat_due_s = 0.0
        self._report_due_s = 0.0
        self._dead_letters_due_s = 0.0
        self._trim_due_s = clock.monotonic_s() + self.spec.trim_s
        self._ready_told = False
        self._orphaned = False
        self._give_up_s = float("inf")
        self._sort(early)

    def run(self) -> int:
        """Serve until stopped; return the exit status."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._waker, selectors.EVENT_READ)
            selector.register(self._link.sock, selectors.EVENT_READ)
            while (status := self._status()) is None:
                self._turn(selector)
        return status

    def stop(self, reason: StopReason) -> None:
        """Begin to stop the actors in reverse order."""
        self._supervisor.stop(reason)
        self._give_up_s = min(self._give_up_s, self._clock.monotonic_s() + self.spec.shutdown_s)
        self._step_due_s = 0.0
        self._waker.wake()

    def _turn(self, selector: selectors.BaseSelector) -> None:
        self._waker.clear()
        if self._supervisor.has_reports or self._clock.monotonic_s() >= self._step_due_s:
            self._step_due_s = self._supervisor.step()
            if self._supervisor.stopping:
                self._pool.hurry()
            self._pool.watch()
        self._beat_if_due()
        self._flush()
        if not self._orphaned:
            self._listen(selector)
        elif self._link.sock in selector.get_map():
            selector.unregister(self._link.sock)
        next_s = min(self._step_due_s, self._beat_due_s, self._give_up_s)
        timeout_s = max(0.0, next_s - self._clock.monotonic_s())
        ready = [key.fileobj for key, _ in selector.select(timeout_s)]
        if self._link.sock in ready:
            self._read()
        elif ready:
            time.sleep(_GATHER_S)

    def _listen(self, selector: selectors.BaseSelector) -> None:
        interest = self._link.interest()
        if selector.get_map()[self._link.sock].events != interest:
            selector.modify(self._link.sock, interest)

    def _status(self) -> int | None:
        if self._supervisor.failure:
            self.stop(StopReason.RESTART)
        over = self._supervisor.stopped or self._supervisor.done
        if not over and self._clock.monotonic_s() < self._give_up_s:
            return None
        if self._orphaned:
            return EXIT_ORPHANED
        self._beat()
        self._flush()
        return EXIT_FAILED if self._supervisor.failure else 0

    def _read(self) -> None:
        try:
            self._sort(self._link.receive())
        except LinkClosedError:
            self._on_orphaned()

    def _sort(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.header.receiver == cell_address(self.spec.name):
                self._obey(frame)
            else:
                self._post_office.dispatch(frame)

    def _flush(self) -> None:
        try:
            if not self._orphaned:
                self._link.flush()
        except LinkClosedError:
            self._on_orphaned()

    def _obey(self, frame: Frame) -> None:
        order = msgspec.msgpack.decode(frame.body, type=Stop)
        self.stop(StopReason(order.reason))

    def _on_orphaned(self) -> None:
        self._orphaned = True
        if self.spec.kind is not CellKind.CRITICAL:
            os._exit(EXIT_ORPHANED)  # root is gone, nothing here is worth a delay
        self.stop(StopReason.ORPHANED)

    def _launch(self, child: ChildSpec, report: Report) -> Incarnation:
        return Incarnation(
            child,
            self._next_epoch(),
            codec=self._codec,
            post_office=self._post_office,
            clock=self._clock,
            report=report,
            pool=self._pool,
            shared=(self.spec.shared[child.shared],) if child.shared else (),
        )

    def _next_epoch(self) -> int:
        since_start_ms = (
            self._clock.monotonic_ns() - self._introduction.site_started_ns
        ) // 1_000_000
        self._last_epoch = max(
            self._last_epoch + 1, (self._introduction.generation << 32) + since_start_ms
        )
        return self._last_epoch

    def _beat_if_due(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._beat_due_s:
            return
        self._beat_due_s = now_s + self.spec.beat_s
        whole = now_s >= self._report_due_s
        if whole:
            actors = len(self.spec.children)
            self._report_due_s = now_s + min(_REPORT_S, self.spec.beat_s * actors / _FEW_ACTORS)
        self._beat(whole=whole)
        if not self._ready_told and self._supervisor.ready:
            self._ready_told = True
            gc.set_threshold(_YOUNG_OBJECTS)
            gc.freeze()  # what is imported by now lives for ever: collections need not look at it again
            self._tell_root(Ready(mono_ns=self._clock.monotonic_ns()))
        if now_s >= self._dead_letters_due_s:
            self._dead_letters_due_s = now_s + _DEAD_LETTER_PERIOD_S
            self._announce_dead_letters()
        if now_s >= self._trim_due_s:
            self._trim_due_s = now_s + self.spec.trim_s
            give_memory_back()

    def _beat(self, *, whole: bool = True) -> None:
        self._tell_root(
            Beat(
                mono_ns=self._clock.monotonic_ns(),
                actors=self._supervisor.reports() if whole else None,
                dead_letters=self._post_office.dead_letters,
                dropped=self._link.dropped,
                abandoned_threads=self._supervisor.abandoned_threads,
            )
        )

    def _announce(self, event: Lifecycle) -> None:
        self._tell_root(event)
        if event.what is What.STARTED and len(self.spec.children) <= _FEW_ACTORS:
            self._beat_due_s = self._report_due_s = 0.0

    def _announce_dead_letters(self) -> None:
        for letter, count in self._post_office.take_dead().items():
            self._announce(
                Lifecycle(
                    cell=self.spec.name,
                    actor=letter.sender,
                    what=What.DEAD_LETTERS,
                    wall_ns=self._clock.wall_ns(),
                    reason=f"to {letter.receiver}: {letter.reason}",
                    count=count,
                )
            )

    @property
    def incarnation(self) -> int:
        """How often this cell has been started, from 1."""
        return self._introduction.incarnation

    def _tell_root(self, message: msgspec.Struct) -> None:
        header = Header(receiver=ROOT, sender=cell_address(self.spec.name), epoch=self.incarnation)
        self._link.send(
            Frame(msgspec.structs.replace(header, lane=Lane.CONTROL), self._encoder.encode(message))
        )


def load_codec(reference: str) -> Codec:
    """Return the `Codec` that `reference` (`module:attribute`) names.

    Raises:
        SpecError: there is none.
    """
    codec: Any = load(reference)
    if not isinstance(codec, Codec):
        msg = f"{reference} is not a Codec"
        raise TypeError(msg)
    return codec


def introduce(link: Link) -> tuple[Introduction, list[Frame]]:
    """Wait for the first frame of a new link, which says who this cell is; return it and what came behind it.

    Raises:
        LinkClosedError: root went away before it said so.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(link.sock, selectors.EVENT_READ)
        while not (frames := link.receive()):
            selector.select()
    return msgspec.msgpack.decode(frames[0].body, type=Introduction), frames[1:]


def main() -> int:
    """Run the cell that root describes on the inherited descriptor."""
    link = Link(socket.socket(fileno=int(sys.argv[1])))
    parent_pid = os.getppid()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal sends it to the whole group; root decides
    name_process(sys.argv[2])
    cell = Cell(*introduce(link), link, SystemClock())
    if cell.spec.kind is not CellKind.CRITICAL:
        die_with_parent(parent_pid)
    os.nice(cell.spec.nice)
    if cell.spec.realtime:
        with suppress(PermissionError):  # what is not permitted any more must not stop a cell
            go_first()
    if cell.spec.one_processor:
        with suppress(PermissionError):  # slower, and no less safe
            stay_on_one_processor(cell.incarnation)
    sys.setswitchinterval(cell.spec.switch_interval_s)
    setup = os.environ.get(SETUP_VARIABLE)
    if setup:
        load(setup)(cell.spec.name)

    def on_sigterm(_signal: int, _frame: FrameType | None) -> None:
        cell.stop(StopReason.SHUTDOWN)

    signal.signal(signal.SIGTERM, on_sigterm)
    status = cell.run()
    pykka.ActorRegistry.stop_all(block=False)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # hung actor threads must not delay the end


if __name__ == "__main__":
    sys.exit(main())
