"""The package huawei-solar, our reader and the device itself agree on every register."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.inverter.point_reading import PointReading
from actors.inverter.profile import Point
from actors.messages import Quality
from bessai.simulator.huawei_map import HUAWEI
from bessai.simulator.huawei_quirks import METER
from tests.peers.three_views import POINTS, Views, look

pytestmark = pytest.mark.timeout(400)  # the peers' environment is installed on the first run

ADDRESSES = [point.address for point in HUAWEI.points]
CHANGING = 2
"""Between two looks a slow value may have moved by so many of its register's steps."""
CLOCKS = {40000}

TRUTHS = [
    ("storage_unit_1_state_of_capacity", "soc_pct", "soc_pct", 0.1, 1),
    ("storage_unit_1_battery_temperature", "battery_temperature_c", "temperature_c", 0.1, 1),
    ("storage_charge_discharge_power", "storage_power_w", "battery_power_w", 1, 1),
    ("storage_unit_1_bus_voltage", "battery_voltage_v", "battery_voltage_v", 0.1, 1),
    ("storage_bus_current", "storage_current_a", "battery_current_a", 0.1, 1),
    ("storage_maximum_charge_power", "max_charge_w", "max_charge_w", 1, 1),
    ("storage_maximum_discharge_power", "max_discharge_w", "max_discharge_w", 1, 1),
    ("input_power", "pv_power_w", "pv_w", 1, 1),
    ("active_power", "active_power_w", "ac_power_w", 1, 1),
    ("power_meter_active_power", None, "grid_export_w", 1, 1),
    ("storage_total_charge", "storage_charged_total_kwh", "charged_wh", 0.02, 1000),
    ("storage_unit_1_remaining_charge_dis_charge_time", None, "remaining_min", 1, 1),
    ("storage_unit_1_working_mode_b", "battery_mode", "active_mode", 0, 1),
    ("forcible_charge_discharge_write", "forced_command", "forced_mode", 0, 1),
]


DEVICES: dict[str, tuple[str, ...]] = {
    "two units of three packs, six strings": ("battery_units=2", "packs=3", "pv_strings=6"),
    "one unit, no meter": ("meter=0", "packs=2"),
}
NOT_THEIRS = {35300, 35301, 35303, 35304, 35305, 35307, 37928}
"""Registers of the device that the package has no name for."""
THEIR_BUGS = {"storage_huawei_luna2000_time_of_use_price_periods"}
"""The package takes 41 registers for a table of 43, which it reads as it should under another name."""


@pytest.fixture(scope="module", params=DEVICES)
def views(request: pytest.FixtureRequest, stranger: Path) -> Views:
    """A device of each make-up with every register at work."""
    settings = DEVICES[request.param]
    offline = "meter=0" in settings
    asked = [address for address in ADDRESSES if not (offline and address in METER)]
    return look(stranger, asked, *settings)


@pytest.mark.parametrize(("their_name", "our_name", "attribute", "step", "per"), TRUTHS)
def test_a_stranger_and_our_reader_find_what_the_device_does(
    views: Views, their_name: str, our_name: str | None, attribute: str, step: float, per: float
) -> None:
    truth = getattr(views.truth, attribute) / per
    if views.our("meter_status") == 0 and their_name.startswith("power_meter"):
        return
    assert views.value(their_name) == pytest.approx(truth, abs=step)
    if our_name is not None:
        assert views.our(our_name) == pytest.approx(truth, abs=step)


def test_import_is_positive_with_us_and_negative_in_the_register(views: Views) -> None:
    if views.our("meter_status") == 0:
        assert views.our("grid_power_w") is None
        return
    assert views.our("grid_power_w") == -views.value("power_meter_active_power")
    assert views.our("grid_power_w") == pytest.approx(-views.truth.grid_export_w, abs=1)


def test_the_stranger_knows_every_register_of_the_device(views: Views) -> None:
    there = set(ADDRESSES) - set(METER) if views.our("meter_status") == 0 else set(ADDRESSES)
    assert there - set(views.theirs) == NOT_THEIRS
    failed = {
        name for told in views.theirs.values() for name, each in told.items() if "error" in each
    }
    assert failed == THEIR_BUGS


def test_a_second_unit_is_told_where_there_is_one(views: Views) -> None:
    truth = views.truth
    if truth.second_power_w is None:
        assert views.our("esu2_soc_pct") is None
        assert views.value("storage_unit_2_product_model") == 0
        return
    power_w = views.value("storage_unit_2_charge_discharge_power")
    assert power_w == views.our("esu2_power_w") == pytest.approx(truth.second_power_w, abs=1)
    assert views.our("battery_power_w") == pytest.approx(truth.battery_power_w - power_w, abs=2)
    assert views.our("esu2_soc_pct") == pytest.approx(truth.second_soc_pct, abs=0.1)
    assert views.our("esu2_pack3_soc_pct") == pytest.approx(truth.second_soc_pct, abs=0.1)


def test_time_tables_are_kept_as_they_were_written(views: Views) -> None:
    assert views.value("storage_lg_resu_time_of_use_price_periods") == [
        {"start_time": 60, "end_time": 120, "electricity_price": 1.234}
    ]
    charge, discharge = views.value(
        "storage_huawei_luna2000_time_of_use_charging_and_discharging_periods"
    )
    assert charge == {
        "start_time": 0,
        "end_time": 360,
        "charge_flag": 0,
        "days_effective": [True] * 7,
    }
    weekdays = [False, True, True, True, True, True, False]
    assert (discharge["charge_flag"], discharge["days_effective"]) == (1, weekdays)


def test_our_reader_agrees_with_the_stranger_on_every_point_that_both_read(views: Views) -> None:
    at = {point.address: point for point in POINTS.values()}
    both = [address for address in views.theirs if address in views.ours]
    differing = {
        name: (told["value"], views.ours[address])
        for address in both
        for name, told in views.theirs[address].items()
        if name not in THEIR_BUGS
        if not _same(told["value"], views.ours[address], at[address])
    }
    assert not differing
    assert len(both) > 140
    missing = [ours.name for ours in views.ours.values() if ours.quality is not Quality.GOOD]
    assert not [name for name in missing if not _absent(name, views)]


def _absent(name: str, views: Views) -> bool:
    """Tell whether the device has no such thing."""
    reading = views.ours[POINTS[name].address]
    return reading.reason.startswith("not there") or "no such register" in reading.reason


def _same(theirs: Any, ours: PointReading, point: Point) -> bool:
    """Tell whether a value of the package is that of our point, which may have moved on a little."""
    if ours.reason.startswith("not there"):
        return theirs in {0, ""}
    match theirs:
        case list():
            return _same_bits(theirs, ours, point)
        case str() if point.enum:
            return theirs.split(":")[0].lower() in ours.meaning.lower()
        case str():
            return theirs == ours.text
        case None:
            return ours.value is None
        case _:
            slack = 60.0 if point.address in CLOCKS else CHANGING / point.gain
            value = -theirs if point.flip else theirs
            return ours.value is not None and abs(value - ours.value) <= slack


def _same_bits(theirs: list[Any], ours: PointReading, point: Point) -> bool:
    """Compare alarms by number and severity, states by name."""
    assert ours.value is not None
    active = [bit for bit in point.bits if int(ours.value) >> bit.bit & 1]
    if all(bit.severity for bit in point.bits):
        said = [(bit.id, bit.severity.value if bit.severity else "") for bit in active]
        return [(each[1], each[2].lower()) for each in theirs] == said
    names = {bit.name.lower() for bit in active}
    return names == {each.lower() for each in theirs if each.lower() in _names(point)}


def _names(point: Point) -> set[str]:
    return {bit.name.lower() for bit in point.bits}
