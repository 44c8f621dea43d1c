import math
import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.detector.features import Z_FLOORS, SpreadFloor
from actors.detector.zscore import MAD_TO_SIGMA, DeviceZScores, PointWindow, strangest

WARM_UP = 20
FLOOR = SpreadFloor(0.01, 0.0)


def z_scores(window: int = 100) -> DeviceZScores:
    return DeviceZScores({"grid_frequency_hz": FLOOR}, window=window, warm_up=WARM_UP, refresh=1)


def settled(centre: float = 50.0) -> DeviceZScores:
    noise = random.Random(1)
    scores = z_scores()
    for _ in range(100):
        scores.score({"grid_frequency_hz": centre + noise.gauss(0.0, 0.02)})
    return scores


def test_nothing_is_scored_before_the_warm_up_is_over() -> None:
    scores = z_scores()
    early = [scores.score({"grid_frequency_hz": 50.0}) for _ in range(WARM_UP)]
    assert early == [{}] * WARM_UP
    assert scores.score({"grid_frequency_hz": 50.0}) == {"grid_frequency_hz": 0.0}


def test_values_that_are_missing_do_not_warm_up() -> None:
    scores = z_scores()
    for _ in range(10 * WARM_UP):
        assert scores.score({}) == {}
    assert scores.score({"grid_frequency_hz": 50.0}) == {}


def test_a_spike_is_strange_and_the_value_after_it_is_not() -> None:
    scores = settled()
    assert scores.score({"grid_frequency_hz": 51.0})["grid_frequency_hz"] > 20
    assert scores.score({"grid_frequency_hz": 50.01})["grid_frequency_hz"] < 3


def test_a_value_that_is_not_a_number_is_never_scored_as_normal() -> None:
    assert settled().score({"grid_frequency_hz": math.nan}) == {}


def test_a_point_without_a_value_is_not_scored() -> None:
    assert settled().score({"other_hz": 50.0}) == {}


def test_spikes_in_under_half_of_the_window_do_not_hide_the_next_one() -> None:
    scores = settled()
    for _ in range(30):
        scores.score({"grid_frequency_hz": 60.0})
    assert scores.score({"grid_frequency_hz": 60.0})["grid_frequency_hz"] > 20


def test_a_lasting_change_becomes_normal() -> None:
    scores = settled()
    for _ in range(100):
        scores.score({"grid_frequency_hz": 51.0})
    assert scores.score({"grid_frequency_hz": 51.0})["grid_frequency_hz"] < 1


def test_a_point_that_stood_still_may_make_one_step_of_its_resolution() -> None:
    scores = DeviceZScores({"soc_pct": Z_FLOORS["pct"]}, window=50, warm_up=10, refresh=1)
    for _ in range(50):
        scores.score({"soc_pct": 80.0})
    assert scores.score({"soc_pct": 80.1})["soc_pct"] < 1


def test_the_strangest_point_is_named() -> None:
    assert strangest({"a": 1.0, "b": 3.0}) == (3.0, "b")


def test_without_any_score_the_largest_is_unknown() -> None:
    assert strangest({}) == (None, "")


@given(st.lists(st.floats(-1e6, 1e6), min_size=5, max_size=60), st.floats(-1e6, 1e6))
def test_the_score_is_the_distance_from_the_median_in_median_deviations(
    history: list[float], value: float
) -> None:
    window = PointWindow(window=40, warm_up=5, refresh=1)
    for past in history:
        window.learn(past)
    kept = np.array(history[-40:])
    spread = MAD_TO_SIGMA * np.median(np.abs(kept - np.median(kept)))
    expected = abs(value - np.median(kept)) / max(spread, FLOOR.absolute)
    assert window.score(value, FLOOR) == expected
