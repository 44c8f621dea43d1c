"""A profile refuses what cannot work, and says where and how to mend it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from actors.inverter.errors import ProfileError
from actors.inverter.profile import MAX_READ_REGISTERS, VITAL_POINTS, PollClass, Profile
from actors.inverter.profile_file import load_profile, parse_profile, profile_names
from tests.actors.inverter.driven import PROFILE

NAME = "huawei_sun2000_luna2000"
TEXT = (Path(__file__).parents[3] / "config" / "profiles" / f"{NAME}.toml").read_text()


def changed(old: str, new: str) -> bytes:
    assert old in TEXT
    return TEXT.replace(old, new, 1).encode()


def test_the_profile_that_comes_along_reads_a_poll_in_seven_blocks_safety_first() -> None:
    polled = [block for block in PROFILE.blocks if block.poll_class is not PollClass.ONCE]
    assert len(polled) == 7
    safety = {
        point.name
        for block in polled
        if block.poll_class is PollClass.SAFETY
        for point in block.points
    }
    assert {*VITAL_POINTS, PROFILE.write.forced_point} <= safety
    assert all(block.count <= MAX_READ_REGISTERS for block in PROFILE.blocks)


def test_no_block_reads_what_devices_in_the_field_do_not_answer() -> None:
    meter = next(block for block in PROFILE.blocks if block.name == "meter")
    assert meter.address + meter.count - 1 == 37137
    assert meter.only_if is not None
    assert meter.only_if.point == "meter_status"


def test_grid_power_is_positive_while_importing() -> None:
    points = {point.name: point for block in PROFILE.blocks for point in block.points}
    assert points["grid_power_w"].flip
    assert not points["battery_power_w"].flip


def test_a_profile_travels_as_msgpack() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(PROFILE), type=Profile) == PROFILE


def test_profiles_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    assert NAME in profile_names()
    assert (
        load_profile(path) == load_profile(str(path)) == load_profile("mine", tmp_path) == PROFILE
    )


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(ProfileError, match=f"'huawei_sun2000'.*did you mean '{NAME}'"):
        load_profile("huawei_sun2000")


def test_an_unknown_name_far_from_all_is_told_with_those_known() -> None:
    with pytest.raises(ProfileError, match=f"known are .*{NAME}"):
        load_profile("zzz")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ProfileError, match=r"profile nowhere\.toml cannot be read"):
        load_profile("nowhere.toml")


def test_text_that_is_not_toml_is_told_with_its_line() -> None:
    with pytest.raises(ProfileError, match=r"profile x\.toml is not TOML: .*line 1"):
        parse_profile(b"name = \nx = 1", "x.toml")


def test_an_unknown_key_names_file_block_point_and_the_nearest_key() -> None:
    text = changed(
        'name = "soc_pct", address = 37004, type = "u16", unit = "%", gain',
        'name = "soc_pct", address = 37004, type = "u16", unit = "%", gian',
    )
    with pytest.raises(
        ProfileError, match=r"x\.toml.*gian.*block battery, point soc_pct; did you mean 'gain'"
    ):
        parse_profile(text, "x.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "address = 37004",
            "address = 37003",
            "block battery, point soc_pct: register 37003 .* next free register is 37004",
        ),
        (
            "count = 23",
            "count = 20",
            "block battery: its points end at register 37022, so count must be 23",
        ),
        (
            "count = 37\n",
            "count = 126\n",
            "block meter: count = 126 must be 1 to 125; split the block",
        ),
        (
            "address = 37046\ncount",
            "address = 65533\ncount",
            "block battery_limits: address = 65533 must be 0 to 65532",
        ),
        ("gain = 10, low = 0, high = 1500 }", "gain = 0 }", "point battery_voltage_v: gain = 0"),
        (
            "low = 0, high = 100, source",
            "low = 100, high = 0, source",
            "point soc_pct: low = 100.0 must be below",
        ),
        ('"soc_pct"', '"SOC"', "point 'SOC': the name must be"),
        ('"soc_pct"', '"soc"', "point soc_pct is missing"),
        (
            '"battery_current_a"',
            '"battery_power_w"',
            "point battery_power_w is in block battery and in block battery",
        ),
        (
            '"battery"\nclass = "safety"',
            '"battery"\nclass = "rest"',
            'put it into a block with class = "safety"',
        ),
        ('point = "meter_status"', 'point = "meter"', "block meter: only_if names 'meter'"),
        (
            'forced_point = "battery_mode"',
            'forced_point = "mode"',
            "forced_point = 'mode' is not a point",
        ),
        ("u16 = [0xFFFF]", "u17 = [0xFFFF]", "sentinels: 'u17' is not a type"),
        ("deadman_min = 2", "deadman_min = 0", "deadman_min = 0 must be 1 to 1440"),
        (
            "renew_s = 45.0",
            "renew_s = 61.0",
            "renew_s = 61.0 must be above 0 and at most half the countdown, 60",
        ),
        (
            "value = 1, verify = true",
            'value = 1, operand = "power_w"',
            "give either value or operand",
        ),
        ('operand = "deadman_min"', "value = 2", "write.charge: no step writes deadman_min"),
        (
            "value = 0, verify = true",
            "value = 0",
            "write.stop: at least one step needs verify = true",
        ),
        (
            'address = 47100, type = "u16", value = 1',
            'address = 47100, type = "i16", value = 1',
            "type = i16 cannot be written",
        ),
        ('model_pattern = "SUN2000.*"', 'model_pattern = "("', "is not a regular expression"),
        ("count = 25", "count = 24", "identity: count = 24 must be 25 to 125"),
        ("gap_s = 0.05", "gap_s = -1", "timing.gap_s = -1.0 is not allowed: expected 0.0 to 10.0"),
    ],
)
def test_what_cannot_work_is_refused_with_place_and_fix(old: str, new: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        parse_profile(changed(old, new), "x.toml")
