"""At most so many in any window of time, for each key. Pure: the time is handed in."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from supervision.clock import NS_PER_S


class Quota:
    """Counts what was granted. A refusal costs nothing, so that asking again and again does not lock anybody out."""

    def __init__(self, most: int, window_s: float) -> None:
        """Grant at most `most` of each key within any `window_s` seconds."""
        self._most = most
        self._window_ns = int(window_s * NS_PER_S)
        self._granted: dict[Hashable, deque[int]] = {}

    def wait_s(self, key: Hashable, now_ns: int) -> float:
        """Return after how many seconds `key` may have another one: 0 if now."""
        granted = self._granted.get(key, deque())
        while granted and now_ns - granted[0] >= self._window_ns:
            granted.popleft()
        if len(granted) < self._most:
            return 0.0
        return (granted[0] + self._window_ns - now_ns) / NS_PER_S

    def count(self, key: Hashable, then_ns: int) -> None:
        """Count one that was granted at `then_ns`; of one key in the order of time."""
        self._granted.setdefault(key, deque(maxlen=self._most)).append(then_ns)

    def take(self, key: Hashable, now_ns: int) -> float:
        """Grant `key` one more and return 0, or refuse and return the seconds until the next one."""
        wait_s = self.wait_s(key, now_ns)
        if not wait_s:
            self.count(key, now_ns)
        return wait_s
