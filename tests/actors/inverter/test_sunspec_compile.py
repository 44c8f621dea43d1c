"""The ordinary profile that becomes of what a SunSpec device tells."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest

from actors.inverter.decode import BlockPlan
from actors.inverter.errors import WrongDeviceError
from actors.inverter.found import Found
from actors.inverter.plausibility import Plausibility, Rate
from actors.inverter.profile import Block, Point, PollClass, Profile, Severity
from actors.inverter.profile_file import load_profile
from actors.inverter.sunspec import discover
from actors.inverter.sunspec_profile import SunSpecProfile
from tests.actors.inverter.told_registers import ToldRegisters, common, device, model


def _wanted() -> SunSpecProfile:
    profile = load_profile("sunspec_storage")
    assert isinstance(profile, SunSpecProfile)
    return profile


WANTED = _wanted()

BATTERY: Mapping[str, float | str] = {
    "SoC": 555,
    "SoC_SF": -1,
    "W": 120,
    "W_SF": 1,
    "V": 7200,
    "V_SF": -1,
    "A": 17,
    "A_SF": -1,
    "WChaRteMax": 50,
    "WDisChaRteMax": 40,
    "WChaDisChaMax_SF": 2,
    "Evt1": 2,
    "LocRemCtl": 0,
}
BANK: Mapping[str, float | str] = {"ModTmpMax": 312, "ModTmpMin": 288, "ModTmp_SF": -1}
INVERTER: Mapping[str, float | str] = {
    "W": -250,
    "W_SF": 1,
    "Hz": 4999,
    "Hz_SF": -2,
    "PhVphA": 2301,
    "V_SF": -1,
    "TmpCab": 41,
    "Tmp_SF": 0,
    "St": 4,
    "WH": 0,
    "WH_SF": 0,
}


def found(registers: ToldRegisters, wanted: SunSpecProfile = WANTED) -> Found:
    return asyncio.run(discover(wanted, registers.read))


def compiled(*models: list[int], wanted: SunSpecProfile = WANTED) -> Profile:
    profile = found(device(common(), *models), wanted).profile
    assert profile is not None
    return profile


def values(profile: Profile, registers: ToldRegisters) -> dict[str, float | None]:
    """Read every block once, as a poll does."""
    result: dict[str, float | None] = {}
    for block in profile.blocks:
        words = asyncio.run(registers.read(block.address, block.count))
        plan = BlockPlan(profile, block)
        result |= dict(
            zip((point.name for point in plan.points), plan.decode(words).values, strict=True)
        )
    return result


def points(profile: Profile) -> dict[str, tuple[Block, Point]]:
    return {point.name: (block, point) for block in profile.blocks for point in block.points}


def storage(**bank: float) -> list[list[int]]:
    return [
        model(103, INVERTER),
        model(802, BATTERY),
        model(803, {**BANK, **bank}),
    ]


def test_the_compiled_profile_reads_what_the_device_holds() -> None:
    registers = device(common(), *storage())
    profile = found(registers).profile
    assert profile is not None
    read = values(profile, registers)
    assert read["soc_pct"] == 55.5
    assert read["battery_power_w"] == -1200
    assert read["battery_voltage_v"] == 720
    assert read["battery_current_a"] == pytest.approx(-1.7)
    assert read["battery_temperature_c"] == 31.2
    assert (read["max_charge_w"], read["max_discharge_w"]) == (5000, 4000)
    assert read["active_power_w"] == -2500
    assert read["grid_frequency_hz"] == pytest.approx(49.99)
    assert read["grid_voltage_v"] == pytest.approx(230.1)
    assert read["internal_temperature_c"] == 41


def test_who_answers_is_what_the_common_model_says() -> None:
    who = found(device(common("Acme", "Box 10"), *storage()))
    assert (who.model, who.serial, who.firmware) == ("Acme Box 10", "S-1", "1.2")


@pytest.mark.parametrize(
    ("key", "named"), [("manufacturer_pattern", "Maker"), ("model_pattern", "Storage 5")]
)
def test_a_device_that_the_profile_is_not_for_is_refused(key: str, named: str) -> None:
    wanted = msgspec.structs.replace(WANTED, **{key: "Acme.*"})
    with pytest.raises(
        WrongDeviceError, match=f"'{named}' answers, this profile is for those like"
    ):
        found(device(common(), *storage()), wanted)


def test_a_device_without_a_state_of_charge_is_no_storage() -> None:
    with pytest.raises(WrongDeviceError, match="not a storage"):
        compiled(model(103, INVERTER))


def test_what_safety_needs_is_read_with_the_safety_blocks() -> None:
    profile = compiled(*storage())
    home = points(profile)
    for names in profile.vital_points().values():
        assert {home[name][0].poll_class for name in names} == {PollClass.SAFETY}


def test_the_hottest_and_the_coldest_module_make_the_temperature() -> None:
    profile = compiled(*storage())
    assert profile.vitals["battery_temperature_c"] == ("battery_temperature_c", "m803_modtmpmin_c")


def test_a_device_without_the_coldest_module_has_the_hottest() -> None:
    profile = compiled(*storage(ModTmpMin=-0x8000))
    assert profile.vitals["battery_temperature_c"] == ("battery_temperature_c",)


def test_a_device_without_a_temperature_says_so_and_has_none() -> None:
    profile = compiled(model(103, INVERTER), model(802, BATTERY))
    assert profile.vitals["battery_temperature_c"] == ()
    assert "it cannot tell battery_temperature_c" in profile.source


def test_every_battery_bank_counts() -> None:
    profile = compiled(*storage(), model(802, BATTERY))
    assert profile.vitals["soc_pct"] == ("soc_pct", "m802_2_soc_pct")
    assert profile.vitals["battery_power_w"] == ("battery_power_w", "m802_2_w_w")


def test_signs_are_ours_in_every_bank() -> None:
    registers = device(common(), *storage(), model(802, BATTERY))
    profile = found(registers).profile
    assert profile is not None
    assert values(profile, registers)["m802_2_w_w"] == -1200


def test_charging_and_discharging_modules_make_the_power_of_a_battery() -> None:
    modules: dict[str, float | str] = {"DCW_SF": 0, "N": 4}
    for number, name in enumerate(["MPPT1", "MPPT2", "StCha 3", "StDisCha 4"], 1):
        modules |= {f"module.{number}.IDStr": name, f"module.{number}.DCW": number * 100}
    registers = device(
        common(),
        model(103, INVERTER),
        model(160, modules, length=88),
        model(124, {"WChaMax": 5000, "WChaMax_SF": 0, "ChaState": 4200, "ChaState_SF": -2}),
    )
    profile = found(registers).profile
    assert profile is not None
    names = profile.vitals["battery_power_w"]
    assert names == ("m160_module_3_dcw_w", "m160_module_4_dcw_w")
    read = values(profile, registers)
    assert [read[name] for name in names] == [300, -400]
    assert (read["pv1_power_w"], read["pv2_power_w"]) == (100, 200)


def test_power_at_the_grid_stands_for_the_battery_only_where_there_is_no_pv() -> None:
    alone = [model(701, {"W": -150, "W_SF": 1}), model(713, {"SoC": 40, "Pct_SF": 0})]
    profile = compiled(*alone)
    assert profile.vitals["battery_power_w"] == ("battery_power_w",)
    assert profile.points["battery_power_w"].flip
    assert not profile.points["active_power_w"].flip
    beside_pv = compiled(*alone, model(120, {"DERTyp": 82}))
    assert beside_pv.vitals["battery_power_w"] == ()


def test_alarms_have_names_and_grades() -> None:
    bits = {bit.bit: bit for bit in compiled(*storage()).points["m802_evt1"].bits}
    assert (bits[1].name, bits[1].severity) == ("OVER_TEMP_ALARM", Severity.MAJOR)
    assert (bits[2].name, bits[2].severity) == ("OVER_TEMP_WARNING", Severity.WARNING)


def test_states_have_their_names() -> None:
    assert compiled(*storage()).points["device_status"].enum[4] == "MPPT"


def test_points_that_are_not_implemented_are_left_out_unless_they_are_mandatory() -> None:
    known = compiled(*storage()).points
    assert "m802_cellvmax_v" not in known
    assert "m802_state" in known


def test_a_counter_at_zero_is_no_value() -> None:
    registers = device(common(), *storage())
    profile = found(registers).profile
    assert profile is not None
    assert values(profile, registers)["m103_wh_wh"] is None


def test_a_module_too_far_from_its_scale_is_left_out_and_noted() -> None:
    modules = {f"module.{number}.DCW": 100.0 for number in range(1, 9)}
    profile = compiled(*storage(), model(160, {"DCW_SF": 0, **modules}, length=8 + 160))
    assert "pv5_power_w" in profile.points
    assert "pv8_power_w is too far from its scale" in profile.source


def test_checks_of_points_that_the_device_lacks_are_left_out() -> None:
    rates = tuple(Rate(point=point, max_per_s=1.0, step=1.0) for point in ("soc_pct", "pv_power_w"))
    wanted = msgspec.structs.replace(WANTED, plausibility=Plausibility(rates=rates))
    profile = compiled(*storage(), wanted=wanted)
    assert [rate.point for rate in profile.plausibility.rates] == ["soc_pct"]


@pytest.mark.parametrize("longest", [125, 120, 64])
def test_no_block_is_longer_than_a_request(longest: int) -> None:
    wanted = msgspec.structs.replace(WANTED, max_registers=longest)
    models = [*storage(), model(701, {"W": 1, "W_SF": 0}), model(121, {}), model(123, {})]
    registers = device(common(), *models)
    registers.longest = longest
    profile = found(registers, wanted).profile
    assert profile is not None
    assert max(block.count for block in profile.blocks) <= longest
    assert values(profile, registers)["soc_pct"] == 55.5


def test_the_compiled_profile_travels_like_any_other() -> None:
    profile = compiled(*storage())
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(profile), type=Profile) == profile


def test_devices_that_are_alike_share_one_profile() -> None:
    assert compiled(*storage()) is compiled(*storage())
    assert compiled(*storage()) is not compiled(*storage(ModTmpMin=-0x8000))
