"""Which points of a sample are scored, and how small a spread may be taken for real.

Points that follow commands (power, current) jump whenever somebody dispatches the battery: alone
they say nothing, so they have no z-score, but the forest sees them beside the others. Counters only
rise and codes mean nothing as numbers: both opinions leave them out.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

from actors.messages import DeviceSchema


class SpreadFloor(NamedTuple):
    """A spread below which differences are resolution or noise, in the point's unit."""

    absolute: float
    relative: float
    """Share of the magnitude of the point's centre."""

    def at(self, centre: float) -> float:
        """Return the floor for a point whose centre is `centre`."""
        return max(self.absolute, self.relative * abs(centre))


# A few steps of the registers' resolution (0.1 %, 0.1 degC, 0.1 V, 0.01 Hz), so that a point that
# stood still does not turn its next step into an alarm. Voltage also sags with the current drawn.
Z_FLOORS: Final = {
    "pct": SpreadFloor(0.5, 0.0),
    "c": SpreadFloor(0.5, 0.0),
    "v": SpreadFloor(1.0, 0.01),
    "hz": SpreadFloor(0.02, 0.0),
}
"""Units, as the last part of a point's name, that are z-scored."""

FOREST_UNITS: Final = frozenset({*Z_FLOORS, "w", "a", "var", "va"})
"""Units, as the last part of a point's name, that the forest sees."""


SETTINGS: Final = ("max_", "rated_", "target_", "backup_", "peak_")
"""How the names of settings, nameplate values and records begin."""

FOLLOWS_POWER: Final = frozenset({"efficiency_pct"})
"""Points with a z-scored unit that jump with the power nevertheless."""

PRESENT: Final = 0.9
"""Share of a device's samples in which a point must be good for the forest to count on it."""


def unit_of(point: str) -> str:
    """Return the last part of a point's name, which is its unit: `c` for `battery_temperature_c`."""
    return point.rsplit("_", 1)[-1]


def is_measured(point: str) -> bool:
    """Return whether `point` is a measurement, not a setting or a record that stands until it is changed."""
    return not point.startswith(SETTINGS)


def z_floors(schema: DeviceSchema) -> dict[str, SpreadFloor]:
    """Return the points of `schema` that are z-scored, each with its floor."""
    return {
        point.name: Z_FLOORS[unit_of(point.name)]
        for point in schema.points
        if unit_of(point.name) in Z_FLOORS
        and is_measured(point.name)
        and point.name not in FOLLOWS_POWER
    }


class Census:
    """Finds out which points a device really delivers in every poll.

    A profile names more than a device has: without a meter its points stay empty, and blocks that are read now and then
    are stale in between. A forest over such points would never see a whole row.
    """

    def __init__(self, schema: DeviceSchema, samples: int) -> None:
        """Count over the first `samples` samples of `schema`."""
        self._counts = {
            point.name: 0
            for point in schema.points
            if unit_of(point.name) in FOREST_UNITS and is_measured(point.name)
        }
        self._samples = samples
        self._seen = 0

    def count(self, good: Collection[str]) -> tuple[str, ...] | None:
        """Count one sample with the trusted points `good`; return what the forest sees when the census ends.

        The names are sorted, so that devices that list the same points in another order share a forest. None while the
        census goes on.
        """
        self._seen += 1
        for name in self._counts.keys() & set(good):
            self._counts[name] += 1
        if self._seen < self._samples:
            return None
        return tuple(sorted(n for n, c in self._counts.items() if c >= PRESENT * self._seen))
