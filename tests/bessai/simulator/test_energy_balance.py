"""No energy comes from nowhere: what flowed in a device over any time adds up."""

import datetime as dt
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.simulator.device import DeviceConfig, SimulatedDevice
from bessai.simulator.sunspec_device import SunSpecDevice

JULY_S = dt.datetime(2026, 7, 1, tzinfo=dt.UTC).timestamp()
FORCED = (
    {"forced_mode": 0.0},
    {"forced_period_min": 60, "forced_charge_power_w": 3000, "forced_mode": 1},
    {"forced_period_min": 60, "forced_discharge_power_w": 3000, "forced_mode": 2},
)


def assert_balanced(device: SimulatedDevice, stored_before_wh: float) -> None:
    """Check the energies of the site, of the inverter and of the battery against one another."""
    seen = device.plant.counters
    loss_wh = sum(unit.loss_wh for unit in device.storage.units)
    stored_wh = sum(unit.energy_wh for unit in device.storage.units) - stored_before_wh
    into_site_wh = seen.pv_wh + seen.imported_wh
    out_of_site_wh = seen.exported_wh + seen.load_wh + seen.inverter_loss_wh + loss_wh
    assert into_site_wh == pytest.approx(out_of_site_wh + stored_wh, rel=1e-9, abs=1e-3)
    charged_wh = sum(unit.charged_wh for unit in device.storage.units)
    discharged_wh = sum(unit.discharged_wh for unit in device.storage.units)
    assert charged_wh - discharged_wh == pytest.approx(stored_wh + loss_wh, abs=1e-3)
    assert seen.inverter_loss_wh >= -1e-6


@settings(max_examples=30)
@given(
    st.integers(1, 2),
    st.floats(0, 100),
    st.floats(0, 12_000),
    st.floats(0, 5_000),
    st.lists(st.tuples(st.sampled_from(FORCED), st.floats(0.05, 900)), min_size=1, max_size=30),
)
def test_energy_is_kept_whatever_is_commanded(
    units: int,
    soc_pct: float,
    peak_w: float,
    load_w: float,
    steps: list[tuple[dict[str, float], float]],
) -> None:
    config = DeviceConfig(
        battery_units=units,
        soc_pct=soc_pct,
        pv_peak_w=peak_w,
        load_w=load_w,
        cloud_cover=0.4,
        household=1,
        clock_s=JULY_S + 36_000.0,
    )
    device = SimulatedDevice("d1", config)
    before_wh = sum(unit.energy_wh for unit in device.storage.units)
    for command, dt_s in steps:
        device.control.apply(command)
        device.step(dt_s)
    assert_balanced(device, before_wh)


def test_a_summer_day_charges_the_battery_by_noon_and_empties_it_by_night() -> None:
    config = DeviceConfig(
        soc_pct=20.0, pv_peak_w=8000, load_w=700, household=1, cloud_cover=0.2, clock_s=JULY_S
    )
    device = SimulatedDevice("d1", config)
    before_wh = device.battery.energy_wh
    soc_pct = []
    for _ in range(1440):
        device.step(60.0)
        soc_pct.append(device.battery.soc_pct)
    assert_balanced(device, before_wh)
    assert device.plant.counters.load_wh == pytest.approx(700 * 24, rel=0.01)
    assert 25_000 < device.plant.counters.pv_wh < 60_000
    assert max(soc_pct[600:1080]) > 90.0
    assert soc_pct[300] < 20.0
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(soc_pct[1260:]))


def test_a_sunspec_storage_has_the_same_weather() -> None:
    config = DeviceConfig(pv_peak_w=8000, load_w=700, household=1, clock_s=JULY_S)
    day, night = SunSpecDevice("d1", config), SunSpecDevice("d1", config)
    day.set_state({"clock_s": JULY_S + 43_200.0})
    for each in (day, night):
        each.step(1.0)
    assert (night.plant.pv_now_w, day.plant.pv_now_w > 6000.0) == (0.0, True)
    day.set_state({"pv_w": 100.0})
    day.step(1.0)
    assert day.plant.pv_now_w == 100.0
