"""Answers become vitals and samples with an honest quality."""

from __future__ import annotations

import msgspec
import pytest

from actors.inverter.poll import PollBook
from actors.messages import CODEC, Quality, Sample
from tests.actors.inverter.driven import PROFILE

LIMITS, BATTERY, RATINGS, STATE = 0, 1, 2, 3
BATTERY_WORDS = [
    2,
    0,
    1500,
    7000,
    500,
    0,
    1,
    0,
    5000,
    0,
    5000,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    21,
    250,
]


@pytest.fixture
def book() -> PollBook:
    """A book in its first poll."""
    made = PollBook("d1", 7, PROFILE)
    made.begin(1, first=True)
    return made


def quality(sample: Sample, book: PollBook, name: str) -> Quality:
    return sample.quality_at([point.name for point in book.schema.points].index(name))


def test_a_poll_reads_safety_first_and_ratings_only_on_a_new_connection() -> None:
    book = PollBook("d1", 7, PROFILE)
    first = [job.address for job in book.begin(1, first=True)]
    second = [job.address for job in book.begin(2, first=False)]
    assert first == [37046, 37000, 30070, 32000, 32064, 37100, 47100]
    assert second == [37046, 37000, 32000, 32064, 37100, 47100]


def test_the_meter_is_read_only_while_it_is_known_to_be_there(book: PollBook) -> None:
    jobs = {job.address: job for job in book.begin(2, first=False)}
    book.arrived(2, jobs[37100].block, [1])
    assert 37101 in [job.address for job in book.begin(3, first=False)]
    book.arrived(3, jobs[37100].block, [0])
    assert 37101 not in [job.address for job in book.begin(4, first=False)]


def test_vitals_hold_what_safety_decides_on_with_our_signs(book: PollBook) -> None:
    book.arrived(1, LIMITS, [0, 5000, 0, 4000])
    assert not book.completes_safety(LIMITS)
    book.arrived(1, BATTERY, BATTERY_WORDS)
    assert book.completes_safety(BATTERY)
    vitals = book.vitals(99)
    assert msgspec.structs.astuple(vitals)[5:] == (
        50.0,
        25.0,
        1500.0,
        700.0,
        2.1,
        5000.0,
        4000.0,
        True,
        (),
    )


def test_a_vital_that_is_not_available_is_none_and_says_why(book: PollBook) -> None:
    book.failed(1, LIMITS, "timed out")
    words = [*BATTERY_WORDS]
    words[4], words[22] = 0xFFFF, 2000
    book.arrived(1, BATTERY, words)
    vitals = book.vitals(99)
    assert (vitals.soc_pct, vitals.battery_temperature_c, vitals.max_charge_w) == (None, None, None)
    assert vitals.faults == (
        "soc_pct: not available (0xffff)",
        "battery_temperature_c: 200 is outside -50 to 120",
        "max_charge_w: timed out",
        "max_discharge_w: timed out",
    )


def test_a_block_that_fails_is_missing_at_first_and_stale_once_it_was_read(book: PollBook) -> None:
    book.failed(1, BATTERY, "timed out")
    assert quality(book.sample(1), book, "soc_pct") is Quality.MISSING
    book.begin(2, first=False)
    book.arrived(2, BATTERY, BATTERY_WORDS)
    assert quality(book.sample(2), book, "soc_pct") is Quality.GOOD
    book.begin(3, first=False)
    book.failed(3, BATTERY, "timed out")
    sample = book.sample(3)
    assert quality(sample, book, "soc_pct") is Quality.STALE
    assert book.vitals(3).soc_pct is None


def test_a_sentinel_is_invalid_in_the_sample(book: PollBook) -> None:
    book.arrived(1, STATE, [1, 0, 0, 0, 0, 0, 0, 0, 0xFFFF, 0, 0])
    sample = book.sample(1)
    assert quality(sample, book, "alarm_1") is Quality.INVALID
    assert quality(sample, book, "alarm_2") is Quality.GOOD
    assert CODEC.decode(CODEC.encode(sample)) == sample


def test_answers_to_an_older_poll_are_not_taken(book: PollBook) -> None:
    book.begin(2, first=False)
    assert not book.arrived(1, BATTERY, BATTERY_WORDS)
    assert not book.failed(1, BATTERY, "late")
    assert book.arrived(2, BATTERY, BATTERY_WORDS)
    assert not book.arrived(2, BATTERY, BATTERY_WORDS)


def test_a_lost_connection_leaves_no_vital_and_ends_the_poll(book: PollBook) -> None:
    book.arrived(1, BATTERY, BATTERY_WORDS)
    book.disconnected(5, "the device is offline")
    assert not book.running
    vitals = book.vitals(9)
    assert (vitals.seq, vitals.soc_pct, vitals.forced) == (2, None, None)
    assert "soc_pct: the device is offline" in vitals.faults


def test_the_schema_changes_its_number_with_its_points() -> None:
    trimmed = msgspec.structs.replace(PROFILE, blocks=PROFILE.blocks[:-1])
    ids = {PollBook("d1", 7, profile).schema.schema_id for profile in (PROFILE, PROFILE, trimmed)}
    assert len(ids) == 2
