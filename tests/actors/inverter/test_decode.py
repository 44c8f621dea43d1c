"""Words to values, and never to wrong ones."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.decode import BlockPlan, Decoded, decode_text
from actors.inverter.profile import Block, Point, PointType, PollClass, WordOrder
from tests.actors.inverter.driven import PROFILE

word = st.integers(0, 0xFFFF)


def plan(count: int, *points: Point) -> BlockPlan:
    block = Block(name="b", address=100, count=count, poll_class=PollClass.FAST, points=points)
    return BlockPlan(PROFILE, block)


def decode(words: list[int], *points: Point) -> Decoded:
    return plan(len(words), *points).decode(words)


def words_of(code: str, value: float) -> list[int]:
    data = struct.pack(f">{code}", value)
    return list(struct.unpack(f">{len(data) // 2}H", data))


def test_every_type_is_decoded_with_gain_and_sign() -> None:
    decoded = decode(
        [601, 0xFFFF, 0xFFFF, 0xFF9C, 1, 2, 5],
        Point(name="u16_v", address=100, type=PointType.U16, gain=10),
        Point(name="i32_w", address=102, type=PointType.I32),
        Point(name="u32_w", address=104, type=PointType.U32, gain=2),
        Point(name="flags", address=106, type=PointType.BITS16),
    )
    assert decoded == Decoded([60.1, -100.0, 32769.0, 5.0], {}, {})


@pytest.mark.parametrize(
    ("kind", "code", "value"),
    [
        (PointType.U64, "Q", 2**40 + 1),
        (PointType.I64, "q", -(2**40)),
        (PointType.F32, "f", -1.5),
        (PointType.F64, "d", 1e-3),
        (PointType.I16, "h", -12),
        (PointType.BITS32, "I", 0x8000_0001),
    ],
)
@pytest.mark.parametrize("order", WordOrder)
def test_wide_values_come_back_in_either_word_order(
    kind: PointType, code: str, value: float, order: WordOrder
) -> None:
    words = words_of(code, value)
    sent = words if order is WordOrder.BIG else words[::-1]
    point = Point(name="x", address=100, type=kind, word_order=order)
    assert decode(sent, point).values == [value]


def test_a_points_own_word_order_goes_before_the_profiles() -> None:
    own = Point(name="x", address=100, type=PointType.U32, word_order=WordOrder.LITTLE)
    rest = Point(name="y", address=102, type=PointType.U32)
    assert decode([1, 0, 0, 2], own, rest).values == [1.0, 2.0]


def test_text_is_no_value_but_told_by_name() -> None:
    decoded = decode(
        [0x4142, 0x4300, 7],
        Point(name="serial", address=100, type=PointType.STR, registers=2),
        Point(name="x", address=102, type=PointType.U16),
    )
    assert decoded == Decoded([7.0], {}, {"serial": "ABC"})


def test_points_come_in_the_order_of_their_registers() -> None:
    made = plan(
        2,
        Point(name="second", address=101, type=PointType.U16),
        Point(name="first", address=100, type=PointType.U16),
    )
    assert [point.name for point in made.points] == ["first", "second"]
    assert made.decode([1, 2]).values == [1.0, 2.0]


def test_a_flipped_point_changes_its_sign_and_zero_stays_plain() -> None:
    flipped = Point(name="grid_power_w", address=100, type=PointType.I32, flip=True)
    assert decode([0, 1200], flipped).values == [-1200.0]
    assert math.copysign(1, decode([0, 0], flipped).values[0] or 0.0) == 1


SCALED = (
    Point(name="w", address=100, type=PointType.I16, scale_point="w_sf", low=-1e4, high=1e4),
    Point(name="w_sf", address=101, type=PointType.I16),
)


@pytest.mark.parametrize(("scale", "value"), [(0, 123.0), (-2, 1.23), (1, 1230.0), (-10, 1.23e-8)])
def test_a_power_of_ten_scales_and_is_no_value_itself(scale: int, value: float) -> None:
    made = plan(2, *SCALED)
    assert [point.name for point in made.points] == ["w"]
    assert made.decode([123, scale & 0xFFFF]).values == [value]


def test_a_power_of_ten_that_changes_is_followed_and_ranges_with_it() -> None:
    made = plan(2, *SCALED)
    assert made.decode([2000, 0]).values == [2000.0]
    assert made.decode([2000, 1]).reasons == {0: "20000 is outside -10000 to 10000"}
    assert made.decode([2000, 0]).values == [2000.0]


@pytest.mark.parametrize("scale", [0x8000, 11, 0xFFF5])
def test_a_power_of_ten_that_is_none_makes_the_value_not_available(scale: int) -> None:
    decoded = decode([123, scale], *SCALED)
    assert decoded.values == [None]
    assert decoded.reasons[0] == "not available: its scale w_sf is not -10 to 10"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_no_value(value: float) -> None:
    decoded = decode(words_of("f", value), Point(name="x", address=100, type=PointType.F32))
    assert decoded.values == [None]
    assert "not a finite number" in decoded.reasons[0]


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
    assert decoded.values == [None]
    assert "not available" in decoded.reasons[0]


def test_a_points_own_sentinels_replace_those_of_its_type() -> None:
    point = Point(name="x", address=100, type=PointType.U16, sentinels=(7,))
    assert decode([7], point).values == [None]
    assert decode([0xFFFF], point).values == [65535.0]


def test_an_implausible_value_is_no_number_and_says_why() -> None:
    decoded = decode(
        [1001], Point(name="soc_pct", address=100, type=PointType.U16, gain=10, low=0, high=100)
    )
    assert decoded == Decoded([None], {0: "100.1 is outside 0 to 100"}, {})


def test_a_wrong_number_of_words_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 4 registers, got 3"):
        plan(4, Point(name="x", address=100, type=PointType.U16)).decode([1, 2, 3])


def test_text_ends_at_the_first_nul_and_survives_bytes_that_are_no_text() -> None:
    assert decode_text([0x4142, 0x4300, 0x4444]) == "ABC"
    assert decode_text([0xFF41]) == "�A"


@pytest.mark.parametrize("block", PROFILE.blocks, ids=lambda block: block.name)
@given(data=st.data())
def test_whatever_arrives_becomes_a_plausible_number_or_nothing(
    block: Block, data: st.DataObject
) -> None:
    words = data.draw(st.lists(word, min_size=block.count, max_size=block.count))
    made = BlockPlan(PROFILE, block)
    decoded = made.decode(words)
    for index, (point, value) in enumerate(zip(made.points, decoded.values, strict=True)):
        assert (value is None) == (index in decoded.reasons)
        assert value is None or (math.isfinite(value) and point.low <= value <= point.high)


@given(
    raw=st.integers(0, 0xFFFF),
    marks=st.sets(st.integers(0, 0xFFFF), max_size=3) | st.just({0xFFFF, 0xFFFE, 0}),
    gain=st.sampled_from([1.0, 3.0, 10.0, 0.1, 1000.0]),
    ends=st.tuples(st.floats(-7e4, 7e4), st.floats(-7e4, 7e4)).filter(
        lambda ends: ends[0] < ends[1]
    ),
    flip=st.booleans(),
    kind=st.sampled_from([PointType.U16, PointType.I16]),
)
def test_the_compiled_bounds_judge_as_the_plain_rules_do(
    raw: int,
    marks: set[int],
    gain: float,
    ends: tuple[float, float],
    flip: bool,  # noqa: FBT001 - drawn
    kind: PointType,
) -> None:
    point = Point(
        name="x",
        address=100,
        type=kind,
        gain=gain,
        flip=flip,
        low=ends[0],
        high=ends[1],
        sentinels=tuple(marks),
    )
    number = raw - 0x1_0000 if kind.signed and raw > 0x7FFF else raw
    value = (-number if flip else number) / gain
    expected = value if raw not in marks and ends[0] <= value <= ends[1] else None
    assert decode([raw], point).values == [expected]


@given(st.floats(width=32, allow_nan=False), st.floats(-1e30, 0), st.floats(1e-30, 1e30))
def test_real_numbers_are_judged_by_their_range(value: float, low: float, high: float) -> None:
    point = Point(name="x", address=100, type=PointType.F32, gain=10, low=low, high=high)
    (found,) = decode(words_of("f", value), point).values
    assert found is None or low <= found <= high
    if low * 0.999 <= value / 10 <= high * 0.999:
        assert found == value / 10
