from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tests.campaign.judge import judge, strands_of


class Message(NamedTuple):
    attributes: dict[str, str]
    data: bytes


def _message(seq: int, data: bytes = b"", device: str = "b1") -> Any:
    said = {"dedupe_id": f"{device}/{seq}", "epoch": "1", "seq": str(seq), "device_id": device}
    return Message(said, data)


def test_what_is_missing_repeated_or_changed_is_found() -> None:
    arrived = [_message(1), _message(2, b"x"), _message(2, b"y"), _message(1)]

    verdict = judge(arrived, ["b1/1", "b1/2", "b1/3"])

    assert verdict.missing == ["b1/3"]
    assert verdict.contradictions == ["b1/2"]
    assert (verdict.duplicates, verdict.arrivals, verdict.strands) == (2, 4, 1)


def test_order_is_judged_for_each_device_alone() -> None:
    arrived = [_message(5), _message(1, device="b2"), _message(6), _message(2, device="b2")]

    assert judge(arrived, []).strands == 1


def test_live_data_that_overtakes_makes_two_strands() -> None:
    assert strands_of([(1, 1), (1, 9), (1, 2), (1, 3), (1, 10)]) == 2
    assert strands_of([(1, 3), (1, 2), (1, 1)]) == 3


@given(st.permutations(range(7)))
def test_strands_are_as_long_as_the_longest_fall(order: list[int]) -> None:
    falls = [1] * len(order)
    for index, value in enumerate(order):
        for before in range(index):
            if order[before] > value:
                falls[index] = max(falls[index], falls[before] + 1)

    assert strands_of([(1, value) for value in order]) == max(falls)
