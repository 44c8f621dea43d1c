"""Sun, clouds and the household's day."""

import datetime as dt
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.plant import Plant
from bessai.simulator.weather import (
    THROUGH_CLOUD,
    Clouds,
    Weather,
    clear_sky,
    elevation_sine,
    household,
)

LATITUDE_DEG = 40.0
JUNE = dt.datetime(2026, 6, 21, tzinfo=dt.UTC).timestamp()
MARCH = dt.datetime(2026, 3, 21, tzinfo=dt.UTC).timestamp()
DECEMBER = dt.datetime(2026, 12, 21, tzinfo=dt.UTC).timestamp()
NOON_S = 43_200.0


def elevation_deg(local_s: float) -> float:
    return math.degrees(math.asin(elevation_sine(local_s, LATITUDE_DEG)))


@pytest.mark.parametrize(("day_s", "noon_deg"), [(JUNE, 73.4), (MARCH, 50.0), (DECEMBER, 26.6)])
def test_the_sun_stands_as_high_at_noon_as_the_season_says(day_s: float, noon_deg: float) -> None:
    assert elevation_deg(day_s + NOON_S) == pytest.approx(noon_deg, abs=1.0)
    assert elevation_deg(day_s) < 0.0


def test_day_and_night_are_equal_at_the_equinox() -> None:
    light_h = sum(clear_sky(MARCH + each * 360.0, LATITUDE_DEG) > 0.0 for each in range(240)) / 10
    assert light_h == pytest.approx(12.0, abs=0.3)


@given(st.floats(0, 4e9), st.floats(-90, 90))
def test_light_is_never_negative_nor_more_than_the_sun_gives(local_s: float, at_deg: float) -> None:
    assert 0.0 <= clear_sky(local_s, at_deg) <= 1.098


@given(st.floats(0, 1), st.integers(0, 1000), st.lists(st.floats(0, 10_000), max_size=30))
def test_clouds_let_something_through_and_never_add_light(
    cover: float, seed: int, steps_s: list[float]
) -> None:
    clouds = Clouds(random.Random(seed), cover)
    assert all(THROUGH_CLOUD - 1e-9 <= clouds.step(step_s) <= 1.0 + 1e-9 for step_s in steps_s)


def test_clouds_cover_the_sun_for_the_share_that_they_are_said_to() -> None:
    clouds = Clouds(random.Random(3), 0.4)
    shares = [clouds.step(5.0) for _ in range(100_000)]
    mean = sum(shares) / len(shares)
    assert mean == pytest.approx(1.0 - 0.4 * (1.0 - THROUGH_CLOUD), abs=0.03)


def test_a_household_takes_its_mean_over_the_day_and_most_in_the_evening() -> None:
    shares = [household(each * 60.0) for each in range(1440)]
    assert sum(shares) / 1440 == pytest.approx(1.0, abs=0.001)
    assert max(shares) == household(19.5 * 3600.0)
    assert household(86_399.0) == pytest.approx(household(0.0), abs=0.01)


def test_the_same_seed_has_the_same_weather() -> None:
    days = []
    for _ in range(2):
        plant = Plant(random.Random(0), rated_ac_w=10_000, variation=0.0)
        sky = Weather(
            random.Random(5), peak_w=8000, latitude_deg=40, cover=0.5, household_load=True
        )
        plant.load_w = 500.0
        day = []
        for minute in range(1440):
            sky.shine(plant, JUNE + 60.0 * minute, 60.0)
            day.append((plant.pv_now_w, plant.load_now_w))
        days.append(day)
    assert days[0] == days[1]
    assert max(pv_w for pv_w, _ in days[0]) > 6000.0
    assert days[0][0][0] == 0.0
