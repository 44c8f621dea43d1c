from collections.abc import Collection

import pytest

from actors.detector.features import Census, SpreadFloor, unit_of, z_floors
from actors.messages import DeviceSchema, PointInfo


def schema(*names: str) -> DeviceSchema:
    return DeviceSchema(device_id="a", schema_id=1, points=tuple(PointInfo(n, "") for n in names))


def test_the_unit_is_the_last_part_of_a_name() -> None:
    assert unit_of("battery_temperature_c") == "c"


def census_of(*names: str, rounds: int, good: Collection[str]) -> tuple[str, ...] | None:
    census = Census(schema(*names), 10)
    for _ in range(rounds - 1):
        census.count(good)
    return census.count(good)


def test_the_forest_sees_measurements_and_no_settings_counters_or_codes() -> None:
    names = ("soc_pct", "max_charge_w", "charged_today_kwh", "device_status", "battery_power_w")
    assert census_of(*names, rounds=10, good=names) == ("battery_power_w", "soc_pct")


def test_the_order_of_a_profile_does_not_change_the_columns() -> None:
    names = ("soc_pct", "grid_voltage_v")
    one, other = (census_of(*n, rounds=10, good=names) for n in (names, names[::-1]))
    assert one == other


def test_nothing_is_known_before_the_census_ends() -> None:
    assert census_of("soc_pct", rounds=9, good=["soc_pct"]) is None


def test_a_point_that_the_device_does_not_deliver_is_not_counted_on() -> None:
    assert census_of("soc_pct", "grid_power_w", rounds=10, good=["soc_pct"]) == ("soc_pct",)


def test_a_point_that_is_missing_once_in_a_while_is_still_counted_on() -> None:
    census = Census(schema("soc_pct", "grid_voltage_v"), 10)
    census.count(["grid_voltage_v"])
    ended = [census.count(["soc_pct", "grid_voltage_v"]) for _ in range(9)]
    assert ended[-1] == ("grid_voltage_v", "soc_pct")


def test_what_jumps_with_the_power_has_no_z_score() -> None:
    names = ("soc_pct", "battery_power_w", "battery_current_a", "efficiency_pct", "target_soc_pct")
    assert set(z_floors(schema(*names))) == {"soc_pct"}


@pytest.mark.parametrize(("centre", "floor"), [(0.0, 1.0), (-400.0, 4.0), (400.0, 4.0)])
def test_a_floor_grows_with_the_magnitude(centre: float, floor: float) -> None:
    assert SpreadFloor(1.0, 0.01).at(centre) == floor
