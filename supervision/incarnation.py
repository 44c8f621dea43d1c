"""One life of an actor: a Pykka actor whose every way to fail is seen.

Pykka by itself lets a failing constructor and `on_start` pass without `on_failure`, gives an exception during `ask` to
the caller only, stops every actor of the process on `SystemExit`, calls a hung actor alive, and loses what is left
in an inbox. `_Shell` closes each of these gaps and reports to the supervisor, once, how the incarnation ended.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pykka

from supervision.actor import Actor, StopReason
from supervision.clock import Clock
from supervision.codec import Codec, MalformedMessageError
from supervision.envelope import Frame, Header, Lane
from supervision.events import ROOT, StartCell
from supervision.mailbox import Delivery, Mailbox, OwnEvent, StopOrder, Tick
from supervision.postoffice import PostOffice
from supervision.process import thread_cpu_ns
from supervision.spec import ChildSpec, load


class Started(NamedTuple):
    """The actor was constructed and its `on_start` returned."""


class Crashed(NamedTuple):
    """The actor raised."""

    reason: str
    detail: str


class Stopped(NamedTuple):
    """The actor stopped as ordered."""


class Finished(NamedTuple):
    """The actor ended by itself, normally."""


_BURNING_NS = 2_000_000
"""Processor time between two looks at a hung thread from which it counts as running."""

Outcome = Started | Crashed | Stopped | Finished
Report = Callable[[str, int, Outcome], None]
"""Called with name, epoch and outcome, from the incarnation's thread."""


class Abandoned(BaseException):
    """Raised inside a hung thread that still runs Python code, so that it stops wasting the processor."""


class Incarnation:
    """A running actor as its supervisor holds it; also the actor's `ActorContext`."""

    def __init__(
        self,
        spec: ChildSpec,
        epoch: int,
        *,
        codec: Codec,
        post_office: PostOffice,
        clock: Clock,
        report: Report,
    ) -> None:
        """Prepare; nothing runs before `launch`."""
        self.spec = spec
        self.mailbox = Mailbox(spec.mailbox, clock, tick_s=spec.tick_s)
        self.completed = 0
        self.progress_ns = 0
        self.thread: threading.Thread | None = None
        self._epoch = epoch
        self._codec = codec
        self._post_office = post_office
        self._clock = clock
        self._report = report
        self._fenced = threading.Event()
        self._releases: list[Callable[[], None]] = []
        self._cpu_ns: int | None = None
        self.finishing = False

    @property
    def name(self) -> str:
        """The actor's address."""
        return self.spec.name

    @property
    def epoch(self) -> int:
        """The number of this incarnation."""
        return self._epoch

    @property
    def clock(self) -> Clock:
        """The clocks the actor is to use."""
        return self._clock

    @property
    def fenced(self) -> bool:
        """Whether this incarnation has been given up."""
        return self._fenced.is_set()

    def launch(self) -> None:
        """Open the address and start the thread."""
        self.progress_ns = self._clock.monotonic_ns()
        self._post_office.open(self.name, self.mailbox)
        _Shell.start(self, self._codec)

    def send(
        self,
        message: msgspec.Struct,
        *receivers: str,
        lane: Lane = Lane.TELEMETRY,
        ttl_s: float | None = None,
        trace: str = "",
    ) -> None:
        """Encode `message` once and dispatch it to every receiver."""
        deadline_ns = 0 if ttl_s is None else self._clock.monotonic_ns() + int(ttl_s * 1e9)
        body = self._codec.encode(message)
        for receiver in receivers:
            header = Header(
                receiver=receiver,
                sender=self.name,
                epoch=self._epoch,
                lane=lane,
                deadline_ns=deadline_ns,
                trace=trace,
            )
            frame = Frame(header, body)
            if self._fenced.is_set():
                self._post_office.bury(frame, "the sender is fenced")
            else:
                self._post_office.dispatch(frame)

    def post(self, event: object, *, urgent: bool = False) -> None:
        """Put `event` into the own mailbox, unless this life is over."""
        self.mailbox.post(event, urgent=urgent)

    def on_fence(self, release: Callable[[], None]) -> None:
        """Remember what to release when this incarnation is given up."""
        self._releases.append(release)
        if self._fenced.is_set():
            release()

    def start_cell(self, cell: str) -> None:
        """Ask root to start an on-demand cell."""
        self.send(StartCell(cell=cell), ROOT, lane=Lane.CONTROL)

    def finish(self) -> None:
        """End normally after the current unit of work."""
        self.finishing = True

    def work_done(self) -> None:
        """Count a completed unit of work."""
        self.completed += 1
        self.progress_ns = self._clock.monotonic_ns()

    def end(self, outcome: Outcome) -> None:
        """Close the mailbox and report how this life ended, unless it was given up before."""
        self._post_office.close(self.name, self.mailbox)
        if isinstance(outcome, Crashed):
            self._release()
        if not self.fenced:
            self._report(self.name, self._epoch, outcome)

    def started(self) -> None:
        """Report that `on_start` returned."""
        self.work_done()
        if not self.fenced:
            self._report(self.name, self._epoch, Started())

    def bury(self, frame: Frame, reason: str) -> None:
        """Count a frame that reached the actor but means nothing."""
        self._post_office.bury(frame, reason)

    def order_stop(self, reason: StopReason) -> None:
        """Have the actor stop before it does anything else."""
        self.mailbox.order_stop(reason)

    def fence(self) -> None:
        """Give this incarnation up: nothing it sends counts any more, and what it holds is released."""
        self._fenced.set()
        self._post_office.close(self.name, self.mailbox)
        self._release()
        self.mailbox.order_stop(StopReason.RESTART)

    def _release(self) -> None:
        for release in tuple(self._releases):
            release()

    def interrupt(self) -> None:
        """Get a hung thread out of Python code if it has burned the processor since the last call.

        A thread that only waits is left alone: an exception that it cannot take would slow the whole process down.
        """
        if self.thread is None or self.thread.ident is None or not self.thread.is_alive():
            return
        spent_ns = thread_cpu_ns(self.thread.native_id or 0)
        before_ns, self._cpu_ns = self._cpu_ns, spent_ns
        if before_ns is not None and spent_ns - before_ns > _BURNING_NS:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self.thread.ident), ctypes.py_object(Abandoned)
            )

    def stack(self) -> str:
        """Return the Python stack of the incarnation's thread, or a note that it has none."""
        frame = None if self.thread is None else sys._current_frames().get(self.thread.ident or 0)  # noqa: SLF001
        if frame is None:
            return "the thread has no Python frame"
        return "".join(traceback.format_stack(frame))

    def is_running(self) -> bool:
        """Return whether the thread still exists, useful or not."""
        return self.thread is not None and self.thread.is_alive()


class _Shell(pykka.ThreadingActor):
    """What Pykka runs: it builds the author's actor in its own thread and watches every call into it."""

    use_daemon_thread = True

    def __init__(self, life: Incarnation, codec: Codec) -> None:
        self._life = life  # before Pykka asks for the inbox
        super().__init__()
        self._codec = codec
        self._actor: Actor | None = None

    def _create_actor_inbox(self) -> Any:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # noqa: ANN401 - Mailbox is Pykka's inbox by shape; here it belongs to one life
        return self._life.mailbox

    def on_start(self) -> None:
        self._life.thread = threading.current_thread()
        self._life.thread.name = self._life.name
        self._watch(self._begin)

    def on_receive(self, message: Any) -> None:  # noqa: ANN401 - as Pykka declares it
        self._watch(lambda: self._serve(message))
        if self._life.finishing and not self.actor_stopped.is_set():
            self._leave(Finished())

    def _begin(self) -> None:
        actor: Actor = load(self._life.spec.factory)(self._life.spec.config)
        self._actor = actor
        actor.on_start(self._life)
        self._life.started()

    def _serve(self, message: object) -> None:
        assert self._actor is not None  # noqa: S101 - a failed start ends the loop
        match message:
            case Frame():
                self._serve_frame(self._actor, message)
            case Tick():
                self._actor.on_tick()
            case OwnEvent(event=event):
                self._actor.on_event(event)
            case StopOrder(reason=reason):
                self._stop_in_order(self._actor, reason)
            case _:
                msg = f"{self._life.name} was sent {type(message).__name__} outside the post office"
                raise TypeError(msg)
        self._life.work_done()

    def _serve_frame(self, actor: Actor, frame: Frame) -> None:
        deadline_ns = frame.header.deadline_ns
        if deadline_ns and self._life.clock.monotonic_ns() > deadline_ns:
            self._life.bury(frame, "expired")
            return
        try:
            message = self._codec.decode(frame.body)
        except MalformedMessageError:
            self._life.bury(frame, "malformed")
            return
        actor.on_message(message, frame.header)

    def _stop_in_order(self, actor: Actor, reason: StopReason) -> None:
        if not self._life.fenced:
            actor.on_stop(reason)
        self._leave(Stopped())

    def _leave(self, outcome: Outcome) -> None:
        self.actor_stopped.set()
        pykka.ActorRegistry.unregister(self.actor_ref)
        self._life.end(outcome)

    def _watch(self, work: Callable[[], None]) -> None:
        """Run `work`; whatever it raises, even `SystemExit`, ends this incarnation and no other."""
        try:
            work()
        except Exception as error:
            self._leave(_crash(error))
            raise  # Pykka logs it, and gives it to whoever asked
        except BaseException as error:  # noqa: BLE001 - Pykka would stop every actor of the process on it
            self._leave(_crash(error))


def _crash(error: BaseException) -> Crashed:
    reason = f"{type(error).__name__}: {error}"
    return Crashed(reason, "".join(traceback.format_exception(error)))


__all__ = [
    "Abandoned",
    "Crashed",
    "Delivery",
    "Finished",
    "Incarnation",
    "Outcome",
    "Report",
    "Started",
    "Stopped",
]
