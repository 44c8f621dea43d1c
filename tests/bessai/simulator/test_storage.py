"""Battery units that carry a command between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.physics import BatterySpec
from bessai.simulator.storage import Storage

AT_ONCE = BatterySpec(response_time_constant_s=0.0)


def storage(units: int = 2, soc_pct: float = 50.0) -> Storage:
    return Storage(AT_ONCE, units=units, soc_pct=soc_pct, temperature_c=25.0)


@given(st.floats(1, 99), st.floats(1, 99), st.floats(-12_000, 12_000))
def test_units_give_what_is_wanted_as_far_as_their_limits_reach(
    first_pct: float, second_pct: float, wanted_w: float
) -> None:
    both = storage()
    both.units[0].set_soc_pct(first_pct)
    both.units[1].set_soc_pct(second_pct)
    low_w, high_w = -both.max_discharge_w, both.max_charge_w
    both.step(0.05, target_w=wanted_w, ambient_c=25.0)
    assert both.power_w == pytest.approx(min(max(wanted_w, low_w), high_w), abs=1e-3)
    assert all(unit.power_w * wanted_w >= 0.0 for unit in both.units)


def test_a_full_unit_leaves_all_to_the_other() -> None:
    both = storage()
    both.units[0].set_soc_pct(100.0)
    both.step(1.0, target_w=3000.0, ambient_c=25.0)
    assert [unit.power_w for unit in both.units] == [0.0, 3000.0]


def test_state_of_charge_is_that_of_the_whole_capacity() -> None:
    both = storage()
    both.units[0].set_soc_pct(80.0)
    both.units[1].set_soc_pct(20.0)
    assert (both.soc_pct, both.capacity_wh) == (50.0, 30_000.0)
    assert both.max_charge_w == 10_000.0


def test_one_unit_is_the_storage() -> None:
    single = storage(units=1, soc_pct=40.0)
    single.step(1.0, target_w=2000.0, ambient_c=25.0)
    unit = single.units[0]
    assert single.power_w == 2000.0
    assert single.soc_pct == pytest.approx(unit.soc_pct)
    assert (single.current_a, single.voltage_v) == (unit.current_a, unit.voltage_v)
