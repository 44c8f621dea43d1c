"""Counters that begin anew with the hour, the day, the month and the year."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.daybook import Daybook, Span


def local_s(*date: int) -> float:
    return dt.datetime(*date, tzinfo=dt.UTC).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ((2026, 5, 4, 9, 59), (2026, 5, 4, 10, 0), {Span.DAY, Span.MONTH, Span.YEAR}),
        ((2026, 5, 4, 23, 59), (2026, 5, 5, 0, 0), {Span.MONTH, Span.YEAR}),
        ((2026, 5, 31, 23, 59), (2026, 6, 1, 0, 0), {Span.YEAR}),
        ((2026, 12, 31, 23, 59), (2027, 1, 1, 0, 0), set()),
        ((2026, 5, 5, 0, 1), (2026, 5, 4, 23, 59), {Span.MONTH, Span.YEAR}),
    ],
)
def test_a_span_begins_with_its_calendar(
    before: tuple[int, ...], after: tuple[int, ...], kept: set[Span]
) -> None:
    totals = {"yield": 100.0}
    book = Daybook(local_s(*before), {"yield": lambda: totals["yield"]})
    totals["yield"] = 130.0
    assert book.turn(local_s(*after)) == (Span.DAY not in kept)
    assert {span for span in Span if book.since(span, "yield") == 30.0} == kept
    assert all(book.since(span, "yield") == 0.0 for span in Span if span not in kept)


def test_nothing_begins_within_the_hour() -> None:
    totals = {"yield": 0.0}
    book = Daybook(local_s(2026, 5, 4, 9, 0), {"yield": lambda: totals["yield"]})
    totals["yield"] = 5.0
    assert not book.turn(local_s(2026, 5, 4, 9, 59, 59))
    assert book.since(Span.HOUR, "yield") == 5.0


@given(st.lists(st.floats(0, 50_000), min_size=1, max_size=30))
def test_a_shorter_span_never_counts_more_than_a_longer_one(steps_s: list[float]) -> None:
    totals, now_s = {"yield": 0.0}, local_s(2026, 12, 30)
    book = Daybook(now_s, {"yield": lambda: totals["yield"]})
    for step_s in steps_s:
        now_s += step_s
        book.turn(now_s)
        totals["yield"] += step_s
        counted = [book.since(span, "yield") for span in Span]
        assert counted == sorted(counted)
        assert counted[0] >= 0.0
