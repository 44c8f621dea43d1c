"""Makes losses heard: names them in the log now and then, and in the publisher's fault for a minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import structlog

from actors.publisher.losses import Loss, merged
from supervision.clock import NS_PER_S, Clock

TELL_S: Final = 10.0
"""Losses are logged at most this often: a full spool loses something with every commit."""
RING_S: Final = 60.0
"""How long a loss is part of the fault, and so of /health."""
_log = structlog.get_logger()


class LossAlarm:
    """What was lost lately."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._untold: list[Loss] = []
        self._recent: list[Loss] = []
        self._told_s = self._lost_s = float("-inf")

    def sound(self, losses: Iterable[Loss]) -> None:
        """Take note of `losses`."""
        new = list(losses)
        if new:
            self._lost_s = self._clock.monotonic_s()
            self._untold = merged([*self._untold, *new])
            self._recent = merged([*self._recent, *new])

    def tell(self) -> None:
        """Log what is new, unless that was done just before."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._lost_s + RING_S:
            self._recent = []
        if self._untold and now_s >= self._told_s + TELL_S:
            self._told_s = now_s
            for loss in self._untold:
                _log.error("messages lost", **loss._asdict())
            self._untold = []

    def sentence(self) -> str:
        """Return what was lost within the last minute, or an empty string."""
        if not self._recent or self._clock.monotonic_s() >= self._lost_s + RING_S:
            return ""
        worst = max(self._recent, key=lambda loss: loss.records)
        total = sum(loss.records for loss in self._recent)
        return (
            f"{total} message(s) lost, most of them {worst.kind or 'message'}s of "
            f"{worst.device_id or 'the site'} from {_time(worst.first_wall_ns)} to "
            f"{_time(worst.last_wall_ns)} ({worst.cause}); `bessai spool status` names all"
        )


def _time(wall_ns: int) -> str:
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"
