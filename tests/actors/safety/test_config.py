from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from actors.safety.config import OUTER_BOUNDS, DeviceLimits, SafetyConfig, SiteLimits

DEFAULTS = {
    "soc_min_pct": 5.0,
    "soc_max_pct": 98.0,
    "soc_hysteresis_pct": 2.0,
    "soc_min_band_pct": 5.0,
    "soc_max_band_pct": 3.0,
    "charge_min_c": 0.0,
    "charge_max_c": 50.0,
    "discharge_min_c": -10.0,
    "discharge_max_c": 50.0,
    "temperature_hysteresis_k": 5.0,
    "cold_band_k": 10.0,
    "hot_band_k": 5.0,
    "trip_high_c": 55.0,
    "trip_low_c": -20.0,
    "heating_derate_k_per_min": 1.0,
    "heating_trip_k_per_min": 3.0,
    "heating_s": 5.0,
    "battery_min_v": 40.0,
    "battery_max_v": 1000.0,
    "max_charge_a": 120.0,
    "max_discharge_a": 120.0,
    "max_charge_w": 5000.0,
    "max_discharge_w": 5000.0,
    "overload_pct": 105.0,
    "overload_s": 2.0,
    "ramp_pct_per_min": 6000.0,
    "ramp_down_s": 10.0,
    "deadband_w": 100.0,
    "frequency_min_hz": 49.0,
    "frequency_max_hz": 51.0,
    "frequency_hysteresis_hz": 0.2,
    "frequency_lost_min_hz": 47.5,
    "frequency_lost_max_hz": 51.5,
    "reconnect_min_hz": 49.6,
    "reconnect_max_hz": 50.4,
    "reconnect_s": 300.0,
    "grid_min_v": 198.0,
    "grid_max_v": 440.0,
    "grid_hysteresis_v": 8.0,
    "grid_delay_s": 1.0,
    "disagreement_pct": 20.0,
    "disagreement_w": 300.0,
    "disagreement_s": 3.0,
    "soc_disagreement_pct": 5.0,
    "reconsider_s": 300.0,
    "capacity_kwh": None,
    "frozen_s": 180.0,
    "stale_after_s": 5.0,
    "good_cycles": 3,
    "lease_s": 5.0,
    "reassert_s": 1.0,
}


def test_the_defaults_are_these_and_whoever_changes_one_means_it() -> None:
    assert msgspec.structs.asdict(DeviceLimits()) == DEFAULTS
    assert SafetyConfig(state_dir="s", devices={}).max_ttl_s == 900.0
    assert SafetyConfig(state_dir="s", devices={}).site == SiteLimits()


def test_every_figure_has_an_outer_bound_and_its_default_keeps_it() -> None:
    assert OUTER_BOUNDS.keys() == set(DeviceLimits.__struct_fields__)


@pytest.mark.parametrize("field", OUTER_BOUNDS)
def test_a_figure_beyond_its_outer_bound_is_refused_with_its_reason(field: str) -> None:
    bound = OUTER_BOUNDS[field]

    for value in (bound.low - 1, bound.high + 1, math.nan):
        with pytest.raises(
            ValueError, match=f"{field} = {value} is not allowed: .*because"
        ) as error:
            DeviceLimits(**{field: value})  # type: ignore[arg-type]
        assert bound.why in str(error.value)


def test_all_faults_of_a_device_are_named_at_once() -> None:
    with pytest.raises(ValueError, match=r"soc_min_pct = 1.*; lease_s = 99"):
        DeviceLimits(soc_min_pct=1, lease_s=99)


@pytest.mark.parametrize(
    "contradiction",
    [
        {"soc_min_pct": 50, "soc_max_pct": 52},
        {"charge_min_c": 22, "charge_max_c": 30},
        {"discharge_min_c": 25, "discharge_max_c": 30},
        {"trip_high_c": 45},
        {"trip_low_c": -5},
        {"heating_derate_k_per_min": 2.95},
        {"battery_min_v": 999.5},
        {"frequency_lost_min_hz": 49.1},
        {"frequency_lost_max_hz": 50.9},
        {"frequency_lost_min_hz": 47.5, "reconnect_min_hz": 47.4},
        {"reconnect_max_hz": 51.6},
        {"reconnect_min_hz": 50.35},
        {"frequency_min_hz": 50.7},
        {"grid_min_v": 425.0},
    ],
)
def test_limits_that_contradict_one_another_are_refused(contradiction: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"is not allowed: expected at most .*, because"):
        DeviceLimits(**contradiction)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "just_so",
    [
        {"soc_min_pct": 50, "soc_max_pct": 54},
        {"charge_min_c": 20, "charge_max_c": 30},
        {"discharge_min_c": 20, "discharge_max_c": 30},
        {"trip_high_c": 50},
        {"trip_low_c": -10, "discharge_min_c": -10},
        {"heating_derate_k_per_min": 2.9},
        {"battery_min_v": 999.0},
        {"frequency_lost_min_hz": 49.0},
        {"frequency_lost_max_hz": 51.0},
        {"reconnect_min_hz": 47.5},
        {"reconnect_max_hz": 51.5},
        {"reconnect_min_hz": 50.3},
        {"frequency_min_hz": 50.0, "frequency_max_hz": 50.4, "reconnect_min_hz": 50.1},
        {"grid_min_v": 424.0},
    ],
)
def test_limits_that_leave_just_enough_room_are_allowed(just_so: dict[str, float]) -> None:
    limits = DeviceLimits(**just_so)  # type: ignore[arg-type]

    assert {name: getattr(limits, name) for name in just_so} == just_so


def test_what_is_worked_out_of_limits_follows_them() -> None:
    limits = DeviceLimits(max_charge_w=4000, max_discharge_w=3000, overload_pct=110, deadband_w=50)

    assert (limits.full_w, DeviceLimits(max_charge_w=0, max_discharge_w=0).full_w) == (4000, 1)
    assert (limits.overload_charge_w, limits.overload_discharge_w) == (4450, 3350)
    assert limits.heating_band_k_per_min == 2


@pytest.mark.parametrize("ttl_s", [1, 3600])
def test_a_life_of_requests_at_its_bounds_is_allowed(ttl_s: float) -> None:
    assert SafetyConfig(state_dir="s", devices={}, max_ttl_s=ttl_s).max_ttl_s == ttl_s


def test_a_life_of_requests_beyond_its_bounds_is_refused() -> None:
    for ttl_s in (0.9, 3601.0):
        with pytest.raises(ValueError, match="a forgotten request must end"):
            SafetyConfig(state_dir="s", devices={}, max_ttl_s=ttl_s)


def test_a_decoded_configuration_names_the_place_of_the_fault() -> None:
    data = msgspec.json.encode({"state_dir": "s", "devices": {"a": {"trip_high_c": 90}}})

    with pytest.raises(msgspec.ValidationError, match=r"trip_high_c = 90.*\$\.devices"):
        msgspec.json.decode(data, type=SafetyConfig)


def test_requests_without_an_end_cannot_be_configured() -> None:
    with pytest.raises(ValueError, match=r"safety.max_ttl_s = inf is not allowed"):
        SafetyConfig(state_dir="s", devices={}, max_ttl_s=math.inf)


COUNTS = {"requests_per_minute": 600, "resets_per_hour": 10}


@pytest.mark.parametrize(("key", "most"), COUNTS.items())
def test_counts_end_at_their_bounds(key: str, most: int) -> None:
    def given(value: int) -> int:
        changes: dict[str, Any] = {key: value}
        return int(getattr(SafetyConfig(state_dir="s", devices={}, **changes), key))

    assert (given(1), given(most)) == (1, most)
    for value in (0, most + 1):
        with pytest.raises(ValueError, match=rf"safety.{key} = {value} is not allowed: .* {most},"):
            given(value)


def test_the_defaults_of_the_site_are_these() -> None:
    config = SafetyConfig(state_dir="s", devices={})
    assert (config.requests_per_minute, config.resets_per_hour, config.traced) == (60, 3, False)


def test_a_site_s_limit_ends_at_its_bound_and_its_meters_wait_for_the_devices() -> None:
    most = SafetyConfig(state_dir="s", devices={}, site_import_max_w=1e8, site_meters=("a",))
    assert most.site == SiteLimits(import_max_w=1e8, meters=("a",))
    with pytest.raises(ValueError, match=r"site_import_max_w = 100000000\.5 is not allowed"):
        SafetyConfig(state_dir="s", devices={}, site_import_max_w=1e8 + 0.5)
