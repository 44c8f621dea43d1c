"""A profile refuses what cannot work, and says where and how to mend it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from actors.inverter.errors import ProfileError
from actors.inverter.profile import Profile
from actors.inverter.profile_file import load_profile, parse_profile, profile_names
from tests.actors.inverter.driven import PROFILE

NAME = "huawei_sun2000_luna2000"
TEXT = (Path(__file__).parents[3] / "config" / "profiles" / f"{NAME}.toml").read_text()


def changed(old: str, new: str) -> bytes:
    assert old in TEXT
    return TEXT.replace(old, new, 1).encode()


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


def test_yaml_is_not_read_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: x")
    with pytest.raises(ProfileError, match=r"mine\.yaml: YAML is not read; write it as TOML"):
        load_profile(str(path))


def faults_of(text: bytes) -> list[str]:
    with pytest.raises(ProfileError) as caught:
        parse_profile(text, "x.toml")
    return str(caught.value).removeprefix("profile x.toml: ").strip().split("\n  ")


def test_an_unknown_key_names_file_block_point_and_the_nearest_key() -> None:
    assert faults_of(
        changed('unit = "%", gain = 10, low = 0, high = 100', 'unit = "%", gian = 10')
    ) == ["block battery_2, point esu2_soc_pct: unknown key 'gian'; did you mean 'gain'?"]


def test_every_fault_is_told_at_once() -> None:
    text = changed('type = "u32", unit = "W"', 'type = "u33", unit = "W"').decode()
    text = text.replace("count = 11", 'count = "eleven"').replace("gap_s = 0.05", "gap = 0.05")
    text = text.replace("gain = 10, low = 0, high = 1500", "gain = 0, low = 0, high = 1500", 1)
    text = text.replace("optional = true", "optional = 1", 1)
    text = text.replace('0x0200 = "On-grid: running"', 'on = "On-grid: running"')
    text = text.replace('enum = "active_mode"', 'enum = "active_modus"')
    text = text.replace('severity = "major" }', 'severity = "mayor" }', 1)
    text = text.replace('operand = "deadman_min" }', 'operand = "minutes" }', 1)
    told = faults_of(text.encode())
    assert [fault.partition(" (")[0] for fault in sorted(told)] == [
        "block battery_2: point esu2_voltage_v: gain = 0.0 must be a number above 0",
        (
            "block battery_limits, point max_charge_w: type: 'u33' is not allowed; did you mean 'u32'?"
            " allowed are u16, i16, u32, i32, u64, i64, f32, f64, bits16, bits32, str"
        ),
        "block remote_control, point remote_control_mode: optional: expected bool, got int, found 1",
        (
            "block state, point alarm_1, bit High String Input Voltage: severity: 'mayor' is not allowed;"
            " did you mean 'major'? allowed are warning, minor, major"
        ),
        "block state: count: expected int, got str, found 'eleven'",
        "point battery_mode: enum = 'active_modus' is not a table of [enums]; did you mean 'active_mode'?",
        "point device_status: enum key 'on' is not a whole number such as 3 or 0x0200",
        "timing: gap_s is missing",
        "timing: unknown key 'gap'; did you mean 'gap_s'?",
        (
            "write.charge, step forced period: operand: 'minutes' is not allowed; allowed are power_w,"
            " deadman_min, deadman_s, ramp_s, original"
        ),
    ]


def test_parts_that_do_not_fit_together_are_told_at_once() -> None:
    text = changed('point = "meter_status"', 'point = "meter"').decode()
    text = text.replace('forced_point = "battery_mode"', 'forced_point = "mode"')
    text = text.replace('soc_pct = ["soc_pct", "esu2_soc_pct"]', 'soc = ["soc_pct"]')
    assert faults_of(text.encode()) == [
        "block meter: only_if names 'meter', which is not a point of any block",
        (
            "vitals: 'soc' is not a vital; use one of soc_pct, battery_temperature_c, battery_power_w,"
            " battery_voltage_v, battery_current_a, max_charge_w, max_discharge_w"
        ),
        "write.forced_point = 'mode' is not a point of any block",
    ]


@pytest.mark.parametrize(
    "text", [b"blocks = 3", b"blocks = [3]", b"[blocks]", b"enums = 1", b"kind = 7"]
)
def test_what_is_no_profile_at_all_is_told_and_never_a_crash(text: bytes) -> None:
    assert faults_of(text)


def test_an_unknown_kind_is_told_with_those_there_are() -> None:
    assert any(
        "kind = 'sunspek' is not allowed" in fault for fault in faults_of(b"kind = 'sunspek'")
    )


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
        ("gain = 10, low = 0, high = 1500 }", "gain = 0 }", "point esu2_voltage_v: gain = 0"),
        (
            "low = 0, high = 100, source",
            "low = 100, high = 0, source",
            "point soc_pct: low = 100.0 must be below",
        ),
        ('"soc_pct", addr', '"SOC", addr', "point 'SOC': the name must be"),
        ('"max_charge_w", addr', '"max_w", addr', "point max_charge_w is missing"),
        (
            '"battery_current_a", addr',
            '"battery_power_w", addr',
            "point battery_power_w is in block battery and in block battery",
        ),
        ("count = 4\n", "count = 126\n", "block battery_limits: count = 126 must be 1 to 125"),
        ('type = "str", registers = 15', 'type = "str"', 'registers is for type = "str"'),
        ('unit = "W", low', 'unit = "W", registers = 2, low', 'registers is for type = "str"'),
        ('type = "bits16", bits', 'type = "u16", bits', 'bits need type = "bits16" or "bits32"'),
        ("{ bit = 1,", "{ bit = 0,", "point state_1: a bit is named twice"),
        ("{ bit = 1,", "{ bit = 16,", "point state_1: bit 16 must be 0 to 15"),
        ("not_equals = 0 }", "not_equals = 0, equals = 1 }", "give exactly one of equals"),
        (
            "not_equals = 0 }",
            "not_empty = true }",
            "esu2_model is a number; not_empty is for strings",
        ),
        (
            '"esu2_model"\nclass = "once"',
            '"esu2_model"\nonly_if = { point = "esu2_model", equals = 1 }\nclass = "once"',
            "only_if esu2_model: whether that is read depends on this",
        ),
        ("slow_s = 30.0", "slow_s = 0.0", "slow_s = 0.0 is not allowed"),
        ("slow_s = 30.0", "unit_id = 256", "unit_id = 256 is not allowed: expected 0 to 255"),
        (
            "slow_s = 30.0",
            "max_registers = 64",
            "block meter: .*|count = 83 is above max_registers = 64",
        ),
        (
            "slow_s = 30.0",
            'word_order = "little"',
            "write.charge, step forced charge power: word_order is missing",
        ),
        (
            'point = "charge_from_grid"\nallowed = [1]',
            'point = "charge_from_grid"',
            "requires charge_from_grid: give either allowed or forbidden",
        ),
        ('before = ["charge"]', 'before = ["stop"]', "before must name charge, discharge or hold"),
        ('point = "charge_from_grid"\n', 'point = "model_name"\n', "'model_name' is not a number"),
        (
            "verify = true }",
            "verify = true, gain = 0 }",
            "gain = 0.0 must be a number other than 0",
        ),
        (
            "value = 0 }",
            "value = 0, tolerance = 2 }",
            "tolerance must be 0 or more, and needs verify",
        ),
        ("value = 0 }", "value = 0, settle_s = 61 }", "settle_s = 61.0 is not allowed"),
        ("value = 0 }", "value = 0, persistent = true }", "must not wear flash"),
        (
            'operand = "original", verify = true',
            "value = 5000, verify = true",
            r"hold changes \[47077\], release restores \[\]",
        ),
        (
            "persistent_writes_per_day = 20",
            "persistent_writes_per_day = 1",
            "persistent_writes_per_day = 1 must be at least 2",
        ),
        (
            'address = 47083, type = "u16", value = 0 }',
            'address = 47083, type = "u16", operand = "power_w" }',
            "write.stop: there is no power_w to write; use value",
        ),
        (
            '"battery"\nclass = "safety"',
            '"battery"\nclass = "fast"',
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
            'address = 47100, type = "bits16", value = 1',
            "type = bits16 cannot be written",
        ),
        ('model_pattern = "SUN2000.*"', 'model_pattern = "("', "is not a regular expression"),
        ("count = 25", "count = 24", "identity: count = 24 must be 25 to 125"),
        ("gap_s = 0.05", "gap_s = -1", "timing.gap_s = -1.0 is not allowed: expected 0.0 to 10.0"),
    ],
)
def test_what_cannot_work_is_refused_with_place_and_fix(old: str, new: str, message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        parse_profile(changed(old, new), "x.toml")
