"""PV power by the sun and passing clouds, and a household's load by the hour. Pure; seeded.

The clear sky follows Haurwitz (1945), global irradiance from the sun's elevation alone. Clouds come and go at random;
how long and how thick they are, and the shape of the household's day, are choices of this model.
"""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bessai.simulator.plant import Plant

DAY_S = 86_400.0
AXIAL_TILT_DEG = 23.44
CLOUD_S = 300.0
"""How long the sky stays clear and covered on average, together."""
CLOUD_EDGE_S = 15.0
"""Time constant with which a cloud's shadow comes and goes."""
THROUGH_CLOUD = 0.25
"""Share of the light that comes through a cloud."""

HOUSEHOLD: tuple[float, ...] = (
    *(0.55, 0.45, 0.40, 0.40, 0.40, 0.50, 0.90, 1.30, 1.20, 1.00, 0.95, 1.05),
    *(1.30, 1.15, 0.95, 0.90, 1.00, 1.30, 1.70, 1.85, 1.60, 1.35, 1.00, 0.80),
)
"""Load by the hour in shares of its daily mean."""


def elevation_sine(local_s: float, latitude_deg: float) -> float:
    """Return the sine of the sun's elevation at `local_s`, seconds since 1970 of local solar time."""
    day = local_s / DAY_S % 365.25
    tilt = math.radians(-AXIAL_TILT_DEG * math.cos(2.0 * math.pi * (day + 10.0) / 365.25))
    hour_angle = 2.0 * math.pi * (local_s % DAY_S / DAY_S - 0.5)
    latitude = math.radians(latitude_deg)
    upright = math.sin(latitude) * math.sin(tilt)
    return upright + math.cos(latitude) * math.cos(tilt) * math.cos(hour_angle)


def clear_sky(local_s: float, latitude_deg: float) -> float:
    """Return the irradiance of a clear sky per 1000 W/m², 0 at night."""
    sine = elevation_sine(local_s, latitude_deg)
    return 1.098 * sine * math.exp(-0.057 / sine) if sine > 0.0 else 0.0


def household(local_s: float) -> float:
    """Return the load in shares of its daily mean, straight between the middles of the hours."""
    mean = math.fsum(HOUSEHOLD) / len(HOUSEHOLD)
    place = (local_s % DAY_S) / 3600.0 - 0.5
    first = math.floor(place)
    low, high = HOUSEHOLD[first % 24], HOUSEHOLD[(first + 1) % 24]
    return (low + (high - low) * (place - first)) / mean


class Clouds:
    """The share of a clear sky's light that arrives now."""

    def __init__(self, random: Random, cover: float) -> None:
        """Let clouds pass that cover the sun for `cover` of the time, 0 to 1."""
        self._random = random
        self._cover = cover
        self._covered = random.random() < cover
        self._share = self._wanted

    @property
    def _wanted(self) -> float:
        return THROUGH_CLOUD if self._covered else 1.0

    def step(self, dt_s: float) -> float:
        """Advance by `dt_s` seconds and return the share."""
        if 0.0 < self._cover < 1.0:
            ends_in_s = CLOUD_S * (self._cover if self._covered else 1.0 - self._cover)
            if self._random.random() < -math.expm1(-dt_s / ends_in_s):
                self._covered = not self._covered
        self._share += (self._wanted - self._share) * -math.expm1(-dt_s / CLOUD_EDGE_S)
        return self._share


class Weather:
    """What sun, clouds and the hour make of PV and load."""

    def __init__(
        self,
        random: Random,
        *,
        peak_w: float,
        latitude_deg: float,
        cover: float,
        household_load: bool,
    ) -> None:
        """Light up `peak_w` of PV, unless it is 0, and let the load follow a household's day if asked to."""
        self._peak_w = peak_w
        self._latitude_deg = latitude_deg
        self._clouds = Clouds(random, cover)
        self._household = household_load

    def shine(self, plant: Plant, local_s: float, dt_s: float) -> None:
        """Let `dt_s` seconds pass over PV and load of `plant`, up to `local_s` on the local clock."""
        if self._peak_w > 0.0:
            share = self._clouds.step(dt_s)
            plant.pv_w = self._peak_w * share * clear_sky(local_s, self._latitude_deg)
        if self._household:
            plant.load_share = household(local_s)
        plant.vary(dt_s)

    def still(self) -> None:
        """Let PV be what somebody sets it to from now on."""
        self._peak_w = 0.0
