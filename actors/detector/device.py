"""What the detector knows of one device: its z-scores, and which points its forest counts on."""

from __future__ import annotations

from collections.abc import Mapping

from actors.detector.config import DetectorConfig
from actors.detector.features import Census, z_floors
from actors.detector.files import group_of
from actors.detector.zscore import DeviceZScores, strangest
from actors.messages import DeviceSchema


class DeviceWatch:
    """The past of one device under one schema."""

    def __init__(self, schema: DeviceSchema, config: DetectorConfig) -> None:
        """Know nothing yet of a device with `schema`."""
        self.points: tuple[str, ...] = ()
        """What the device delivers in every poll, for the forest; empty until that is known."""
        self.group = ""
        """The group of devices with the same `points`; empty until that is known."""
        self._z_scores = DeviceZScores(
            z_floors(schema),
            window=config.window,
            warm_up=config.warm_up,
            refresh=config.refresh,
        )
        self._census: Census | None = Census(schema, config.warm_up)

    def score(self, good: Mapping[str, float]) -> tuple[float | None, str]:
        """Return the largest |z| among the trusted values `good` and its point, or None and an empty name."""
        return strangest(self._z_scores.score(good))

    def finds_group(self, good: Mapping[str, float]) -> bool:
        """Count the points of `good`; return whether it became known just now what the forest counts on."""
        if self._census is None or not good:
            return False
        points = self._census.count(good.keys())
        if points is None:
            return False
        self._census = None
        self.points = points
        self.group = group_of(points) if points else ""
        return bool(points)
