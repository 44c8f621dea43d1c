from __future__ import annotations

import math

import msgspec
import pytest

from actors.safety.config import OUTER_BOUNDS, DeviceLimits, SafetyConfig


def test_every_figure_has_an_outer_bound_and_its_default_keeps_it() -> None:
    assert OUTER_BOUNDS.keys() == set(DeviceLimits.__struct_fields__)
    assert DeviceLimits().soc_min_pct == 5.0


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
    ],
)
def test_limits_that_contradict_one_another_are_refused(contradiction: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"is not allowed: expected at most .*, because"):
        DeviceLimits(**contradiction)  # type: ignore[arg-type]


def test_a_decoded_configuration_names_the_place_of_the_fault() -> None:
    data = msgspec.json.encode({"state_dir": "s", "devices": {"a": {"trip_high_c": 90}}})

    with pytest.raises(msgspec.ValidationError, match=r"trip_high_c = 90.*\$\.devices"):
        msgspec.json.decode(data, type=SafetyConfig)


def test_requests_without_an_end_cannot_be_configured() -> None:
    with pytest.raises(ValueError, match=r"safety.max_ttl_s = inf is not allowed"):
        SafetyConfig(state_dir="s", devices={}, max_ttl_s=math.inf)
