"""When a child is started again, after how long, and when no more."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.intensity import Judgement, RestartHistory, SlidingWindow, Verdict, backoff_s
from supervision.spec import Backoff, Intensity, Restart

BACKOFFS = st.builds(
    Backoff,
    initial_s=st.floats(0, 1),
    factor=st.floats(1, 10),
    max_s=st.floats(1, 60),
    jitter=st.floats(0, 0.9),
)


def history(restart: Restart = Restart.PERMANENT, *, most: int = 2) -> RestartHistory:
    intensity = Intensity(max_restarts=most, window_s=10.0)
    return RestartHistory(restart, intensity, Backoff(jitter=0.0, initial_s=1.0), random.Random(1))


@given(st.lists(st.floats(0, 100), max_size=40).map(sorted), st.integers(0, 5), st.floats(0.1, 30))
def test_the_window_counts_exactly_the_failures_within_it(
    times: list[float], most: int, window_s: float
) -> None:
    window = SlidingWindow(Intensity(max_restarts=most, window_s=window_s))
    for index, now_s in enumerate(times):
        within = [t for t in times[: index + 1] if t > now_s - window_s]
        assert window.exceeded_by_failure(now_s) == (len(within) > most)
        assert window.count(now_s) == len(within)


@given(BACKOFFS, st.integers(1, 500), st.integers())
def test_the_delay_stays_within_its_bounds(backoff: Backoff, failures: int, seed: int) -> None:
    delay_s = backoff_s(backoff, failures, random.Random(seed))
    least = min(backoff.max_s, backoff.initial_s * backoff.factor ** min(failures - 1, 64))
    assert least * (1 - backoff.jitter) - 1e-9 <= delay_s <= backoff.max_s


@given(st.integers(1, 30))
def test_without_jitter_the_delay_never_shrinks(failures: int) -> None:
    backoff = Backoff(jitter=0.0)
    rng = random.Random(0)
    assert backoff_s(backoff, failures, rng) <= backoff_s(backoff, failures + 1, rng)


def test_failures_in_a_row_wait_longer_and_a_long_life_ends_the_row() -> None:
    child = history(most=100)
    delays = [child.on_end(t, ran_s=0.1).delay_s for t in (0.0, 1.0, 2.0)]
    assert delays == [1.0, 2.0, 4.0]
    assert child.on_end(50.0, ran_s=40.0) == Judgement(Verdict.RESTART, 1.0)
    assert child.restarts == 4


def test_too_many_failures_in_the_window_are_too_many() -> None:
    child = history()
    verdicts = [child.on_end(t, ran_s=0.0).verdict for t in (0.0, 1.0, 2.0)]
    assert verdicts == [Verdict.RESTART, Verdict.RESTART, Verdict.EXCEEDED]


def test_the_window_slides() -> None:
    child = history()
    verdicts = [child.on_end(t, ran_s=0.0).verdict for t in (0.0, 6.0, 12.0, 18.0)]
    assert set(verdicts) == {Verdict.RESTART}


def test_a_pardon_clears_the_window() -> None:
    child = history()
    for t in (0.0, 1.0, 2.0):
        child.on_end(t, ran_s=0.0)
    child.pardon()
    assert child.on_end(3.0, ran_s=0.0).verdict is Verdict.RESTART


@pytest.mark.parametrize(
    ("restart", "normal", "verdict"),
    [
        (Restart.PERMANENT, True, Verdict.RESTART),
        (Restart.PERMANENT, False, Verdict.RESTART),
        (Restart.TRANSIENT, True, Verdict.LEAVE),
        (Restart.TRANSIENT, False, Verdict.RESTART),
        (Restart.TEMPORARY, True, Verdict.LEAVE),
        (Restart.TEMPORARY, False, Verdict.LEAVE),
    ],
)
def test_the_restart_type_decides(restart: Restart, *, normal: bool, verdict: Verdict) -> None:
    assert history(restart).on_end(0.0, ran_s=0.0, normal=normal).verdict is verdict
