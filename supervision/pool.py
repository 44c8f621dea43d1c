"""A few threads that many actors share, one unit of work at a time.

Hundreds of threads that wake for a tenth of a millisecond each spend most of their time in waking. Here one worker
serves whoever has work, and stays awake as long as somebody has. Another one is woken only when a unit of work takes
longer than `PATIENCE_S`; somebody outside must `watch` for that. A worker whose actor is given up is replaced, and ends
when the actor lets go of it.

An actor is served by one worker at a time, and by whichever comes: it must not keep anything in thread-local storage.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from typing import Protocol

from supervision.clock import Clock
from supervision.lanes import MAX_PASSED_OVER
from supervision.mailbox import Bell

WORKERS = 4
"""So many units of work may block at the same time before the others wait. Project's choice."""
PATIENCE_S = 0.02
_UNITS = 8
"""Units of work of one actor before it is the next one's turn."""
_LONGEST_S = 60.0
_OFTEN = 150.0
"""Wakes a second from which a pool counts as busy: that of a handful of devices never is."""
_GATHER_S = 0.002
_WINDOW_S = 0.5


class Guest(Protocol):
    """An actor, as the pool sees it. All but the methods belongs to the pool."""

    scheduled: bool
    first: bool
    """Whether something waits for it that goes before what the others do."""
    running: bool
    due_s: float
    timer_s: float
    """When a timer rings for it, in monotonic seconds: when it is due, or before."""
    turn_s: float
    """When its last turn began, in monotonic seconds."""

    def serve(self, units: int, thread: threading.Thread) -> bool:
        """Do up to so many units of work on this `thread`; return whether more may wait."""
        ...

    def next_s(self) -> float:
        """Return when it has something to do even if nothing arrives, in monotonic seconds."""
        ...

    def forsake(self) -> None:
        """End: it was given up while it was served."""
        ...


class _Worker:
    """A thread and what it does."""

    def __init__(self, pool: Pool, name: str) -> None:
        self.bell = Bell()
        self.guest: Guest | None = None
        self.since_s = 0.0
        self.idle = False
        self.until_s = 0.0
        """How long it sleeps if it keeps the time."""
        self.abandoned = False
        self.thread = threading.Thread(
            target=pool._work,  # noqa: SLF001 - of its own module
            args=(self,),
            name=name,
            daemon=True,
        )


class Pool:
    """The threads of a cell's pooled actors."""

    def __init__(self, clock: Clock) -> None:
        """Begin without threads; they come with the first guest."""
        self._clock = clock
        self._lock = threading.Lock()
        self._first: deque[Guest] = deque()
        self._ready: deque[Guest] = deque()
        self._passed_over = 0
        """How many of `_first` have gone before one of `_ready`."""
        self._timers: list[tuple[float, int, Guest]] = []
        self._order = itertools.count()
        self._workers: list[_Worker] = []
        self._keeper: _Worker | None = None
        """The one that sleeps no longer than until the first timer, and is woken first: it is the warmest."""
        self._wakes, self._counted_s, self._often = 0, clock.monotonic_s(), False
        self._turn_s = clock.monotonic_s()
        self._names = itertools.count(1)

    def schedule(self, guest: Guest, *, first: bool = False) -> None:
        """Have `guest` served, soon, or before others with `first`; from any thread, as often as one likes."""
        with self._lock:
            if guest.scheduled:
                if first and not guest.first:
                    self._bring_forward(guest)
                return
            guest.scheduled, guest.first = True, first
            if guest.running:
                return  # its worker looks at it again
            self._line_up(guest)
            self._engage()
            asleep = all(worker.idle for worker in self._workers)
            worker = self._sleeper() if asleep else None
        if worker is not None:
            worker.bell.ring()

    def idle_from_s(self, guest: Guest, patience_s: float) -> float:
        """Return from when on `guest` could have worked: not before its turn began; from now if it has nothing to do.

        One that waits for its turn could not, unless nobody has had a turn for longer than `patience_s`: before that
        those who keep the threads are to be given up.
        """
        with self._lock:
            now_s = self._clock.monotonic_s()
            if self._has_nothing_for(guest, now_s):
                return now_s
            return guest.turn_s if guest.running else self._turn_s + patience_s

    def has_nothing_for(self, guest: Guest) -> bool:
        """Return whether `guest` neither works nor has anything to do yet: so it cannot hang either."""
        with self._lock:
            return self._has_nothing_for(guest, self._clock.monotonic_s())

    def _has_nothing_for(self, guest: Guest, now_s: float) -> bool:
        return not (guest.scheduled or guest.running) and guest.due_s > now_s

    def watch(self) -> None:
        """Wake another worker if there is work, or a timer is due, and those that are awake are held up."""
        with self._lock:
            due = bool(self._timers) and self._timers[0][0] <= self._clock.monotonic_s()
            worker = self._helper() if self._first or self._ready or due else None
        if worker is not None:
            worker.bell.ring()

    def hurry(self) -> None:
        """Serve everybody who waits at once, each on a thread of its own: at a stop each unit of work may block."""
        with self._lock:
            waiting = len(self._first) + len(self._ready)
            idle = [worker for worker in self._workers if worker.idle][:waiting]
            for _ in range(waiting - len(idle)):
                self._add_worker()
        for worker in idle:
            worker.bell.ring()

    def abandon(self, guest: Guest) -> None:
        """Give up the worker that serves `guest`, if one does: the thread ends when the guest lets go of it."""
        with self._lock:
            for worker in self._workers:
                if worker.guest is guest:
                    worker.abandoned = True
                    self._workers.remove(worker)
                    break
            self._engage()

    def _engage(self) -> None:
        """Start the threads that are missing."""
        while len(self._workers) < WORKERS:
            self._add_worker()

    def _add_worker(self) -> None:
        worker = _Worker(self, f"pool-{next(self._names)}")
        self._workers.append(worker)
        worker.thread.start()

    def _line_up(self, guest: Guest) -> None:
        (self._first if guest.first else self._ready).append(guest)

    def _bring_forward(self, guest: Guest) -> None:
        guest.first = True
        if not guest.running:
            self._ready.remove(guest)
            self._first.append(guest)

    def _next(self) -> Guest | None:
        """Return whose turn it is; those who go first cannot keep the others waiting for ever."""
        if self._first and not (self._ready and self._passed_over >= MAX_PASSED_OVER):
            self._passed_over += bool(self._ready)
            return self._first.popleft()
        self._passed_over = 0
        return self._ready.popleft() if self._ready else None

    def _helper(self) -> _Worker | None:
        """Return who can step in, if all that are awake have been at one thing for too long."""
        now_s = self._clock.monotonic_s()
        for worker in self._workers:
            held_up = worker.guest is not None and now_s - worker.since_s > PATIENCE_S
            if not (worker.idle or held_up):
                return None
        return self._sleeper()

    def _sleeper(self) -> _Worker | None:
        return self._keeper or next((worker for worker in self._workers if worker.idle), None)

    def _work(self, worker: _Worker) -> None:
        while not worker.abandoned:
            guest = self._take(worker)
            if guest is None:
                worker.bell.sleep(self._sleep_s(worker))
                self._wake_up(worker)
                if self._busy():
                    time.sleep(_GATHER_S)
            else:
                self._put_back(worker, guest, more=guest.serve(_UNITS, worker.thread))

    def _busy(self) -> bool:
        """Return whether the pool is woken so often that it pays to let a little more come together."""
        self._wakes += 1
        now_s = self._clock.monotonic_s()
        if now_s - self._counted_s >= _WINDOW_S:
            self._often = self._wakes > _OFTEN * (now_s - self._counted_s)
            self._wakes, self._counted_s = 0, now_s
        return self._often

    def _take(self, worker: _Worker) -> Guest | None:
        """Return who is to be served now; without anybody, count `worker` as idle."""
        with self._lock:
            now_s = self._clock.monotonic_s()
            while self._timers and self._timers[0][0] <= now_s:
                self._ring_out(*heapq.heappop(self._timers), now_s)
            found = self._next()
            if found is None:
                self._go_idle(worker)
                return None
            guest = found
            guest.scheduled, guest.first, guest.running = False, False, True
            worker.guest, worker.since_s = guest, now_s
            guest.turn_s = self._turn_s = now_s
            return guest

    def _put_back(self, worker: _Worker, guest: Guest, *, more: bool) -> None:
        with self._lock:  # or a guest given up in this moment would wait for a worker that ends
            if not worker.abandoned:
                worker.guest = None
                self._queue(guest, more=more)
                return
        guest.forsake()

    def _queue(self, guest: Guest, *, more: bool) -> None:
        """Have `guest` served again: now if there is more to do, else when its next tick is due."""
        guest.running = False
        if more or guest.scheduled:
            guest.scheduled = True
            self._line_up(guest)
            return
        guest.due_s = guest.next_s()
        self._set_timer(guest)

    def _set_timer(self, guest: Guest) -> None:
        """See that a timer rings when `guest` is due, or before: work puts ticks off, and the timer follows later."""
        if guest.due_s < guest.timer_s:
            guest.timer_s = guest.due_s
            heapq.heappush(self._timers, (guest.timer_s, next(self._order), guest))

    def _ring_out(self, timer_s: float, _order: int, guest: Guest, now_s: float) -> None:
        """Line up the `guest` of a timer if it is due; one that is at work sets its next timer itself."""
        if guest.timer_s != timer_s:
            return  # an earlier one has been set since
        guest.timer_s = float("inf")
        if guest.scheduled or guest.running:
            return
        if guest.due_s <= now_s:
            guest.scheduled = True
            self._ready.append(guest)
        else:
            self._set_timer(guest)

    def _go_idle(self, worker: _Worker) -> None:
        """Let `worker` sleep; it keeps the time for all if nobody else is awake in time for the first timer."""
        worker.idle = True
        first_s = self._timers[0][0] if self._timers else float("inf")
        if self._keeper is None or first_s < self._keeper.until_s:
            self._keeper, worker.until_s = worker, first_s

    def _sleep_s(self, worker: _Worker) -> float:
        with self._lock:
            if self._keeper is not worker:
                return _LONGEST_S
            return min(max(0.0, worker.until_s - self._clock.monotonic_s()), _LONGEST_S)

    def _wake_up(self, worker: _Worker) -> None:
        with self._lock:
            worker.idle = False
            if self._keeper is worker:
                self._keeper = None
