"""Encoding of values and the register map itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.huawei_map import HUAWEI
from bessai.simulator.register_map import RegisterMap
from bessai.simulator.registers import EncodingError, Point, RegisterType
from tests.actors.inverter.driven import PROFILE
from tests.huawei_table import ROWS

NUMERIC = [point for point in HUAWEI.points if point.type.numeric]


@pytest.mark.parametrize("point", HUAWEI.points, ids=lambda point: point.name)
def test_a_register_of_the_simulator_is_what_the_table_says(point: Point) -> None:
    row = ROWS[point.address]
    assert (point.count, point.type.value, point.gain) == (row.registers, row.type, row.gain)
    assert not point.writable or row.access == "RW"


def test_the_simulator_has_every_register_that_the_profile_reads_but_what_must_be_probed() -> None:
    read = {point.address for block in PROFILE.blocks for point in block.points}
    missing = read - {point.address for point in HUAWEI.points}
    assert missing == {37200, 37201, 42000, 42900, 47605, 47954, 47955, 48020}


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
    assert HUAWEI.by_name["esu1_power_w"].encode(-2) == (0xFFFF, 0xFFFE)
    assert HUAWEI.by_name["esu1_temperature_c"].encode(-0.1) == (0xFFFF,)
    assert HUAWEI.by_name["meter_power_w"].encode(65_536) == (1, 0)


def test_strings_are_padded_with_nul() -> None:
    words = HUAWEI.by_name["model"].encode("SUN")
    assert words[:3] == (0x5355, 0x4E00, 0)
    assert HUAWEI.by_name["model"].decode(words) == "SUN"


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
    assert HUAWEI.by_name[name].invalid_words() == words


def test_a_value_that_does_not_fit_names_register_and_range() -> None:
    with pytest.raises(EncodingError, match=r"esu1_soc_pct=7000.*37004.*6553\.5"):
        HUAWEI.by_name["esu1_soc_pct"].encode(7000)
    with pytest.raises(EncodingError, match="number"):
        HUAWEI.by_name["esu1_soc_pct"].encode("full")
    with pytest.raises(EncodingError, match="longer"):
        HUAWEI.by_name["serial_number"].encode("x" * 21)


@given(st.lists(st.integers(0, 0xFFFF), min_size=43, max_size=43))
def test_a_table_reads_back_word_for_word(words: list[int]) -> None:
    table = HUAWEI.by_name["luna_periods"]
    assert list(table.encode(table.decode(words))) == words


@pytest.mark.parametrize("text", ["", "0001", "zz " * 43, "10000 " * 43, "-1 " * 43])
def test_a_table_that_is_not_whole_is_refused(text: str) -> None:
    with pytest.raises(EncodingError, match=r"luna_periods \(47255\) is a table"):
        HUAWEI.by_name["luna_periods"].encode(text)


def test_aliases_name_registers() -> None:
    assert all(HUAWEI.points_named(alias) for alias in HUAWEI.aliases)
    with pytest.raises(KeyError, match="soc_pct"):
        HUAWEI.points_named("state_of_charge")


def register(name: str, address: int, kind: RegisterType = RegisterType.U32) -> Point:
    return Point(name=name, address=address, count=2, type=kind, gain=1, writable=False)


@pytest.mark.parametrize(
    ("points", "aliases", "said"),
    [
        ((("a", 10), ("a", 12)), {}, "one name"),
        ((("a", 10), ("b", 11)), {}, "share an address"),
        ((("a", 10),), {"both": ("a", "b")}, "'both' names 'b'"),
    ],
)
def test_a_map_that_contradicts_itself_is_refused(
    points: tuple[tuple[str, int], ...], aliases: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        RegisterMap([register(name, address) for name, address in points], aliases=aliases)


def test_reserved_addresses_answer_and_holes_do_not() -> None:
    small = RegisterMap([register("a", 10), register("b", 14)], reserved=[range(8, 13)])
    assert small.answers(8, 5)
    assert not small.answers(8, 6)
    assert (small.first, small.end) == (8, 16)
