"""Notices when values cease to be believed and when they are believed again, so that both are told once: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from actors.messages import Quality
from supervision.clock import NS_PER_S

SILENCE_NS = 60 * NS_PER_S
"""A point that comes and goes is told this often; every value is counted."""
MAX_TOLD = 5
"""A poll tells of so many points; the others are only counted."""


class Doubt(NamedTuple):
    """A point that is not believed from now on, or is again."""

    point: str
    reason: str
    """Why not; empty where it is believed again."""


class Doubts:
    """Which points of a device are invalid now."""

    def __init__(self, names: Sequence[str]) -> None:
        """Begin with everything believed; `names` are the points in the order of the samples."""
        self._names = names
        self._invalid: frozenset[int] = frozenset()
        self._told_ns: dict[int, int] = {}
        self._open: frozenset[int] = frozenset()
        self.counted = 0
        """Values that were not believed so far."""

    def take(self, quality: bytes | bytearray, reasons: Sequence[str], now_ns: int) -> list[Doubt]:
        """Look at the qualities of a poll; return what is to be told of it."""
        if not self._invalid and Quality.INVALID not in quality:
            return []
        invalid = frozenset(place for place, each in enumerate(quality) if each == Quality.INVALID)
        self.counted += len(invalid)
        begun, ended = sorted(invalid - self._invalid), sorted(self._open - invalid)
        self._invalid = invalid
        news = [place for place in begun if self._is_news(place, now_ns)][:MAX_TOLD]
        self._told_ns |= dict.fromkeys(news, now_ns)
        self._open = (self._open - set(ended)) | set(news)
        return [
            *(Doubt(self._names[place], reasons[place]) for place in news),
            *(Doubt(self._names[place], "") for place in ended),
        ]

    def _is_news(self, place: int, now_ns: int) -> bool:
        return now_ns - self._told_ns.get(place, now_ns - SILENCE_NS) >= SILENCE_NS
