"""Pages that are costly to make, and may be asked for by a crowd."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from supervision.clock import NS_PER_S, Clock

_T = TypeVar("_T")
_TIMES = 4
"""So a crowd takes a fifth of a processor at most, however large the site. Project's choice."""
_LONGEST_S = 2.0


class Kept(Generic[_T]):
    """What `make` returns, kept for four times as long as it took to make, 2 s at most; from any thread."""

    def __init__(self, make: Callable[[], _T], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._lock = threading.Lock()
        self._made: tuple[_T] | None = None
        self._until_ns = 0

    def get(self) -> _T:
        """Return it, made anew if it is no longer kept; who asks meanwhile waits for the same."""
        with self._lock:
            began_ns = self._clock.monotonic_ns()
            if self._made is None or began_ns >= self._until_ns:
                self._made = (self._make(),)
                ended_ns = self._clock.monotonic_ns()
                keep_ns = min(_TIMES * (ended_ns - began_ns), int(_LONGEST_S * NS_PER_S))
                self._until_ns = ended_ns + keep_ns
            return self._made[0]
