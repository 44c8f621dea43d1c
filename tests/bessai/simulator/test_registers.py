"""Encoding of values and the register map itself."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.image import EXISTING, RegisterImage
from bessai.simulator.register_map import ALIASES, BY_NAME, POINTS, points_named
from bessai.simulator.registers import EncodingError, Point, RegisterType

NUMERIC = [point for point in POINTS if point.type is not RegisterType.STR]


@given(st.sampled_from(NUMERIC), st.data())
def test_every_number_reads_back_to_within_half_a_unit_of_its_register(
    point: Point, data: st.DataObject
) -> None:
    low, high = point.type.raw_range()
    value = data.draw(st.floats(low / point.gain, high / point.gain))
    words = point.encode(value)
    assert len(words) == point.count
    back = point.decode(words)
    assert isinstance(back, float | int)
    assert abs(back - value) <= 0.5 / point.gain + abs(value) * 1e-12


def test_negative_numbers_are_twos_complement_with_the_high_word_first() -> None:
    assert BY_NAME["esu1_power_w"].encode(-2) == (0xFFFF, 0xFFFE)
    assert BY_NAME["esu1_temperature_c"].encode(-0.1) == (0xFFFF,)
    assert BY_NAME["meter_power_w"].encode(65_536) == (1, 0)


def test_strings_are_padded_with_nul() -> None:
    words = BY_NAME["model"].encode("SUN")
    assert words[:3] == (0x5355, 0x4E00, 0)
    assert BY_NAME["model"].decode(words) == "SUN"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("esu1_soc_pct", (0xFFFF,)),
        ("esu1_temperature_c", (0x7FFF,)),
        ("max_charge_w", (0xFFFF, 0xFFFF)),
        ("esu1_power_w", (0x7FFF, 0xFFFF)),
        ("serial_number", (0,) * 10),
    ],
)
def test_the_invalid_mark_is_the_vendors(name: str, words: tuple[int, ...]) -> None:
    assert BY_NAME[name].invalid_words() == words


def test_a_value_that_does_not_fit_names_register_and_range() -> None:
    with pytest.raises(EncodingError, match=r"esu1_soc_pct=7000.*37004.*6553\.5"):
        BY_NAME["esu1_soc_pct"].encode(7000)
    with pytest.raises(EncodingError, match="number"):
        BY_NAME["esu1_soc_pct"].encode("full")
    with pytest.raises(EncodingError, match="longer"):
        BY_NAME["serial_number"].encode("x" * 21)


def test_points_do_not_overlap_and_have_unique_names() -> None:
    assert len(BY_NAME) == len(POINTS)
    assert all(before.end <= after.address for before, after in pairwise(POINTS))


def test_aliases_name_registers() -> None:
    assert all(points_named(alias) for alias in ALIASES)
    with pytest.raises(KeyError, match="soc_pct"):
        points_named("state_of_charge")


def test_a_spoof_covers_the_truth_until_it_is_cleared() -> None:
    image = RegisterImage()
    image.report({"esu1_soc_pct": 50.0})
    image.spoof_value("esu1_soc_pct", None)
    image.report({"esu1_soc_pct": 51.0})
    assert image.read(37004, 1) == [0xFFFF]
    image.clear([37004])
    assert image.read(37004, 1) == [510]


def test_a_hole_cannot_be_spoofed() -> None:
    assert 37024 not in EXISTING
    with pytest.raises(EncodingError, match="37024 is a hole"):
        RegisterImage().spoof_words(37024, [1])
    with pytest.raises(EncodingError, match="65536"):
        RegisterImage().spoof_words(37004, [65_536])
