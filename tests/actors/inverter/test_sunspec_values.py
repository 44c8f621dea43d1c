"""What the registers of a SunSpec device say: scales, and the two ways to say that there is nothing."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.sunspec_chain import walk
from actors.inverter.sunspec_profile import Modules
from actors.inverter.sunspec_values import Told
from tests.actors.inverter.told_registers import common, device, model

MODULES = Modules(charge="StCha.*", discharge="StDisCha.*")


def told(*models: list[int], sentinels: dict[str, tuple[int, ...]] | None = None) -> Told:
    registers = device(common(), *models)
    chain = asyncio.run(walk(registers.read, (40000,), 125))
    return Told(chain, MODULES, sentinels or {})


@pytest.mark.parametrize(
    ("raw", "scale", "value"),
    [
        (2345, -2, 23.45),
        (500, 1, 5000.0),
        (7, 0, 7.0),
        (-1, 10, -1e10),
        (-20, -10, -2e-9),
    ],
)
def test_a_value_is_multiplied_by_ten_to_its_scale(raw: int, scale: int, value: float) -> None:
    assert told(model(802, {"W": raw, "W_SF": scale})).value_of("802.W") == pytest.approx(value)


@pytest.mark.parametrize("scale", [None, 11, -11, 0x7FFF])
def test_a_value_without_a_usable_scale_is_none(scale: int | None) -> None:
    values = {"W": 100.0} | ({} if scale is None else {"W_SF": float(scale)})
    assert told(model(802, values)).value_of("802.W") is None


@pytest.mark.parametrize(
    ("number", "point"),
    [
        (802, "802.SoC"),  # uint16
        (802, "802.W"),  # int16
        (802, "802.NCyc"),  # uint32
        (802, "802.Evt1"),  # bitfield32
        (802, "802.ChaSt"),  # enum16
        (704, "704.WSet"),  # int32
        (701, "701.TotWhInj"),  # uint64
        (124, "124.StorCtl_Mod"),  # bitfield16
        (103, "103.WH"),  # acc32
        (113, "113.W"),  # float32
    ],
)
def test_the_mark_of_each_type_means_not_implemented(number: int, point: str) -> None:
    place = told(model(number, {"SoC_SF": 0, "W_SF": 0, "WSet_SF": 0, "WH_SF": 0, "TotWh_SF": 0}))
    assert place.find(point)
    assert place.value_of(point) is None


def test_the_largest_positive_number_is_a_value_and_no_mark() -> None:
    assert told(model(802, {"W": 0x7FFF, "W_SF": 0})).value_of("802.W") == 0x7FFF


def test_a_mark_of_a_manufacturers_own_is_none_too() -> None:
    largest = -3.4028234663852886e38
    values = model(113, {"W": largest})
    assert told(values).value_of("113.W") == largest
    assert told(values, sentinels={"f32": (0xFF7FFFFF,)}).value_of("113.W") is None


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_is_none(number: float) -> None:
    assert told(model(113, {"W": number})).value_of("113.W") is None


@pytest.mark.parametrize("number", [101, 102, 103])
def test_an_inverter_is_found_whatever_its_model(number: int) -> None:
    assert told(model(number, {"W": -300, "W_SF": 1})).value_of("inverter.W") == -3000


def test_a_point_that_no_model_has_has_no_value() -> None:
    assert told().value_of("802.SoC") is None


def test_modules_are_told_apart_by_their_names() -> None:
    values: dict[str, float | str] = {"DCW_SF": 0}
    for number, name in enumerate(["MPPT 1", "MPPT 2", "StCha 3", "StDisCha 4"], 1):
        values |= {f"module.{number}.IDStr": name, f"module.{number}.DCW": number * 100}
    found = told(model(160, values, length=88))
    roles = {role: found.find(f"160.{role}.DCW") for role in ("pv", "charge", "discharge")}
    powers = {role: [found.value(place) for place in places] for role, places in roles.items()}
    assert powers == {"pv": [100, 200], "charge": [300], "discharge": [400]}
    assert found.shows_pv


@pytest.mark.parametrize(("kind", "shows"), [(4, True), (82, True), (80, False)])
def test_the_nameplate_says_whether_there_is_pv(kind: int, shows: bool) -> None:  # noqa: FBT001
    assert told(model(120, {"DERTyp": kind})).shows_pv is shows


@given(raw=st.integers(-0x7FFF, 0x7FFF), scale=st.integers(-10, 10))
def test_every_number_at_every_scale_is_a_finite_value(raw: int, scale: int) -> None:
    value = told(model(802, {"W": raw, "W_SF": scale})).value_of("802.W")
    assert value is not None
    assert math.isclose(value, raw * 10.0**scale, rel_tol=1e-12)
