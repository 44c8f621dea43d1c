from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.publisher.series import DamagedSeriesError, Reading, column, pack, unpack

_values = st.one_of(
    st.integers(-(10**9), 10**9).map(lambda n: n / 10),
    st.integers(-(10**6), 10**6).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
)
_readings = st.lists(
    st.builds(
        Reading,
        st.integers(0, 1 << 62),
        st.integers(0, 1 << 62),
        st.integers(0, 1 << 62),
        st.dictionaries(st.sampled_from("abc"), _values),
    ),
    max_size=20,
)


def _same(one: Reading, other: Reading) -> bool:
    signs = [math.copysign(1, v) for v in one.values.values()]
    return one == other and signs == [math.copysign(1, other.values[k]) for k in one.values]


@given(_readings)
def test_what_is_packed_comes_back_exactly(readings: list[Reading]) -> None:
    found = unpack(pack(readings))

    assert all(_same(one, other) for one, other in zip(readings, found, strict=True))


@given(_readings)
def test_a_column_is_what_all_say_of_it(readings: list[Reading]) -> None:
    expected = [(r.wall_ns, r.values["a"]) for r in readings if "a" in r.values]

    assert column(pack(readings), "a") == expected


def test_registers_values_shrink_to_about_a_byte() -> None:
    readings = [
        Reading(
            1, n, n * 1_000_000_000, {f"p{p}": 2_300 / 10 + (n * p % 7) / 10 for p in range(50)}
        )
        for n in range(900)
    ]

    assert len(pack(readings)) < 900 * 50


@pytest.mark.parametrize("offset", [0, 4, 20])
def test_a_flipped_byte_is_found(offset: int) -> None:
    stored = bytearray(pack([Reading(1, n, n, {"a": float(n)}) for n in range(50)]))
    stored[offset] ^= 1

    with pytest.raises(DamagedSeriesError):
        unpack(bytes(stored))
