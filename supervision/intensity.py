"""When to restart a child, and when to stop trying: a sliding window and a growing delay.

Pure: the time is passed in.
"""

from __future__ import annotations

import enum
import random
from typing import NamedTuple

from supervision.spec import Backoff, Intensity, Restart


class SlidingWindow:
    """Counts failures within the last `window_s` seconds."""

    def __init__(self, intensity: Intensity) -> None:
        """Start with no failures."""
        self._intensity = intensity
        self._failures: list[float] = []

    def exceeded_by_failure(self, now_s: float) -> bool:
        """Count a failure at `now_s`; return whether that is more than the window allows."""
        self._failures.append(now_s)
        self._forget(now_s)
        return len(self._failures) > self._intensity.max_restarts

    def count(self, now_s: float) -> int:
        """Return the failures in the window that ends at `now_s`."""
        self._forget(now_s)
        return len(self._failures)

    def clear(self) -> None:
        """Forget all failures."""
        self._failures.clear()

    def _forget(self, now_s: float) -> None:
        while self._failures and self._failures[0] <= now_s - self._intensity.window_s:
            del self._failures[0]


def backoff_s(backoff: Backoff, failures: int, rng: random.Random) -> float:
    """Return the delay before the restart that follows failure number `failures` (from 1), in seconds."""
    exponent = min(failures - 1, 64)
    delay = min(backoff.max_s, backoff.initial_s * backoff.factor**exponent)
    return min(backoff.max_s, delay * rng.uniform(1 - backoff.jitter, 1 + backoff.jitter))


class Verdict(enum.Enum):
    """What to do with a child that ended."""

    RESTART = "restart"
    EXCEEDED = "exceeded"
    """It failed more often than its intensity allows."""
    LEAVE = "leave"
    """It is not meant to be started again."""


class Judgement(NamedTuple):
    """A verdict, and the back-off in seconds if the child is started again."""

    verdict: Verdict
    delay_s: float = 0.0


class RestartHistory:
    """Judges the ends of one child under its restart type, intensity and back-off."""

    def __init__(
        self, restart: Restart, intensity: Intensity, backoff: Backoff, rng: random.Random
    ) -> None:
        """Start with a clean record."""
        self._restart = restart
        self._backoff = backoff
        self._rng = rng
        self._window = SlidingWindow(intensity)
        self._stable_s = intensity.window_s
        self._failures_in_a_row = 0
        self.restarts = 0
        """Restarts decided so far."""

    def on_end(self, now_s: float, *, ran_s: float, normal: bool = False) -> Judgement:
        """Judge an end at `now_s` after `ran_s` seconds of life; `normal` if the child finished by itself.

        The delay grows with the failures in a row; a life longer than the window ends the row.
        """
        if self._restart is Restart.TEMPORARY or (normal and self._restart is Restart.TRANSIENT):
            return Judgement(Verdict.LEAVE)
        self._failures_in_a_row = 1 if ran_s >= self._stable_s else self._failures_in_a_row + 1
        delay_s = backoff_s(self._backoff, self._failures_in_a_row, self._rng)
        if self._window.exceeded_by_failure(now_s):
            return Judgement(Verdict.EXCEEDED, delay_s)
        self.restarts += 1
        return Judgement(Verdict.RESTART, delay_s)

    def pardon(self) -> None:
        """Let a child that exceeded its intensity be tried again, with a clean window."""
        self._window.clear()
        self.restarts += 1
