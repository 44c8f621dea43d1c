"""What a crowd asks for is made once in a while, and not once for each."""

from __future__ import annotations

import itertools
import threading

from actors.api.kept import Kept
from supervision.clock import ManualClock


def test_a_page_is_kept_for_four_times_as_long_as_it_took() -> None:
    clock = ManualClock()
    count = itertools.count(1)

    def make() -> int:
        clock.advance(0.1)
        return next(count)

    page = Kept(make, clock)
    assert [page.get(), page.get()] == [1, 1]
    clock.advance(0.399)
    assert page.get() == 1
    clock.advance(0.002)
    assert page.get() == 2


def test_a_page_that_takes_long_is_kept_for_two_seconds() -> None:
    clock = ManualClock()
    count = itertools.count(1)

    def make() -> int:
        clock.advance(10.0)
        return next(count)

    page = Kept(make, clock)
    assert page.get() == 1
    clock.advance(1.99)
    assert page.get() == 1
    clock.advance(0.02)
    assert page.get() == 2


def test_those_who_ask_while_it_is_made_wait_for_the_same() -> None:
    clock = ManualClock()
    begun, may_end = threading.Event(), threading.Event()
    made: list[object] = []

    def make() -> object:
        begun.set()
        assert may_end.wait(10.0)
        clock.advance(1.0)
        made.append(object())
        return made[-1]

    page = Kept(make, clock)
    found: list[object] = []
    crowd = [threading.Thread(target=lambda: found.append(page.get())) for _ in range(4)]
    for each in crowd:
        each.start()
    assert begun.wait(10.0)
    may_end.set()
    for each in crowd:
        each.join()
    assert found == [made[0]] * 4
