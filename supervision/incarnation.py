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
from supervision.clock import NS_PER_S, Clock
from supervision.codec import Codec, MalformedMessageError
from supervision.envelope import Frame, Header, Lane
from supervision.events import ROOT, StartCell
from supervision.mailbox import Delivery, Mailbox, OwnEvent, StopOrder, Tick
from supervision.pool import Pool
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
        shared: tuple[bytes, ...] = (),
        pool: Pool | None = None,
    ) -> None:
        """Prepare; nothing runs before `launch`. The factory is called with the config and `shared`."""
        self.spec = spec
        self.shared = shared
        self._pool = pool if spec.pooled else None
        self._guest: _PooledShell | None = None
        self.mailbox = Mailbox(
            spec.mailbox,
            clock,
            tick_s=spec.tick_s,
            tick_when_idle=spec.tick_when_idle,
            ring=self._call if self._pool else None,
        )
        self.completed = 0
        self._progress_ns = 0
        self.thread: threading.Thread | None = None
        self._epoch = epoch
        self._codec = codec
        self._post_office = post_office
        self._clock = clock
        self._report = report
        self._fenced = False
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
        return self._fenced

    @property
    def progress_ns(self) -> int:
        """When it last completed work, or was last seen with nothing to do; monotonic, 0 before it is launched."""
        if self._pool and self._guest and self._pool.has_nothing_for(self._guest):
            self._progress_ns = self._clock.monotonic_ns()
        return self._progress_ns

    @property
    def idle_from_s(self) -> float:
        """From when on it has completed nothing though it could have, in monotonic seconds."""
        progress_s = self._progress_ns / NS_PER_S
        if self._pool is None or self._guest is None:
            return progress_s
        return max(progress_s, self._pool.idle_from_s(self._guest, self.spec.liveness_s))

    def launch(self) -> None:
        """Open the address and start the thread."""
        self._progress_ns = self._clock.monotonic_ns()
        self._post_office.open(self.name, self.mailbox)
        if self._pool is None:
            _Shell.start(self, self._codec)
        else:
            _PooledShell.start(self, self._codec)

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
        self._dispatch(self._codec.encode(message), receivers, lane, deadline_ns, trace)

    def send_encoded(
        self, body: bytes, *receivers: str, lane: Lane = Lane.TELEMETRY, trace: str = ""
    ) -> None:
        """Dispatch an encoded message to every receiver."""
        self._dispatch(body, receivers, lane, 0, trace)

    def _dispatch(
        self, body: bytes, receivers: tuple[str, ...], lane: Lane, deadline_ns: int, trace: str
    ) -> None:
        if not receivers:
            return
        header = Header(
            receiver=receivers[0],
            sender=self.name,
            epoch=self._epoch,
            lane=lane,
            deadline_ns=deadline_ns,
            trace=trace,
            also=receivers[1:],
        )
        frame = Frame(header, body)
        if self._fenced:
            self._post_office.bury(frame, "the sender is fenced")
        else:
            self._post_office.dispatch(frame)

    def post(self, event: object, *, urgent: bool = False) -> None:
        """Put `event` into the own mailbox, unless this life is over."""
        self.mailbox.post(event, urgent=urgent)

    def wake_at(self, mono_ns: int) -> None:
        """Call `on_tick` at that time too."""
        self.mailbox.wake_at(mono_ns)

    def on_fence(self, release: Callable[[], None]) -> None:
        """Remember what to release when this incarnation is given up."""
        self._releases.append(release)
        if self._fenced:
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
        self._progress_ns = self._clock.monotonic_ns()

    def enter_pool(self, guest: _PooledShell) -> None:
        """Be served by the cell's shared threads from now on."""
        self._guest = guest
        self._call()

    def _call(self, urgent: bool = False) -> None:  # noqa: FBT001, FBT002 - as the mailbox calls it
        """Have the pool serve it, if `urgent` before the other actors."""
        if self._pool is not None and self._guest is not None:
            self._pool.schedule(self._guest, first=urgent)

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
        self._fenced = True
        self._post_office.close(self.name, self.mailbox)
        self._release()
        if self._pool is not None and self._guest is not None:
            self._pool.abandon(self._guest)
        self.mailbox.order_stop(StopReason.RESTART)

    def _release(self) -> None:
        for release in tuple(self._releases):
            release()

    def interrupt(self) -> None:
        """Get a hung thread out of Python code if it has burned the processor since the last call.

        A thread that only waits is left alone: an exception that it cannot take would slow the whole process down.
        """
        thread = self.thread
        if thread is None or thread.ident is None or not thread.is_alive():
            return
        spent_ns = thread_cpu_ns(thread.native_id or 0)
        before_ns, self._cpu_ns = self._cpu_ns, spent_ns
        if before_ns is not None and spent_ns - before_ns > _BURNING_NS:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(Abandoned)
            )

    def stack(self) -> str:
        """Return the Python stack of the incarnation's thread, or a note that it has none."""
        thread = self.thread
        frame = None if thread is None else sys._current_frames().get(thread.ident or 0)  # noqa: SLF001
        if frame is None:
            return "the thread has no Python frame"
        return "".join(traceback.format_stack(frame))

    def is_running(self) -> bool:
        """Return whether its thread still exists, useful or not; a pooled one has none while it has nothing to do."""
        thread = self.thread
        if thread is not None:
            return thread.is_alive()
        return self._guest is not None and not self._guest.actor_stopped.is_set()


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
        self._name_thread(self._life.thread)
        self._watch(self._begin)

    def _name_thread(self, thread: threading.Thread) -> None:
        thread.name = self._life.name

    def on_receive(self, message: Any) -> None:  # noqa: ANN401 - as Pykka declares it
        self._watch(self._serve, message)
        if self._life.finishing and not self.actor_stopped.is_set():
            self._leave(Finished())

    def _begin(self) -> None:
        actor: Actor = load(self._life.spec.factory)(self._life.spec.config, *self._life.shared)
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

    def _watch(self, work: Callable[..., None], *arguments: object) -> None:
        """Run `work(*arguments)`; whatever it raises, even `SystemExit`, ends this incarnation and no other."""
        try:
            work(*arguments)
        except Exception as error:
            self._leave(_crash(error))
            raise  # Pykka logs it, and gives it to whoever asked
        except BaseException as error:  # noqa: BLE001 - Pykka would stop every actor of the process on it
            self._leave(_crash(error))


class _Flag:
    """As much of an event as Pykka asks of `actor_stopped`: what makes one wait takes a kilobyte, and nobody does."""

    __slots__ = ("_raised",)

    def __init__(self) -> None:
        self._raised = False

    def set(self) -> None:
        self._raised = True

    def is_set(self) -> bool:
        return self._raised


class _PooledShell(_Shell):
    """The same, served by the threads of a pool: Pykka leaves it to an actor how its loop is run."""

    scheduled = False
    first = False
    running = False
    due_s = float("inf")
    timer_s = float("inf")
    turn_s = 0.0
    _begun = False

    def __init__(self, life: Incarnation, codec: Codec) -> None:
        super().__init__(life, codec)
        flag: Any = _Flag()
        self.actor_stopped = self.actor_ref.actor_stopped = flag

    def _start_actor_loop(self) -> None:
        self._life.enter_pool(self)

    def _name_thread(self, thread: threading.Thread) -> None:
        pass  # it serves others too

    def serve(self, units: int, thread: threading.Thread) -> bool:
        """Do up to so many units of work; return whether more may wait."""
        life = self._life
        life.thread = thread
        try:
            for _ in range(units):
                if not self._unit():
                    return False
                if life.mailbox.idle:
                    return False  # what comes from now on has it scheduled again
            return True
        finally:
            life.thread = None

    def next_s(self) -> float:
        """Return when the next tick is due; never for one that has ended."""
        return float("inf") if self.actor_stopped.is_set() else self._life.mailbox.due_s

    def forsake(self) -> None:
        """Leave the registry: whoever served it has ended with it."""
        self.actor_stopped.set()
        pykka.ActorRegistry.unregister(self.actor_ref)

    def _unit(self) -> bool:
        """Do one unit of work; return whether there was one."""
        if self.actor_stopped.is_set():
            return False
        if not self._begun:
            self._begun = True
            self._actor_loop_setup()
            return True
        delivery = self._life.mailbox.take()
        if delivery is None:
            return False
        try:
            answer = self._handle_receive(delivery.message)
        except Exception:  # noqa: BLE001 - it has been reported; as in Pykka's own loop the asker gets it, or the log
            if delivery.reply_to is not None:
                delivery.reply_to.set_exception()
            else:
                self._handle_failure(*sys.exc_info())
        else:
            if delivery.reply_to is not None:
                delivery.reply_to.set(answer)
        return True


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
