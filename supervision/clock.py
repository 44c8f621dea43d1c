"""The two clocks of the system, injected so that tests can own time.

Ages and deadlines use the monotonic clock, which on Linux is shared by all processes of a machine;
the wall clock only stamps what people and the cloud will read.
"""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Clock(Protocol):
    """A source of monotonic and wall time."""

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never jumps."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds on the same clock as `monotonic_s`."""
        ...

    def wall_ns(self) -> int:
        """Return nanoseconds since the Unix epoch; may jump."""
        ...


class SystemClock:
    """The operating system's clocks."""

    def monotonic_s(self) -> float:
        """Return seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def monotonic_ns(self) -> int:
        """Return nanoseconds of CLOCK_MONOTONIC."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Return nanoseconds of CLOCK_REALTIME."""
        return time.time_ns()


class ManualClock:
    """A clock that moves only when told to; ships with the product so that users can test too."""

    def __init__(self, start_s: float = 1000.0, wall_ns: int = 1_700_000_000 * NS_PER_S) -> None:
        """Start at `start_s` seconds of monotonic time and `wall_ns` of wall time."""
        self._mono_ns = int(start_s * NS_PER_S)
        self._wall_ns = wall_ns

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by `seconds`."""
        step_ns = int(seconds * NS_PER_S)
        self._mono_ns += step_ns
        self._wall_ns += step_ns

    def jump_wall(self, seconds: float) -> None:
        """Move only the wall clock, forward or back, by `seconds`."""
        self._wall_ns += int(seconds * NS_PER_S)

    def monotonic_s(self) -> float:
        """Return the manual monotonic time in seconds."""
        return self._mono_ns / NS_PER_S

    def monotonic_ns(self) -> int:
        """Return the manual monotonic time in nanoseconds."""
        return self._mono_ns

    def wall_ns(self) -> int:
        """Return the manual wall time in nanoseconds."""
        return self._wall_ns
