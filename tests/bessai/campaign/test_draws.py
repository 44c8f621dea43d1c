from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.campaign import draws
from bessai.campaign.step import Kind, Suffer
from bessai.campaign.terms import Terms
from bessai.simulator.faults import VALUE_KINDS, fault_of, parameters_of

SOURCES = st.integers(0, 1_000_000).map(random.Random)
TERMS = Terms()


@given(draw=SOURCES)
@settings(max_examples=300)
def test_every_fault_is_one_that_the_simulator_can_be_told(draw: random.Random) -> None:
    faults = [draws.wire_fault(draw), draws.value_fault(draw), draws.foreign_writes(draw)]
    for fault in (each.fault for each in faults):
        assert fault_of(fault.kind.value, parameters_of(fault)) == fault


@given(draw=SOURCES)
def test_faults_end_soon(draw: random.Random) -> None:
    suffered: list[Suffer] = [draws.wire_fault(draw), draws.value_fault(draw)]
    assert all(0.5 <= each.for_s <= 4.0 for each in suffered)
    assert (suffered[0].fault.kind in VALUE_KINDS, suffered[1].fault.kind in VALUE_KINDS) == (
        False,
        True,
    )


@given(draw=SOURCES)
def test_no_leap_of_temperature_is_one_that_trips(draw: random.Random) -> None:
    leaps = [draws.physics(draw)[0].values["temperature_c"] for _ in range(20)]
    assert max(leaps) - min(leaps) < TERMS.heating_trip_k_per_min
    assert TERMS.trip_high_c <= draws.too_hot(draw).values["temperature_c"]


@given(draw=SOURCES)
def test_a_dangerous_direction_is_closed_by_the_limits_and_forced(draw: random.Random) -> None:
    moved, danger = draws.physics(draw)
    soc_pct, celsius = moved.values["soc_pct"], moved.values["temperature_c"]
    charge_closed = soc_pct >= TERMS.soc_max_pct or not (
        TERMS.charge_min_c < celsius < TERMS.charge_max_c
    )
    discharge_closed = soc_pct <= TERMS.soc_min_pct or celsius <= TERMS.discharge_min_c
    match danger:
        case Kind.CHARGE:
            assert charge_closed
        case Kind.DISCHARGE:
            assert discharge_closed
        case None:
            assert not charge_closed
            assert not discharge_closed
    assert danger is None or draws.force(draw, danger).kind is danger
