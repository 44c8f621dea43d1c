"""How a SunSpec device is commanded, and when it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.errors import RefusedWriteError
from actors.inverter.profile import Profile
from actors.inverter.sunspec import discover
from actors.inverter.sunspec_profile import SunSpecProfile
from actors.inverter.write import LiveLimits, LiveState, WritePlan, plan_power, plan_stop
from tests.actors.inverter.test_sunspec_compile import BANK, BATTERY, INVERTER, WANTED
from tests.actors.inverter.told_registers import common, device, model

LEGACY: Mapping[str, float | str] = {
    "WChaMax": 50,
    "WChaMax_SF": 2,
    "StorCtl_Mod": 0,
    "ChaState": 5000,
    "ChaState_SF": -2,
    "InWRte": 10000,
    "OutWRte": 10000,
    "InOutWRte_SF": -2,
    "InOutWRte_RvrtTms": 0,
    "ChaGriSet": 1,
}
DER: Mapping[str, float | str] = {
    "WSetEna": 0,
    "WSetMod": 1,
    "WSet": 0,
    "WSet_SF": 1,
    "WSetRvrt": 0,
    "WSetEnaRvrt": 0,
    "WSetRvrtTms": 0,
}
PV = model(120, {"DERTyp": 82})
UNLIMITED = LiveLimits(20_000, 20_000)


def compiled(
    *controls: list[int], maker: str = "Maker", wanted: SunSpecProfile = WANTED
) -> Profile:
    models = [model(103, INVERTER), model(802, BATTERY), model(803, BANK), *controls]
    registers = device(common(maker), *models)
    profile = asyncio.run(discover(wanted, registers.read)).profile
    assert profile is not None
    return profile


def written(plan: WritePlan) -> list[tuple[str, int]]:
    """Return the steps by name, with their numbers as signed ones."""

    def number(words: tuple[int, ...]) -> int:
        raw = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big")
        half = 1 << 16 * len(words) - 1
        return raw - 2 * half if raw >= half else raw

    return [(step.name, number(step.words)) for step in plan.steps]


def test_watts_are_written_with_the_sign_of_the_grid_and_the_timer_first() -> None:
    spec = compiled(model(704, DER)).write
    charge = written(plan_power(spec, 3000, UNLIMITED, 5))
    assert charge == [
        ("704.WSetEnaRvrt", 0),
        ("704.WSetRvrt", 0),
        ("704.WSetRvrtTms", 300),
        ("704.WSetMod", 1),
        ("704.WSet", -300),
        ("704.WSetEna", 1),
    ]
    assert ("704.WSet", 300) in written(plan_power(spec, -3000, UNLIMITED, 5))


def test_a_stop_of_watts_first_ends_them() -> None:
    assert written(plan_stop(compiled(model(704, DER)).write)) == [
        ("704.WSetEna", 0),
        ("704.WSet", 0),
    ]


def test_percent_are_of_the_charging_power_and_the_timer_comes_first() -> None:
    spec = compiled(model(124, LEGACY)).write
    assert written(plan_power(spec, 2500, UNLIMITED, 5)) == [
        ("124.InOutWRte_RvrtTms", 300),
        ("124.InWRte", 5000),
        ("124.OutWRte", 0),
        ("124.StorCtl_Mod", 1),
    ]
    assert written(plan_power(spec, -1000, UNLIMITED, 5)) == [
        ("124.InOutWRte_RvrtTms", 300),
        ("124.OutWRte", 2000),
        ("124.InWRte", 0),
        ("124.StorCtl_Mod", 2),
    ]


def test_a_stop_of_percent_leaves_the_rates_as_a_device_has_them() -> None:
    assert written(plan_stop(compiled(model(124, LEGACY)).write)) == [
        ("124.StorCtl_Mod", 0),
        ("124.InWRte", 10000),
        ("124.OutWRte", 10000),
    ]


def test_a_maker_whose_rates_are_limits_is_forced_by_a_negative_one() -> None:
    spec = compiled(model(124, LEGACY), maker="Fronius").write
    assert written(plan_power(spec, 2500, UNLIMITED, 5))[1:] == [
        ("124.InWRte", 5000),
        ("124.OutWRte", -5000),
        ("124.StorCtl_Mod", 3),
    ]
    assert written(plan_power(spec, -2500, UNLIMITED, 5))[1:] == [
        ("124.OutWRte", 5000),
        ("124.InWRte", -5000),
        ("124.StorCtl_Mod", 3),
    ]


def test_of_two_possible_bases_of_a_discharge_the_one_that_asks_for_less_is_taken() -> None:
    nameplate = model(120, {"DERTyp": 80, "MaxDisChaRte": 10_000, "MaxDisChaRte_SF": 0})
    spec = compiled(model(124, LEGACY), nameplate).write
    assert ("124.OutWRte", 2500) in written(plan_power(spec, -2500, UNLIMITED, 5))


def test_watts_go_before_percent() -> None:
    assert compiled(model(124, LEGACY), model(704, DER)).write.forced_point == "m704_wsetena"


def test_beside_pv_the_model_that_commands_the_battery_alone_is_used() -> None:
    profile = compiled(model(704, DER), model(124, LEGACY), PV)
    assert profile.write.forced_point == "m124_storctl_mod"


@pytest.mark.parametrize(
    ("control", "reason"),
    [
        ([], "it has no model 704; it has no model 124"),
        ([PV, model(704, DER)], "model 704 would command PV and battery together"),
        (
            [model(704, {k: v for k, v in DER.items() if k != "WSetRvrtTms"})],
            "model 704 has no timer that ends a command",
        ),
        ([model(704, {k: v for k, v in DER.items() if k != "WSet"})], "model 704 has no WSet"),
        (
            [model(704, {k: v for k, v in DER.items() if k not in {"WSetRvrt", "WSetEnaRvrt"}})],
            "model 704 does not say what comes after its timer",
        ),
        (
            [model(124, {k: v for k, v in LEGACY.items() if k != "InOutWRte_RvrtTms"})],
            "model 124 has no timer that ends a command",
        ),
        (
            [model(124, {k: v for k, v in LEGACY.items() if k != "InOutWRte_SF"})],
            "model 124 has no InWRte",
        ),
        ([model(124, {**LEGACY, "WChaMax": 0})], r"100 % is 0 W \(WChaMax\)"),
        ([model(124, {**LEGACY, "InOutWRte_SF": 3})], "rates in steps of 1000 %"),
    ],
    ids=["none", "pv", "timer 704", "watts", "revert", "timer 124", "scale", "base", "steps"],
)
def test_a_device_that_cannot_be_commanded_safely_is_read_only_and_says_why(
    control: list[list[int]], reason: str
) -> None:
    profile = compiled(*control)
    with pytest.raises(RefusedWriteError, match=f"this device is read only: .*{reason}"):
        plan_power(profile.write, 1000, UNLIMITED, 5)
    assert plan_stop(profile.write) == WritePlan((), ())
    assert profile.write.impossible in profile.source


def states(profile: Profile, **changed: float) -> LiveLimits:
    usual = {
        "m124_inoutwrte_scale_now": -2.0,
        "m124_wchamax_w": 5000.0,
        "max_charge_w": 5000.0,
        "m124_chagriset": 1.0,
        "m802_locremctl": 0.0,
    }
    needed = {requirement.point for requirement in profile.write.requires}
    assert needed <= usual.keys()
    live = {name: LiveState(1, (usual | changed)[name]) for name in needed}
    return msgspec.structs.replace(UNLIMITED, states=live)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"m124_inoutwrte_scale_now": -1.0}, "the scale of InWRte and OutWRte is not what it was"),
        ({"max_charge_w": 4000.0}, "100 % stood for this power"),
        ({"m124_chagriset": 0.0}, "charges from PV only"),
        ({"m802_locremctl": 1.0}, "under local control"),
    ],
)
def test_a_command_is_refused_when_the_device_is_not_as_it_was_recognised(
    changed: dict[str, float], reason: str
) -> None:
    profile = compiled(model(124, LEGACY))
    assert plan_power(profile.write, 1000, states(profile), 5).steps
    with pytest.raises(RefusedWriteError, match=reason):
        plan_power(profile.write, 1000, states(profile, **changed), 5)


@pytest.mark.parametrize("scale", [-4, -3, -2, 0, 2])
def test_a_stop_can_be_written_whatever_the_scale(scale: int) -> None:
    spec = compiled(model(124, {**LEGACY, "InOutWRte_SF": scale})).write
    assert written(plan_stop(spec))[0] == ("124.StorCtl_Mod", 0)


@given(power_w=st.floats(-1000, 1000), scale=st.integers(-3, 0))
def test_never_more_than_the_approved_power_is_asked_for(power_w: float, scale: int) -> None:
    rates = {"InOutWRte_SF": scale, "InWRte": 0, "OutWRte": 0}
    spec = compiled(model(124, {**LEGACY, **rates, "WChaMax": 327, "WChaMax_SF": 1})).write
    asked = dict(written(plan_power(spec, power_w, UNLIMITED, 5)))
    rate = asked.get("124.InWRte" if power_w > 0 else "124.OutWRte", 0)
    percent = 0.0 if asked["124.StorCtl_Mod"] == 0 else rate * 10.0**scale
    assert 0 <= percent / 100 * 3270 <= abs(power_w) + 1e-9
