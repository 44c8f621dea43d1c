"""The root supervisor: starts cells, routes frames between them, and notices when one dies, hangs or grows.

It decodes the header of a frame and never its body, does no work of its own, and waits for nobody. A critical cell is
restarted for ever; a degradable one that fails too often is quarantined and tried again later; the others live on.
"""

from __future__ import annotations

import random
import selectors
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import assert_never

import msgspec

from supervision.actor import StopReason
from supervision.cellprocess import CellProcess
from supervision.clock import Clock, SystemClock
from supervision.envelope import Frame, Header, Lane, addressed
from supervision.events import (
    ROOT,
    Beat,
    Introduction,
    Lifecycle,
    Pulse,
    Ready,
    SiteReport,
    StartCell,
    State,
    Stop,
    What,
)
from supervision.intensity import Verdict
from supervision.link import LinkClosedError, Waker
from supervision.outside import Outside
from supervision.process import name_process, reap_strangers
from supervision.spec import CellKind, CellSpec, refuse_duplicates

REPORT_PERIOD_S = 0.25
STARTUP_PATIENCE_S = 5.0
"""How long the start of one cell may hold up the start of the next."""
_MEASURE_PERIOD_S = 0.1
_ABSENCE_S = 0.5
_MEGABYTE = 1 << 20

CellMessage = Beat | Ready | Lifecycle | StartCell | Pulse
"""What root decodes: frames addressed to itself."""


class Root:
    """Supervises the cells of one site until it is told to stop."""

    def __init__(
        self,
        cells: Sequence[CellSpec],
        *,
        generation: int,
        watchers: Sequence[str] = (),
        reporters: Sequence[str] = (),
        title: str = "bessai",
        clock: Clock | None = None,
        on_event: Callable[[Lifecycle], None] = lambda _event: None,
        outside: Outside | None = None,
    ) -> None:
        """Prepare the site.

        `generation` must rise with every start of the site. `watchers` are the actors that are told of each
        `Lifecycle`, `reporters` those that get a `SiteReport` a few times a second. `on_event` is for the log.
        `outside` is told of the site's progress and of its stop.

        Raises:
            SpecError: two cells or two actors have the same name.
        """
        refuse_duplicates("cell", [cell.name for cell in cells])
        refuse_duplicates("actor", [child.name for cell in cells for child in cell.children])
        rng = random.Random()  # noqa: S311 - jitter, not a secret
        self._cells = {c.name: CellProcess(c, rng, title=f"{title}: cell {c.name}") for c in cells}
        self._home = {child.name: self._cells[c.name] for c in cells for child in c.children}
        self._generation = generation
        self._watchers = tuple(watchers)
        self._reporters = tuple(reporters)
        self._title = title
        self._clock = clock or SystemClock()
        self._on_event = on_event
        self._outside = outside or Outside()
        self._started_ns = self._clock.monotonic_ns()
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(CellMessage)
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._report_due_s = 0.0
        self._measure_due_s = 0.0
        self._stepped_s = self._clock.monotonic_s()
        last_first = list(self._cells.values())[::-1]
        self._stop_order = sorted(last_first, key=lambda cell: cell.spec.listens_last)
        self._stopping = False
        self._hastened = False

    def run(self) -> int:
        """Run the site until SIGTERM, SIGINT or `stop`; return 0 if every cell stopped in order, else 1."""
        name_process(f"{self._title}: root")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: self._waker.wake())
        self._selector.register(self._waker, selectors.EVENT_READ, self._waker.clear)
        while not self._stopped():
            self.step()
            self._wait()
        return 0 if all(not cell.killed_for for cell in self._cells.values()) else 1

    def stop(self) -> None:
        """Stop every cell, the last started first, those that listen last after them; a second call does not wait."""
        self._hastened = self._stopping
        self._stopping = True
        self._waker.wake()

    def step(self) -> None:
        """Do what is due now."""
        now_s = self._clock.monotonic_s()
        self._excuse_own_absence(now_s)
        for cell in self._cells.values():
            self._look_after(cell, now_s)
        if self._stopping:
            self._outside.stop()
            self._stop_in_order(now_s)
        else:
            self._start_in_order(now_s)
        if now_s >= self._measure_due_s:
            self._measure_due_s = now_s + _MEASURE_PERIOD_S
            self._measure()
        if now_s >= self._report_due_s:
            self._report_due_s = now_s + REPORT_PERIOD_S
            self._report()
        self._flush()

    def _excuse_own_absence(self, now_s: float) -> None:
        """Do not blame cells for beats that root itself was too late to hear, after a stop or a stall."""
        if now_s - self._stepped_s > _ABSENCE_S:
            for cell in self._cells.values():
                cell.heard_s = now_s
        self._stepped_s = now_s

    def _wait(self) -> None:
        for key, _ in self._selector.select(self._pause_s()):
            key.data()

    def _pause_s(self) -> float:
        now_s = self._clock.monotonic_s()
        resting = {State.BACKING_OFF, State.QUARANTINED, State.STOPPING}
        due = [cell.due_s for cell in self._cells.values() if cell.state in resting]
        return max(0.0, min([self._measure_due_s, self._report_due_s, *due]) - now_s)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _stopped(self) -> bool:
        return self._stopping and all(
            cell.state in {State.STOPPED, State.IDLE} for cell in self._cells.values()
        )

    def _start_in_order(self, now_s: float) -> None:
        for cell in self._cells.values():
            if cell.state is State.IDLE and cell.spec.kind is not CellKind.ON_DEMAND:
                self._start(cell, now_s)
            if not cell.resolved and now_s - cell.since_s < STARTUP_PATIENCE_S:
                return

    def _start(self, cell: CellProcess, now_s: float) -> None:
        try:
            cell.start(lambda incarnation: self._introduction(cell, incarnation), now_s)
        except OSError as error:
            self._on_end(cell, f"cannot start a process: {error}", now_s)
            return
        assert cell.link is not None  # noqa: S101 - just started
        self._selector.register(cell.pidfd, selectors.EVENT_READ, lambda: self._on_exit(cell))
        self._selector.register(cell.link.sock, selectors.EVENT_READ, lambda: self._on_frames(cell))
        self._event(cell, What.STARTED)

    def _introduction(self, cell: CellProcess, incarnation: int) -> Introduction:
        return Introduction(
            generation=self._generation,
            site_started_ns=self._started_ns,
            incarnation=incarnation,
            spec=self._encoder.encode(cell.spec),
            addresses=tuple(self._home),
            watchers=self._watchers,
        )

    def _look_after(self, cell: CellProcess, now_s: float) -> None:
        spec = cell.spec
        match cell.state:
            case State.RUNNING if now_s - cell.heard_s > spec.liveness_s:
                cell.kill(f"no beat for {now_s - cell.heard_s:.2f} s")
            case State.STARTING if cell.last_beat is None and now_s - cell.since_s > spec.start_s:
                cell.kill(f"no beat within {spec.start_s} s of its start")
            case State.STARTING if (
                cell.last_beat is not None and now_s - cell.heard_s > spec.liveness_s
            ):
                cell.kill(f"no beat for {now_s - cell.heard_s:.2f} s")
            case State.STOPPING if now_s > cell.due_s or self._hastened:
                cell.kill("not stopped in time" if now_s > cell.due_s else "told to hurry")
            case State.BACKING_OFF if now_s >= cell.due_s:
                self._start(cell, now_s)
            case State.QUARANTINED if now_s >= cell.due_s:
                cell.history.pardon()
                self._start(cell, now_s)
            case _:
                pass

    def _stop_in_order(self, now_s: float) -> None:
        for cell in self._stop_order:
            match cell.state:
                case State.IDLE | State.STOPPED:
                    continue
                case State.STARTING | State.RUNNING:
                    cell.tell(self._encoder.encode(Stop(reason=StopReason.SHUTDOWN.value)))
                    cell.enter(State.STOPPING, now_s, now_s + cell.spec.shutdown_s)
                case State.STOPPING:
                    pass
                case State.BACKING_OFF | State.QUARANTINED:
                    cell.enter(State.STOPPED, now_s)
                case _:
                    assert_never(cell.state)
            return

    def _on_exit(self, cell: CellProcess) -> None:
        if cell.link is not None and not cell.link.closed:
            self._serve(cell, cell.link.last_words())
            self._on_lost_link(cell, "the process ended")
        self._selector.unregister(cell.pidfd)
        reason, status = cell.collect()
        self._on_end(cell, reason, self._clock.monotonic_s(), normal=status == 0)

    def _on_end(
        self, cell: CellProcess, reason: str, now_s: float, *, normal: bool = False
    ) -> None:
        stopping = cell.state is State.STOPPING
        cell.reason = reason
        self._event(cell, _what_ended(cell, normal=normal, stopping=stopping), reason)
        if self._stopping:
            cell.enter(State.STOPPED, now_s)
            return
        judgement = cell.history.on_end(now_s, ran_s=now_s - cell.since_s, normal=normal)
        match judgement.verdict:
            case Verdict.LEAVE:
                cell.enter(State.IDLE, now_s)
            case Verdict.EXCEEDED if cell.spec.kind is not CellKind.CRITICAL:
                cell.enter(State.QUARANTINED, now_s, now_s + cell.spec.quarantine_s)
                self._event(cell, What.QUARANTINED, reason)
            case Verdict.RESTART | Verdict.EXCEEDED:
                cell.enter(State.BACKING_OFF, now_s, now_s + judgement.delay_s)
                self._event(cell, What.RESTARTING, reason, count=cell.history.restarts)
            case _:
                assert_never(judgement.verdict)

    def _on_frames(self, cell: CellProcess) -> None:
        if cell.link is None or cell.link.closed:
            return
        try:
            frames = cell.link.receive()
        except LinkClosedError as error:
            self._on_lost_link(cell, str(error))
            return
        self._serve(cell, frames)

    def _serve(self, cell: CellProcess, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.header.receiver == ROOT:
                self._on_message(cell, frame)
            elif self._home.get(frame.header.sender) is cell:
                self._route(frame)
            else:
                self._on_forged(cell, frame.header)

    def _on_forged(self, cell: CellProcess, header: Header) -> None:
        """Deliver nothing in the name of an actor that lives elsewhere: rights hang on names. Tell it once a life."""
        if cell.forged_in != cell.incarnation:
            cell.forged_in = cell.incarnation
            reason = f"to {header.receiver}: {header.sender} does not live in {cell.spec.name}"
            self._event(cell, What.DEAD_LETTERS, reason)

    def _on_lost_link(self, cell: CellProcess, reason: str) -> None:
        """Stop listening; a process that lives on without its link is of no use."""
        assert cell.link is not None  # noqa: S101 - its link was just read
        if cell.link.sock in self._selector.get_map():
            self._selector.unregister(cell.link.sock)
        cell.link.close()
        cell.reason = f"link lost: {reason}"

    def _route(self, frame: Frame) -> None:
        homes: dict[str, list[str]] = {}
        for receiver in frame.header.receivers:
            if home := self._home.get(receiver):
                homes.setdefault(home.spec.name, []).append(receiver)
        for name, receivers in homes.items():
            link = self._cells[name].link
            if link is not None and not link.closed:
                link.send(addressed(frame, receivers))

    def _on_message(self, cell: CellProcess, frame: Frame) -> None:
        try:
            message = self._decoder.decode(frame.body)
        except msgspec.MsgspecError as error:
            self._event(cell, What.DEAD_LETTERS, f"to {ROOT}: {error}")
            return
        match message:
            case Beat():
                self._on_beat(cell, message)
            case Ready():
                if cell.state is State.STARTING:
                    cell.enter(State.RUNNING, self._clock.monotonic_s())
            case Lifecycle():
                self._spread(message)
            case StartCell(cell=name):
                self._on_request(name)
            case Pulse() if self._home.get(frame.header.sender) is cell:
                self._outside.hear(message, frame.header.sender, self._clock.monotonic_ns())
            case Pulse():
                self._on_forged(cell, frame.header)
            case _:
                assert_never(message)

    def _on_beat(self, cell: CellProcess, beat: Beat) -> None:
        if beat.actors is None and cell.last_beat is not None:
            beat = msgspec.structs.replace(beat, actors=cell.last_beat.actors)
        cell.last_beat = beat
        cell.heard_s = self._clock.monotonic_s()
        if beat.abandoned_threads > cell.spec.max_abandoned_threads:
            cell.kill(f"{beat.abandoned_threads} hung threads")

    def _on_request(self, name: str) -> None:
        cell = self._cells.get(name)
        startable = (
            cell is not None and cell.spec.kind is CellKind.ON_DEMAND and cell.state is State.IDLE
        )
        if cell is not None and startable and not self._stopping:
            self._start(cell, self._clock.monotonic_s())

    def _measure(self) -> None:
        reap_strangers({cell.pid for cell in self._cells.values()})
        for cell in self._cells.values():
            limit = cell.spec.memory_limit_mb
            if cell.pid and cell.measure() > limit * _MEGABYTE:
                cell.kill(f"{cell.memory_bytes // _MEGABYTE} MB of memory, limit {limit} MB")

    def _report(self) -> None:
        report = SiteReport(
            mono_ns=self._clock.monotonic_ns(),
            started_ns=self._started_ns,
            cells=tuple(cell.report() for cell in self._cells.values()),
        )
        self._send(report, self._reporters)

    def _event(self, cell: CellProcess, what: What, reason: str = "", count: int = 1) -> None:
        self._spread(
            Lifecycle(
                cell=cell.spec.name,
                what=what,
                wall_ns=self._clock.wall_ns(),
                reason=reason,
                count=count,
                epoch=cell.incarnation,
            )
        )

    def _spread(self, event: Lifecycle) -> None:
        self._on_event(event)
        self._send(event, self._watchers)

    def _send(self, message: msgspec.Struct, receivers: Sequence[str]) -> None:
        body = self._encoder.encode(message)
        for receiver in receivers:
            self._route(
                Frame(
                    Header(
                        receiver=receiver, sender=ROOT, epoch=self._generation, lane=Lane.TELEMETRY
                    ),
                    body,
                )
            )

    def _flush(self) -> None:
        for cell in self._cells.values():
            link = cell.link
            if link is None or link.closed:
                continue
            try:
                link.flush()
            except LinkClosedError as error:
                self._on_lost_link(cell, str(error))
                continue
            if self._selector.get_map()[link.sock].events != link.interest():
                self._selector.modify(
                    link.sock, link.interest(), lambda cell=cell: self._on_frames(cell)
                )


def _what_ended(cell: CellProcess, *, normal: bool, stopping: bool) -> What:
    if cell.killed_for:
        return What.KILLED
    if normal:
        return What.STOPPED if stopping else What.FINISHED
    return What.CRASHED
