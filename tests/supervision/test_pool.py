"""Actors that share a few threads: served in turn, and none held up for long by one that blocks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from supervision.clock import SystemClock
from supervision.lanes import MAX_PASSED_OVER
from supervision.pool import WORKERS, Pool

PATIENCE_S = 10.0


class Guest:
    """Counts its units of work; blocks in the next one when told to."""

    def __init__(self) -> None:
        self.scheduled = self.first = self.running = False
        self.due_s = float("inf")
        self.timer_s = float("inf")
        self.turn_s = 0.0
        self.wanted_s: list[float] = []
        self.work = 0
        self.served = threading.Semaphore(0)
        self.asked = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.forsaken = threading.Event()
        self.threads: set[int] = set()
        self.overlaps = 0
        self._inside = False

    def serve(self, units: int, thread: threading.Thread) -> bool:
        self.overlaps += self._inside
        self._inside = True
        self.threads.add(thread.ident or 0)
        self.entered.set()
        self.gate.wait(PATIENCE_S)
        self.work = max(0, self.work - units)
        self._inside = False
        self.served.release()
        return self.work > 0

    def next_s(self) -> float:
        self.asked.release()
        return self.wanted_s.pop(0) if self.wanted_s else float("inf")

    def forsake(self) -> None:
        self.forsaken.set()

    def was_served(self) -> bool:
        return self.served.acquire(timeout=PATIENCE_S)


@pytest.fixture
def pool() -> Pool:
    return Pool(SystemClock())


@pytest.fixture
def blocked(pool: Pool) -> Iterator[Guest]:
    """A guest that keeps its worker until its gate is opened."""
    guest = Guest()
    guest.gate.clear()
    pool.schedule(guest)
    assert guest.entered.wait(PATIENCE_S)
    yield guest
    guest.gate.set()


def watch_until(pool: Pool, holds: Callable[[], bool]) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if holds():
            return True
        pool.watch()
        time.sleep(0.005)
    return False


def test_who_has_work_is_served(pool: Pool) -> None:
    guest = Guest()
    for _ in range(3):
        pool.schedule(guest)
        assert guest.was_served()


def test_hundreds_of_guests_need_one_thread(pool: Pool) -> None:
    guests = [Guest() for _ in range(300)]
    for guest in guests:
        pool.schedule(guest)
    assert all(guest.was_served() for guest in guests)
    assert len(set().union(*(guest.threads for guest in guests))) <= WORKERS


def test_a_guest_with_more_work_takes_turns_with_the_others(pool: Pool, blocked: Guest) -> None:
    busy, other = Guest(), Guest()
    busy.work = 1000
    pool.schedule(busy)
    pool.schedule(other)
    assert watch_until(pool, lambda: other.served.acquire(blocking=False))
    assert blocked.running


class Noted(Guest):
    """Notes in `order` when it is served."""

    def __init__(self, order: list[Guest]) -> None:
        super().__init__()
        self.order = order

    def serve(self, units: int, thread: threading.Thread) -> bool:
        self.order.append(self)
        return super().serve(units, thread)


def occupy(pool: Pool) -> list[Guest]:
    """Return guests that keep every worker until their gates are opened."""
    guests = [Guest() for _ in range(WORKERS)]
    for guest in guests:
        guest.gate.clear()
        pool.schedule(guest)
        assert watch_until(pool, guest.entered.is_set)
    return guests


def test_who_goes_first_is_served_before_those_who_came_earlier(pool: Pool) -> None:
    keepers = occupy(pool)
    order: list[Guest] = []
    early, forward, late, first = [Noted(order) for _ in range(4)]
    for guest in (early, forward, late):
        pool.schedule(guest)
    pool.schedule(first, first=True)
    pool.schedule(forward, first=True)
    keepers[0].gate.set()
    assert all(guest.was_served() for guest in (early, forward, late, first))
    assert order == [first, forward, early, late]
    for keeper in keepers:
        keeper.gate.set()


def test_those_who_go_first_do_not_keep_the_others_waiting_for_ever(pool: Pool) -> None:
    keepers = occupy(pool)
    order: list[Guest] = []
    other = Noted(order)
    crowd = [Noted(order) for _ in range(3 * MAX_PASSED_OVER)]
    pool.schedule(other)
    for guest in crowd:
        pool.schedule(guest, first=True)
    keepers[0].gate.set()
    assert all(guest.was_served() for guest in (other, *crowd))
    assert order.index(other) == MAX_PASSED_OVER
    for keeper in keepers:
        keeper.gate.set()


def test_in_a_hurry_everybody_is_served_at_once_though_all_block(pool: Pool) -> None:
    guests = [Guest() for _ in range(10 * WORKERS)]
    for guest in guests:
        guest.gate.clear()
        pool.schedule(guest)

    def all_inside() -> bool:
        pool.hurry()
        return all(guest.entered.is_set() for guest in guests)

    assert watch_until(pool, all_inside)
    for guest in guests:
        guest.gate.set()


def test_no_guest_is_served_twice_at_the_same_time(pool: Pool) -> None:
    guest = Guest()

    def poke() -> None:
        for _ in range(500):
            pool.schedule(guest)
            pool.watch()

    threads = [threading.Thread(target=poke) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert guest.was_served()
    assert guest.overlaps == 0


def test_one_that_blocks_holds_the_others_up_only_until_somebody_watches(
    pool: Pool, blocked: Guest
) -> None:
    other = Guest()
    pool.schedule(other)
    assert watch_until(pool, lambda: other.served.acquire(blocking=False))
    assert not other.threads & blocked.threads


def test_what_comes_while_a_guest_is_served_is_not_forgotten(pool: Pool, blocked: Guest) -> None:
    pool.schedule(blocked)
    blocked.gate.set()
    assert blocked.was_served()
    assert blocked.was_served()


def test_a_guest_is_served_when_its_time_comes(pool: Pool) -> None:
    guest = Guest()
    due_s = time.monotonic() + 0.05
    guest.wanted_s = [due_s]
    pool.schedule(guest)
    assert guest.was_served()
    assert guest.was_served()
    assert time.monotonic() >= due_s


@pytest.mark.parametrize("moved", ["later", "earlier"])
def test_a_guest_whose_time_was_moved_is_served_then_and_not_before(pool: Pool, moved: str) -> None:
    guest, now_s = Guest(), time.monotonic()
    due_s = now_s + 1.0
    guest.wanted_s = [now_s + (0.2 if moved == "later" else PATIENCE_S), due_s]
    pool.schedule(guest)
    assert guest.asked.acquire(timeout=PATIENCE_S)  # served, and put back
    pool.schedule(guest)
    assert guest.asked.acquire(timeout=PATIENCE_S)
    assert time.monotonic() < due_s
    assert guest.was_served()
    assert guest.was_served()
    assert guest.was_served()
    assert due_s <= time.monotonic() < now_s + PATIENCE_S


def test_a_timer_is_kept_while_a_worker_is_held_up(pool: Pool) -> None:
    guest, blocking = Guest(), Guest()
    guest.wanted_s = [time.monotonic() + 0.1]
    pool.schedule(guest)
    assert guest.was_served()
    blocking.gate.clear()
    pool.schedule(blocking)
    assert blocking.entered.wait(PATIENCE_S)
    assert watch_until(pool, lambda: guest.served.acquire(blocking=False))
    blocking.gate.set()


class WatchedClock(SystemClock):
    """Knows which threads looked at it."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def monotonic_s(self) -> float:
        self.threads.add(threading.get_ident())
        return super().monotonic_s()


def test_one_thread_keeps_the_time_again_after_several_were_needed() -> None:
    clock = WatchedClock()
    pool = Pool(clock)
    blocked, other, late = Guest(), Guest(), Guest()
    blocked.gate.clear()
    late.wanted_s = [time.monotonic() + 0.2 + 0.005 * number for number in range(20)]
    for guest in (late, blocked, other):
        pool.schedule(guest)
    assert watch_until(pool, lambda: other.served.acquire(blocking=False))
    blocked.gate.set()
    assert all(late.was_served() for _ in range(6))
    clock.threads.clear()
    assert all(late.was_served() for _ in range(10))
    assert len(clock.threads) == 1


def test_a_worker_that_is_given_up_is_replaced_and_ends_when_let_go(pool: Pool) -> None:
    hung = [Guest() for _ in range(WORKERS)]
    for guest in hung:
        guest.gate.clear()
        pool.schedule(guest)
        assert watch_until(pool, guest.entered.is_set)
    for guest in hung:
        pool.abandon(guest)
    other = Guest()
    pool.schedule(other)
    assert watch_until(pool, lambda: other.served.acquire(blocking=False))
    for guest in hung:
        guest.gate.set()
        assert guest.forsaken.wait(PATIENCE_S)


def test_whoever_waits_for_its_turn_is_idle_only_from_after_those_who_keep_the_threads(
    pool: Pool,
) -> None:
    guests = [Guest() for _ in range(WORKERS + 1)]
    for guest in guests:
        guest.gate.clear()
        pool.schedule(guest)
    *busy, waiting = guests
    assert watch_until(pool, lambda: all(guest.entered.is_set() for guest in busy))
    last_turn_s = max(guest.turn_s for guest in busy)
    assert [pool.idle_from_s(guest, 1.0) for guest in busy] == [guest.turn_s for guest in busy]
    assert pool.idle_from_s(waiting, 1.0) == last_turn_s + 1.0
    for guest in guests:
        guest.gate.set()
    assert waiting.was_served()


def test_whoever_has_nothing_to_do_is_idle_from_now(pool: Pool) -> None:
    guest = Guest()
    pool.schedule(guest)
    assert guest.was_served()
    assert watch_until(pool, lambda: pool.has_nothing_for(guest))
    before_s = time.monotonic()
    assert before_s <= pool.idle_from_s(guest, 1.0) <= time.monotonic()


def test_whoever_is_served_or_due_has_something_to_do(pool: Pool) -> None:
    served, due = Guest(), Guest()
    served.gate.clear()
    pool.schedule(served)
    assert served.entered.wait(PATIENCE_S)
    due.due_s = time.monotonic()
    assert not pool.has_nothing_for(served)
    assert not pool.has_nothing_for(due)
    assert pool.idle_from_s(due, 1.0) == served.turn_s + 1.0
    served.gate.set()
