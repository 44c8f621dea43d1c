"""Words to values, and never to wrong ones."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.decode import BlockPlan, Decoded, decode_text
from actors.inverter.profile import Block, Point, PointType, PollClass
from tests.actors.inverter.driven import PROFILE

word = st.integers(0, 0xFFFF)


def decode(words: list[int], *points: Point) -> Decoded:
    block = Block(name="b", address=100, count=len(words), poll_class=PollClass.REST, points=points)
    return BlockPlan(PROFILE, block).decode(words)


def test_every_type_is_decoded_with_gain_and_sign() -> None:
    decoded = decode(
        [601, 0xFFFF, 0xFFFF, 0xFF9C, 1, 2, 5],
        Point(name="u16_v", address=100, type=PointType.U16, gain=10),
        Point(name="i32_w", address=102, type=PointType.I32),
        Point(name="u32_w", address=104, type=PointType.U32, gain=2),
        Point(name="flags", address=106, type=PointType.BITS16),
    )
    assert decoded == Decoded((60.1, -100.0, 32769.0, 5.0), {})


def test_points_keep_the_order_of_the_profile_even_if_registers_do_not() -> None:
    decoded = decode(
        [1, 2],
        Point(name="second", address=101, type=PointType.U16),
        Point(name="first", address=100, type=PointType.U16),
    )
    assert decoded.values == (2.0, 1.0)


def test_a_flipped_point_changes_its_sign_and_zero_stays_plain() -> None:
    flipped = Point(name="grid_power_w", address=100, type=PointType.I32, flip=True)
    assert decode([0, 1200], flipped).values == (-1200.0,)
    assert math.copysign(1, decode([0, 0], flipped).values[0] or 0.0) == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (PointType.U16, [0xFFFF]),
        (PointType.I16, [0x7FFF]),
        (PointType.I16, [0x8000]),
        (PointType.U32, [0xFFFF, 0xFFFF]),
        (PointType.I32, [0x7FFF, 0xFFFF]),
        (PointType.I32, [0x8000, 0]),
        (PointType.BITS16, [0xFFFF]),
        (PointType.BITS32, [0xFFFF, 0xFFFF]),
    ],
)
def test_a_sentinel_of_its_type_is_no_number(kind: PointType, words: list[int]) -> None:
    decoded = decode(words, Point(name="x", address=100, type=kind))
    assert decoded.values == (None,)
    assert "not available" in decoded.reasons[0]


def test_a_points_own_sentinels_replace_those_of_its_type() -> None:
    point = Point(name="x", address=100, type=PointType.U16, sentinels=(7,))
    assert decode([7], point).values == (None,)
    assert decode([0xFFFF], point).values == (65535.0,)


def test_an_implausible_value_is_no_number_and_says_why() -> None:
    decoded = decode(
        [1001], Point(name="soc_pct", address=100, type=PointType.U16, gain=10, low=0, high=100)
    )
    assert decoded == Decoded((None,), {0: "100.1 is outside 0 to 100"})


def test_a_wrong_number_of_words_is_refused() -> None:
    plan = BlockPlan(PROFILE, PROFILE.blocks[0])
    with pytest.raises(ValueError, match="expected 4 registers, got 3"):
        plan.decode([1, 2, 3])


def test_text_ends_at_the_first_nul_and_survives_bytes_that_are_no_text() -> None:
    assert decode_text([0x4142, 0x4300, 0x4444]) == "ABC"
    assert decode_text([0xFF41]) == "�A"


@pytest.mark.parametrize("block", PROFILE.blocks, ids=lambda block: block.name)
@given(data=st.data())
def test_whatever_arrives_becomes_a_plausible_number_or_nothing(
    block: Block, data: st.DataObject
) -> None:
    words = data.draw(st.lists(word, min_size=block.count, max_size=block.count))
    decoded = BlockPlan(PROFILE, block).decode(words)
    for index, (point, value) in enumerate(zip(block.points, decoded.values, strict=True)):
        assert (value is None) == (index in decoded.reasons)
        assert value is None or (math.isfinite(value) and point.low <= value <= point.high)


@given(st.integers(-(2**31) + 1, 2**31 - 2))
def test_signed_values_of_two_words_come_back_as_they_went(value: int) -> None:
    words = list(struct.unpack(">HH", struct.pack(">i", value)))
    assert decode(words, Point(name="x", address=100, type=PointType.I32)).values == (float(value),)
