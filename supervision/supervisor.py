"""The one-for-one supervisor of the actors of a cell.

It does no work of its own: it never blocks, asks, reads or writes. Incarnations report to it from their threads;
`step` looks at the reports and the time, acts, and says when it wants to be called again.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol, assert_never

from supervision.actor import StopReason
from supervision.clock import Clock
from supervision.events import ActorReport, Lifecycle, State, What
from supervision.incarnation import Crashed, Finished, Outcome, Started, Stopped
from supervision.intensity import RestartHistory, Verdict
from supervision.mailbox import Mailbox
from supervision.spec import CellSpec, ChildSpec, OnExceeded

STARTUP_PATIENCE_S = 2.0
"""How long the start of one actor may hold up the start of the next."""
_STOP_STEP_S = 0.01
_STARTS_AT_ONCE = 50
"""Of hundreds that may start together so many are launched in a step: the cell has to beat in between."""
_ABSENCE_S = 0.3


class Life(Protocol):
    """What the supervisor needs of an incarnation."""

    completed: int
    mailbox: Mailbox

    @property
    def progress_ns(self) -> int:
        """When it last completed work, or was last seen with nothing to do."""
        ...

    @property
    def idle_from_s(self) -> float:
        """From when on it has completed nothing though it could have, in monotonic seconds."""
        ...

    @property
    def epoch(self) -> int:
        """Its number."""
        ...

    def launch(self) -> None:
        """Start it."""
        ...

    def order_stop(self, reason: StopReason) -> None:
        """Have it stop in order."""
        ...

    def fence(self) -> None:
        """Give it up."""
        ...

    def interrupt(self) -> None:
        """End its thread if it burns the processor; called again and again."""
        ...

    def stack(self) -> str:
        """Return what its thread is doing."""
        ...

    def is_running(self) -> bool:
        """Return whether its thread still exists."""
        ...


Launch = Callable[[ChildSpec, Callable[[str, int, Outcome], None]], Life]


class _Child:
    """A specification and its present incarnation."""

    def __init__(self, spec: ChildSpec, rng: random.Random) -> None:
        self.spec = spec
        self.state = State.IDLE
        self.life: Life | None = None
        self.history = RestartHistory(spec.restart, spec.intensity, spec.backoff, rng)
        self.due_s = 0.0
        """When a backing-off or quarantined child is started, or a stopping one is given up."""
        self.since_s = 0.0
        """When the present state began."""
        self.look_s = 0.0
        """Before this nothing can be wrong with it, nor is anything to be done for it."""
        self.reason = ""
        self.dropped_before = 0

    @property
    def resolved(self) -> bool:
        """Whether its first start has come to something."""
        return self.state not in {State.IDLE, State.STARTING}

    def report(self) -> ActorReport:
        life = self.life
        return ActorReport(
            name=self.spec.name,
            state=self.state,
            epoch=life.epoch if life else 0,
            completed=life.completed if life else 0,
            progress_ns=life.progress_ns if life else 0,
            restarts=self.history.restarts,
            reason=self.reason,
            waiting=life.mailbox.waiting if life else 0,
            dropped=self.dropped_before + (life.mailbox.dropped if life else 0),
        )


class Supervisor:
    """Starts the actors of `spec` in order, keeps them running, stops them in reverse order.

    Pooled actors that follow one another are alike, and are stopped together. They are started together too, but for
    the first of them: what it imports and builds is there for the others then.
    """

    def __init__(
        self,
        spec: CellSpec,
        launch: Launch,
        clock: Clock,
        *,
        tell: Callable[[Lifecycle], None],
        wake: Callable[[], None],
    ) -> None:
        """Prepare; the first `step` starts the first actor."""
        rng = random.Random()  # noqa: S311 - jitter, not a secret
        self._spec = spec
        self._children = {child.name: _Child(child, rng) for child in spec.children}
        self._launch = launch
        self._clock = clock
        self._tell = tell
        self._wake = wake
        self._unstarted = deque(
            together
            for alike in _alike(self._children.values())
            for together in (alike[:1], alike[1:])
            if together
        )
        self._reports: deque[tuple[str, int, Outcome]] = deque()
        self._abandoned: list[Life] = []
        self._stopping: StopReason | None = None
        self._more_to_start = False
        self._stepped_s = clock.monotonic_s()
        self._excused_s = 0.0
        self.failure = ""
        """Why the cell has to be given up, or empty."""

    @property
    def ready(self) -> bool:
        """Whether the first start of every actor has come to something."""
        return all(child.resolved for child in self._children.values())

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""
        return self._stopping is not None

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for and every actor has ended."""
        return self._stopping is not None and all(
            c.state is State.STOPPED for c in self._children.values()
        )

    @property
    def done(self) -> bool:
        """Whether every actor has ended for good, by its own restart type."""
        return not self.failure and all(c.state is State.STOPPED for c in self._children.values())

    @property
    def has_reports(self) -> bool:
        """Whether an incarnation has reported something that `step` has not seen."""
        return bool(self._reports)

    @property
    def abandoned_threads(self) -> int:
        """How many hung threads are still there."""
        self._abandoned = [life for life in self._abandoned if life.is_running()]
        return len(self._abandoned)

    def reports(self) -> tuple[ActorReport, ...]:
        """Return how each actor stands."""
        return tuple(child.report() for child in self._children.values())

    def take_report(self, name: str, epoch: int, outcome: Outcome) -> None:
        """Note what an incarnation reports; called from any thread."""
        self._reports.append((name, epoch, outcome))
        self._wake()

    def stop(self, reason: StopReason) -> None:
        """Begin to stop every actor, the last started first."""
        if self._stopping is None:
            self._stopping = reason

    def step(self) -> float:
        """Act on reports and time; return the monotonic second of the next thing to do."""
        now_s = self._clock.monotonic_s()
        self._excuse_own_absence(now_s)
        while self._reports:
            self._on_report(*self._reports.popleft(), now_s)
        for child in self._children.values():
            if child.look_s <= now_s:
                self._look_after(child, now_s)
        for life in self._abandoned:
            life.interrupt()
        if self._stopping is None:
            self._start_in_order(now_s)
        else:
            self._stop_in_order(now_s, self._stopping)
        return self._next_s(now_s)

    def _excuse_own_absence(self, now_s: float) -> None:
        """Do not blame actors for a time in which the whole process stood still."""
        if now_s - self._stepped_s > _ABSENCE_S:
            self._excused_s = now_s
        self._stepped_s = now_s

    def _next_s(self, now_s: float) -> float:
        backing_off, stopping = State.BACKING_OFF, State.STOPPING
        due = [
            c.due_s
            for c in self._children.values()
            if c.state is backing_off or c.state is stopping  # a set would hash hundreds of states
        ]
        if self._more_to_start and self._stopping is None:
            return now_s
        pause_s = self._spec.beat_s / 2 if self._stopping is None else _STOP_STEP_S
        return min([now_s + pause_s, *due])

    def _start_in_order(self, now_s: float) -> None:
        while self._unstarted:
            idle = [child for child in self._unstarted[0] if child.state is State.IDLE]
            for child in idle[:_STARTS_AT_ONCE]:
                self._start(child, now_s)
            self._more_to_start = len(idle) > _STARTS_AT_ONCE
            if self._more_to_start or any(_holds_up(child, now_s) for child in self._unstarted[0]):
                return
            self._unstarted.popleft()

    def _start(self, child: _Child, now_s: float) -> None:
        self._enter(child, State.STARTING, now_s)
        child.life = self._launch(child.spec, self.take_report)
        child.life.launch()

    def _on_report(self, name: str, epoch: int, outcome: Outcome, now_s: float) -> None:
        child = self._children[name]
        if child.life is None or child.life.epoch != epoch:
            return
        match outcome:
            case Started():
                self._enter(child, State.RUNNING, now_s)
                self._event(child, What.STARTED)
            case Crashed(reason=reason, detail=detail):
                self._event(child, What.CRASHED, reason, detail)
                self._on_end(child, reason, now_s)
            case Stopped():
                self._event(child, What.STOPPED)
                self._enter(child, State.STOPPED, now_s)
            case Finished():
                self._event(child, What.FINISHED)
                self._on_end(child, "finished", now_s, normal=True)
            case _:
                assert_never(outcome)

    def _on_end(self, child: _Child, reason: str, now_s: float, *, normal: bool = False) -> None:
        ran_s = now_s - child.since_s if child.state is State.RUNNING else 0.0
        child.reason = reason
        if child.life is not None:
            child.dropped_before += child.life.mailbox.dropped
        if self._stopping is not None:
            self._enter(child, State.STOPPED, now_s)
            return
        judgement = child.history.on_end(now_s, ran_s=ran_s, normal=normal)
        match judgement.verdict:
            case Verdict.RESTART:
                self._rest(child, State.BACKING_OFF, now_s, judgement.delay_s)
                self._event(child, What.RESTARTING, reason, count=child.history.restarts)
            case Verdict.EXCEEDED:
                self._on_exceeded(child, reason, now_s)
            case Verdict.LEAVE:
                self._enter(child, State.STOPPED, now_s)
            case _:
                assert_never(judgement.verdict)

    def _on_exceeded(self, child: _Child, reason: str, now_s: float) -> None:
        match child.spec.on_exceeded:
            case OnExceeded.QUARANTINE:
                self._rest(child, State.QUARANTINED, now_s, child.spec.quarantine_s)
                self._event(child, What.QUARANTINED, reason)
            case OnExceeded.ESCALATE:
                self._enter(child, State.STOPPED, now_s)
                self._event(child, What.ESCALATED, reason)
                self.failure = self.failure or f"{child.spec.name} failed too often: {reason}"
            case _:
                assert_never(child.spec.on_exceeded)

    def _look_after(self, child: _Child, now_s: float) -> None:
        match child.state:
            case State.RUNNING:
                late_s = self._late(child, now_s)
                child.look_s = now_s + child.spec.liveness_s - late_s
                if late_s > child.spec.liveness_s:
                    self._abandon(child, f"no progress for {late_s:.2f} s", now_s)
            case State.STARTING if self._late(child, now_s) > child.spec.start_s:
                self._abandon(child, f"not started within {child.spec.start_s} s", now_s)
            case State.BACKING_OFF if now_s >= child.due_s:
                self._start(child, now_s)
            case State.QUARANTINED if now_s >= child.due_s:
                child.history.pardon()
                self._start(child, now_s)
            case _:
                pass

    def _abandon(self, child: _Child, reason: str, now_s: float) -> None:
        assert child.life is not None  # noqa: S101 - only a living child hangs
        self._event(child, What.HUNG, reason, child.life.stack())
        self._cut_off(child.life)
        self._on_end(child, reason, now_s)

    def _cut_off(self, life: Life) -> None:
        life.fence()
        self._abandoned.append(life)

    def _stop_in_order(self, now_s: float, reason: StopReason) -> None:
        """Stop the last started first, those that are alike together."""
        for alike in reversed(_alike(self._children.values())):
            ended = [self._has_stopped(child, now_s, reason) for child in reversed(alike)]
            if not all(ended):
                return

    def _has_stopped(self, child: _Child, now_s: float, reason: StopReason) -> bool:
        """Take `child` one step further towards its end; return whether it is there."""
        match child.state:
            case State.STOPPED:
                return True
            case State.RUNNING | State.STARTING if child.life is not None:
                child.life.order_stop(reason)
                self._rest(child, State.STOPPING, now_s, child.spec.shutdown_s)
            case State.STOPPING if now_s >= child.due_s and child.life is not None:
                why = f"not stopped within {child.spec.shutdown_s} s"
                self._event(child, What.HUNG, why, child.life.stack())
                self._cut_off(child.life)
                self._enter(child, State.STOPPED, now_s)
                return True
            case State.STOPPING:
                pass
            case _:
                self._enter(child, State.STOPPED, now_s)
                return True
        return False

    def _late(self, child: _Child, now_s: float) -> float:
        idle_from_s = child.life.idle_from_s if child.life is not None else now_s
        return now_s - max(idle_from_s, self._excused_s)

    def _enter(self, child: _Child, state: State, now_s: float) -> None:
        child.state, child.since_s, child.look_s = state, now_s, now_s

    def _rest(self, child: _Child, state: State, now_s: float, delay_s: float) -> None:
        self._enter(child, state, now_s)
        child.due_s = now_s + delay_s

    def _event(
        self, child: _Child, what: What, reason: str = "", detail: str = "", count: int = 1
    ) -> None:
        self._tell(
            Lifecycle(
                cell=self._spec.name,
                actor=child.spec.name,
                what=what,
                wall_ns=self._clock.wall_ns(),
                reason=reason,
                detail=detail,
                count=count,
                epoch=child.life.epoch if child.life else 0,
            )
        )


def _alike(children: Iterable[_Child]) -> list[list[_Child]]:
    """Return the children in order, those together that may start and stop at the same time."""
    groups = itertools.groupby(children, lambda child: "" if child.spec.pooled else child.spec.name)
    return [list(group) for _, group in groups]


def _holds_up(child: _Child, now_s: float) -> bool:
    """Return whether the next ones wait for the start of `child`."""
    return child.state is State.STARTING and now_s - child.since_s < STARTUP_PATIENCE_S
