"""Power and energy balance around the battery."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.plant import INVERTER_EFFICIENCY, Fluctuation, Plant, balance


@given(st.floats(0, 9000), st.floats(0, 20_000), st.floats(-5000, 5000))
def test_the_meter_shows_what_the_inverter_gives_less_what_the_load_takes(
    pv_w: float, load_w: float, battery_w: float
) -> None:
    flows = balance(pv_w=pv_w, load_w=load_w, battery_w=battery_w, rated_ac_w=10_000)
    assert flows.export_w == pytest.approx(flows.ac_w - load_w)
    assert abs(flows.ac_w) <= 10_000 + 1e-6
    dc_w = flows.pv_w - battery_w
    expected_w = dc_w * INVERTER_EFFICIENCY if dc_w > 0 else dc_w / INVERTER_EFFICIENCY
    assert flows.ac_w == pytest.approx(expected_w)


def test_pv_beyond_the_inverter_is_curtailed_unless_the_battery_takes_it() -> None:
    idle = balance(pv_w=14_000, load_w=0, battery_w=0, rated_ac_w=10_000)
    charging = balance(pv_w=14_000, load_w=0, battery_w=3000, rated_ac_w=10_000)
    assert idle.pv_w == pytest.approx(10_000 / INVERTER_EFFICIENCY)
    assert charging.pv_w == pytest.approx(idle.pv_w + 3000)


def test_energy_counters_integrate_the_flows_by_direction() -> None:
    plant = Plant(random.Random(0), rated_ac_w=10_000, variation=0.0)
    plant.load_w = 1000
    plant.settle(3600, 0.0)
    plant.settle(1800, -4000.0)
    assert plant.counters.imported_wh == pytest.approx(1000)
    assert plant.counters.discharged_wh == pytest.approx(2000)
    assert plant.counters.exported_wh == pytest.approx((4000 * INVERTER_EFFICIENCY - 1000) / 2)


def test_the_same_seed_wanders_in_the_same_way() -> None:
    first, second = (Fluctuation(random.Random(7), 0.2) for _ in range(2))
    assert [first.step(1) for _ in range(50)] == [second.step(1) for _ in range(50)]


def test_without_variation_nothing_wanders() -> None:
    assert Fluctuation(random.Random(7), 0.0).step(10) == 1.0
