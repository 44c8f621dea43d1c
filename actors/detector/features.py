"""Which points of a sample are scored, and how small a spread may be taken for real.

Points that follow commands (power, current) jump whenever somebody dispatches the battery: alone
they say nothing, so they have no z-score, but the forest sees them beside the others. Counters only
rise and codes mean nothing as numbers: both opinions leave them out.
"""

from __future__ import annotations

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


def unit_of(point: str) -> str:
    """Return the last part of a point's name, which is its unit: `c` for `battery_temperature_c`."""
    return point.rsplit("_", 1)[-1]


def forest_points(schema: DeviceSchema) -> tuple[str, ...]:
    """Return the names of the points the forest sees, in the order of its columns.

    Sorted, so that devices that list the same points in another order share a forest. Limits that
    the device reports are settings, not measurements.
    """
    names = (point.name for point in schema.points)
    return tuple(
        sorted(
            n for n in names if unit_of(n) in FOREST_UNITS and not n.startswith(("max_", "rated_"))
        )
    )
