"""Power falls on the way to a limit, in the bands that the catalogue has by default."""

from __future__ import annotations

from typing import Any

import pytest

from actors.messages import Ruling, SafetyState
from actors.safety.assessment import PowerBound
from tests.actors.safety.guarded import Guarded, rules_of

Changes = dict[str, Any]

LOWERS = [
    pytest.param("nearly_full", {"soc_pct": 96.5}, 0.5, 1.0, marks=pytest.mark.rule("nearly_full")),
    pytest.param(
        "nearly_empty", {"soc_pct": 7.5}, 1.0, 0.5, marks=pytest.mark.rule("nearly_empty")
    ),
    pytest.param(
        "charge_cool",
        {"battery_temperature_c": 2.5},
        0.25,
        1.0,
        marks=pytest.mark.rule("charge_cool"),
    ),
    pytest.param(
        "discharge_cool",
        {"battery_temperature_c": -5.0},
        0.0,
        0.5,
        marks=pytest.mark.rule("discharge_cool"),
    ),
    pytest.param(
        "charge_warm",
        {"battery_temperature_c": 46.0},
        0.8,
        0.8,
        marks=pytest.mark.rule("charge_warm"),
    ),
    pytest.param(
        "discharge_warm",
        {"battery_temperature_c": 49.0},
        0.2,
        0.2,
        marks=pytest.mark.rule("discharge_warm"),
    ),
]


@pytest.mark.parametrize(("rule", "changes", "charge", "discharge"), LOWERS)
def test_power_falls_on_the_way_to_a_limit(
    rule: str, changes: Changes, charge: float, discharge: float
) -> None:
    full = {"max_charge_w": 9000.0, "max_discharge_w": 9000.0}
    guarded = Guarded(soc_hysteresis_pct=0.5, temperature_hysteresis_k=1)
    assessment = guarded.measure(**full, **changes)

    assert rule in rules_of(assessment)
    assert assessment.charge_limit_w == 5000 * charge
    assert assessment.discharge_limit_w == 5000 * discharge
    sign = -1 if rule in {"nearly_empty", "discharge_cool", "discharge_warm"} else 1
    verdict = guarded.check(5000.0 * sign, assessment)
    assert (verdict.ruling, verdict.rule) == (Ruling.CLAMPED, rule)


@pytest.mark.rule("heating")
def test_a_battery_that_warms_fast_gets_less_power_in_both_directions() -> None:
    guarded = Guarded(max_charge_w=3000, max_discharge_w=3000)
    guarded.hold(10, battery_temperature_c=25.0)

    calm = guarded.measure(battery_temperature_c=26.0)
    warm = guarded.measure(battery_temperature_c=27.0)

    assert (calm.charge.limit_w, calm.charge.rule) == (3000, "power_limit")
    assert warm.charge == warm.discharge == PowerBound(1500, "heating")
    assert warm.state is SafetyState.NORMAL
    assert warm.rules == ("heating: 2.0 K/min, full power up to 1 K/min: both directions at 50 %",)


def test_the_figures_of_a_band_are_told_and_a_closed_direction_has_none() -> None:
    low = Guarded(soc_hysteresis_pct=0.5).measure(soc_pct=8.0)
    empty = Guarded().measure(soc_pct=4.0)

    assert low.rules == ("nearly_empty: 8.0 %, full power up to 10 %: discharging at 60 %",)
    assert empty.rules == ("soc_min: 4.0 %, limit at or below 5 %",)


@pytest.mark.parametrize(("band_pct", "left_w"), [(0.5, 2500.0), (0.0, 5000.0)])
def test_a_band_may_be_narrow_or_not_be_at_all(band_pct: float, left_w: float) -> None:
    guarded = Guarded(soc_max_band_pct=band_pct, soc_hysteresis_pct=0.5)
    guarded.measure()

    assert guarded.measure(soc_pct=97.75, max_charge_w=9000.0).charge_limit_w == left_w
