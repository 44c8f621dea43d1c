"""The registers of a simulated SunSpec device: what stands where, and how values get there and back."""

from __future__ import annotations

import json
import math
from importlib.metadata import distribution
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.registers import EncodingError
from bessai.simulator.sunspec_device import DER, LEGACY, LEGACY_FLOAT
from bessai.simulator.sunspec_map import SunSpecPoint, chain, headers

KINDS = [LEGACY, LEGACY_FLOAT, DER]


def point(kind: str, count: int, exponent: int = 0) -> SunSpecPoint:
    return SunSpecPoint(name="x", address=0, count=count, type=kind, exponent=exponent)


@pytest.mark.parametrize("models", KINDS)
def test_points_follow_one_another_without_a_gap(models: tuple[int, ...]) -> None:
    registers = chain(models)
    assert registers.points[0].address == 40002
    pairs = zip(registers.points, registers.points[1:], strict=False)
    assert all(first.end == second.address for first, second in pairs)
    assert registers.fixed[registers.end - 2] == 0xFFFF


@pytest.mark.parametrize("models", KINDS)
def test_every_model_tells_the_length_that_leads_to_the_next(models: tuple[int, ...]) -> None:
    registers = chain(models, base=0)
    told = headers(registers)
    address = 2
    for number in models:
        at = {each.name: each.address for each in registers.points}
        assert at[f"{number}.ID"] == address
        address += int(told[f"{number}.L"]) + 2


@pytest.mark.parametrize("number", sorted({*LEGACY, *LEGACY_FLOAT, *DER}))
def test_a_model_has_the_points_of_its_definition(number: int) -> None:
    path = distribution("pysunspec2").locate_file(f"sunspec2/models/json/model_{number}.json")
    group = json.loads(Path(str(path)).read_text())["group"]
    defined = [(each["name"], each["type"], each["size"]) for each in group["points"]]
    own = [(each.name.partition(".")[2], each.type, each.count) for each in chain((number,)).points]
    assert own[: len(defined)] == defined


def test_a_model_stands_once() -> None:
    with pytest.raises(ValueError, match="hold one twice"):
        chain((1, 802, 802))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("uint16", (0xFFFF,)),
        ("int16", (0x8000,)),
        ("sunssf", (0x8000,)),
        ("enum16", (0xFFFF,)),
        ("uint32", (0xFFFF, 0xFFFF)),
        ("int32", (0x8000, 0)),
        ("acc32", (0, 0)),
        ("bitfield32", (0xFFFF, 0xFFFF)),
        ("float32", (0x7FC0, 0)),
        ("uint64", (0xFFFF,) * 4),
        ("string", (0, 0)),
    ],
)
def test_what_is_not_implemented_holds_the_mark_of_its_type(
    kind: str, words: tuple[int, ...]
) -> None:
    assert point(kind, len(words)).invalid_words() == words


@given(raw=st.integers(-0x7FFF, 0x7FFF), exponent=st.integers(-4, 4))
def test_a_scaled_value_comes_back(raw: int, exponent: int) -> None:
    subject = point("int16", 1, exponent)
    value = raw * 10.0**exponent
    assert math.isclose(float(subject.decode(subject.encode(value))), value, rel_tol=1e-12)


@pytest.mark.parametrize("value", [40_000, -40_000, math.nan, math.inf])
def test_a_value_that_does_not_fit_is_an_error_that_names_it(value: float) -> None:
    with pytest.raises(EncodingError, match="does not fit register 0"):
        point("int16", 1).encode(value)


def test_a_text_is_cut_at_its_registers() -> None:
    subject = point("string", 2)
    assert subject.decode(subject.encode("abcdef")) == "abcd"
