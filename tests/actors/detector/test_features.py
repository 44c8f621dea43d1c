import pytest

from actors.detector.features import SpreadFloor, forest_points, unit_of
from actors.messages import DeviceSchema, PointInfo


def schema(*names: str) -> DeviceSchema:
    return DeviceSchema(device_id="a", schema_id=1, points=tuple(PointInfo(n, "") for n in names))


def test_the_unit_is_the_last_part_of_a_name() -> None:
    assert unit_of("battery_temperature_c") == "c"


def test_the_forest_sees_measurements_and_no_limits_counters_or_codes() -> None:
    names = ("soc_pct", "max_charge_w", "energy_total_kwh", "device_status", "battery_power_w")
    assert forest_points(schema(*names)) == ("battery_power_w", "soc_pct")


def test_the_order_of_a_profile_does_not_change_the_columns() -> None:
    assert forest_points(schema("soc_pct", "grid_voltage_v")) == forest_points(
        schema("grid_voltage_v", "soc_pct")
    )


@pytest.mark.parametrize(("centre", "floor"), [(0.0, 1.0), (-400.0, 4.0), (400.0, 4.0)])
def test_a_floor_grows_with_the_magnitude(centre: float, floor: float) -> None:
    assert SpreadFloor(1.0, 0.01).at(centre) == floor
