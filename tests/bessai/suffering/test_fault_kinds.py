"""Every kind of fault that a plan knows, on the whole gateway over sockets."""

from __future__ import annotations

import time

import pytest

from bessai.simulator.faults import FaultKind
from tests.bessai.suffering import judge
from tests.bessai.suffering.conftest import Suffering
from tests.bessai.suffering.rows import ROWS, Row

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]
each_kind = pytest.mark.parametrize("row", ROWS, ids=[row.kind.value for row in ROWS])


def test_every_kind_of_fault_has_one_row() -> None:
    assert sorted(row.kind.value for row in ROWS) == sorted(kind.value for kind in FaultKind)


@each_kind
def test_the_values_concerned_lose_their_quality(suffering: Suffering, row: Row) -> None:
    assert list(judge.wrong_quality(row, suffering.found[row.kind])) == []


@each_kind
def test_errors_and_doubts_are_counted_by_kind(suffering: Suffering, row: Row) -> None:
    assert list(judge.wrong_counts(row, suffering.found[row.kind])) == []


@each_kind
def test_the_log_and_health_say_what_is_wrong(suffering: Suffering, row: Row) -> None:
    assert list(judge.wrong_words(row, suffering.found[row.kind])) == []


@each_kind
def test_safety_closes_what_it_cannot_judge(suffering: Suffering, row: Row) -> None:
    assert list(judge.wrong_safety(row, suffering.found[row.kind])) == []


@each_kind
def test_no_false_number_is_published(suffering: Suffering, row: Row) -> None:
    assert list(judge.false_numbers(row, suffering.found[row.kind])) == []


@each_kind
def test_no_false_number_is_acted_on(suffering: Suffering, row: Row) -> None:
    assert list(judge.wrong_writes(row, suffering.found[row.kind])) == []


def test_a_skewed_clock_is_shown_as_the_device_s_own_and_moves_no_stamp(
    suffering: Suffering,
) -> None:
    samples = suffering.found[FaultKind.CLOCK_SKEW].samples
    clocks = [(each["values"].get("clock_local_s"), each["wall_ns"] / 1e9) for each in samples]
    ahead_s = [clock - stamp for clock, stamp in clocks if clock is not None]
    assert ahead_s
    assert all(3500 < each <= 3601 for each in ahead_s), "3600 s, less the age of the reading"
    assert max(each["wall_ns"] for each in samples) < time.time_ns()


def test_all_is_well_when_the_faults_are_over(suffering: Suffering) -> None:
    for name in suffering.site.names:
        suffering.site.client.end_fault(name)
        suffering.site.mend(name)
    suffering.gateway.wait_until(
        "every device is online",
        lambda health: all(each["state"] == "online" for each in health["devices"].values()),
        timeout_s=40.0,
    )
