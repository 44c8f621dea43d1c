"""Registers are encoded when they are read, whatever part of the map is asked for."""

from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.image import Layout, RegisterImage
from bessai.simulator.register_map import RegisterMap
from bessai.simulator.registers import EncodingError, Point, RegisterType

WIDE = Point(name="wide", address=10, count=2, type=RegisterType.I32, gain=1, writable=False)
NARROW = Point(name="narrow", address=13, count=1, type=RegisterType.I16, gain=10, writable=False)
TEXT = Point(name="text", address=15, count=2, type=RegisterType.STR, gain=1, writable=False)
MAP = RegisterMap([WIDE, NARROW, TEXT], reserved=[range(10, 17)])


class Source:
    wide = -2.0
    narrow = 1.5


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def image(source: Source) -> RegisterImage[Source]:
    layout = Layout[Source](MAP, {name: attrgetter(name) for name in ("wide", "narrow")})
    return RegisterImage(layout, source, {"text": "SUN"})


ALL = [0xFFFF, 0xFFFE, 0, 15, 0, 0x5355, 0x4E00]


def test_what_is_measured_and_what_is_fixed_are_served(image: RegisterImage[Source]) -> None:
    assert image.read(10, 7) == ALL


@given(st.integers(0, 6), st.integers(1, 7))
def test_any_part_is_the_same_as_that_part_of_the_whole(first: int, count: int) -> None:
    layout = Layout[Source](MAP, {name: attrgetter(name) for name in ("wide", "narrow")})
    whole = RegisterImage(layout, Source(), {"text": "SUN"})
    count = min(count, 7 - first)
    assert whole.read(10 + first, count) == ALL[first : first + count]


def test_a_value_is_kept_until_the_device_has_changed(
    image: RegisterImage[Source], source: Source
) -> None:
    assert image.read(13, 1) == [15]
    source.narrow = 2.0
    assert image.read(13, 1) == [15]
    image.touch()
    assert image.read(13, 1) == [20]


def test_what_does_not_fit_is_the_most_that_fits(
    image: RegisterImage[Source], source: Source
) -> None:
    source.narrow, source.wide = 1e9, -1e12
    assert image.read(10, 4) == [0x8000, 0, 0, 0x7FFF]


def test_a_spoof_covers_the_truth_until_it_is_cleared(
    image: RegisterImage[Source], source: Source
) -> None:
    image.spoof_value("narrow", None)
    source.narrow = 5.1
    image.touch()
    assert image.read(10, 7)[3] == 0x7FFF
    image.clear([13])
    assert image.read(13, 1) == [51]
    image.spoof_words(11, [7, 8])
    assert image.read(10, 3) == [0xFFFF, 7, 8]
    image.clear()
    assert image.read(10, 3) == [0xFFFF, 0xFFFE, 0]


def test_a_change_shows_at_its_addresses(image: RegisterImage[Source], source: Source) -> None:
    before = image.snapshot()
    source.wide = 2.0
    assert image.changed_since(before) == {10, 11}


def test_only_words_of_the_map_can_be_spoofed(image: RegisterImage[Source]) -> None:
    with pytest.raises(EncodingError, match="17 is a hole"):
        image.spoof_words(17, [1])
    with pytest.raises(EncodingError, match="65536"):
        image.spoof_words(13, [65_536])
