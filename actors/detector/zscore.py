"""Robust z-scores: how many robust standard deviations a value is from the recent median of its point.

Median and median absolute deviation do not move for a few outliers, so a fault neither hides itself nor its neighbours;
they need half a window of new normal to follow a lasting change.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import numpy as np

from actors.detector.features import SpreadFloor

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation times this estimates the standard deviation of normal noise."""


class PointWindow:
    """The recent values of one point, and their centre and spread."""

    def __init__(self, *, window: int, warm_up: int, refresh: int) -> None:
        """Keep `window` values; know nothing before `warm_up`; renew centre and spread every `refresh`."""
        self._values: deque[float] = deque(maxlen=window)
        self._warm_up = warm_up
        self._refresh = refresh
        self._since_refresh = 0
        self._centre = 0.0
        self._spread = 0.0
        self._known = False

    def score(self, value: float, floor: SpreadFloor) -> float | None:
        """Return |z| of `value` against the values before it, or None during warm-up."""
        if not self._known:
            return None
        return abs(value - self._centre) / max(self._spread, floor.at(self._centre))

    def learn(self, value: float) -> None:
        """Add `value` to the window."""
        self._values.append(value)
        self._since_refresh += 1
        warm = len(self._values) >= self._warm_up
        if warm and (not self._known or self._since_refresh >= self._refresh):
            self._estimate()

    def _estimate(self) -> None:
        values = np.fromiter(self._values, dtype=np.float64)
        self._centre = float(np.median(values))
        self._spread = MAD_TO_SIGMA * float(np.median(np.abs(values - self._centre)))
        self._since_refresh = 0
        self._known = True


class DeviceZScores:
    """The windows of one device's points."""

    def __init__(
        self,
        floors: Mapping[str, SpreadFloor],
        *,
        window: int,
        warm_up: int,
        refresh: int,
    ) -> None:
        """Score the points named in `floors`, each with the least spread it may be judged by."""
        self._floors = floors
        self._windows = {
            name: PointWindow(window=window, warm_up=warm_up, refresh=refresh) for name in floors
        }

    def score(self, good: Mapping[str, float]) -> dict[str, float]:
        """Return |z| by point for the trusted values `good`, then learn from them.

        A point without a trusted value has no score: unknown is never normal. Neither has a point in warm-up.
        """
        scores: dict[str, float] = {}
        for name, window in self._windows.items():
            value = good.get(name)
            if value is None or not np.isfinite(value):
                continue
            z = window.score(value, self._floors[name])
            if z is not None:
                scores[name] = z
            window.learn(value)
        return scores


def strangest(scores: Mapping[str, float]) -> tuple[float | None, str]:
    """Return the largest score and its point, or None and an empty name if there is no score."""
    if not scores:
        return None, ""
    point = max(scores, key=scores.__getitem__)
    return scores[point], point
