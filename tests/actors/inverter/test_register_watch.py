"""Whose write a changed register was: told from the order of reads and writes alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.jobs import RegisterWords, WriteDone, WriteJob
from actors.inverter.register_watch import RegisterChange, RegisterWatch
from actors.messages import WriteResult
from tests.actors.inverter.driven import PROFILE

COMMAND = 47100


def watch(first: int | None = 0) -> RegisterWatch:
    made = RegisterWatch(PROFILE)
    if first is not None:
        assert made.read(COMMAND, [first, 0, 0], 1) == []
    return made


def write(number: int, value: int) -> WriteJob:
    step = RegisterWords("forced command", COMMAND, (value,))
    return WriteJob(number=number, safe=False, steps=(step,), checks=())


def done(number: int, at: int, result: WriteResult = WriteResult.VERIFIED) -> WriteDone:
    return WriteDone(number, result, "", at)


def values(changes: list[RegisterChange]) -> list[tuple[str, float, float]]:
    return [(change.name, change.old, change.new) for change in changes]


def test_the_first_reading_is_what_is_expected_from_then_on() -> None:
    assert watch(None).read(COMMAND, [2, 0, 0], 1) == []


def test_a_value_that_nobody_here_wrote_is_told_once_with_old_and_new() -> None:
    made = watch()
    assert values(made.read(COMMAND, [1, 0, 0], 2)) == [("forced_command", 0.0, 1.0)]
    assert made.read(COMMAND, [1, 0, 0], 3) == []


def test_old_and_new_are_told_in_the_units_of_the_point() -> None:
    made = RegisterWatch(PROFILE)
    settings = [0] * 14
    settings[6], settings[7] = 1000, 50
    made.read(47075, settings, 1)
    settings[7] = 0
    (change,) = made.read(47075, settings, 2)
    assert (change.name, change.address, change.old, change.new) == (
        "discharge_cutoff_soc_pct",
        47082,
        5.0,
        0.0,
    )


def test_our_own_write_is_no_foreign_one_and_neither_is_an_older_reading() -> None:
    made = watch()
    made.writing(write(1, 1))
    assert made.read(COMMAND, [0, 0, 0], 5) == []
    assert made.read(COMMAND, [1, 0, 0], 5) == []
    made.done(done(1, 10))
    assert made.read(COMMAND, [0, 0, 0], 9) == []
    assert made.read(COMMAND, [1, 0, 0], 11) == []


def test_a_value_that_came_back_after_our_verified_write_was_written_by_somebody_else() -> None:
    made = watch()
    made.writing(write(1, 1))
    made.done(done(1, 10))
    assert values(made.read(COMMAND, [0, 0, 0], 11)) == [("forced_command", 1.0, 0.0)]


def test_a_write_that_did_not_come_about_is_nobodys() -> None:
    for result in (WriteResult.REJECTED, WriteResult.UNKNOWN, WriteResult.UNVERIFIED):
        made = watch()
        made.writing(write(1, 1))
        made.done(done(1, 10, result))
        assert made.read(COMMAND, [0, 0, 0], 11) == []
        assert made.read(COMMAND, [1, 0, 0], 12) != []


def test_a_write_under_way_behind_another_is_judged_by_the_last_of_them() -> None:
    made = watch()
    made.writing(write(1, 1))
    made.writing(write(2, 2))
    made.done(done(1, 5))
    assert made.read(COMMAND, [1, 0, 0], 6) == []
    made.done(done(2, 10))
    assert made.read(COMMAND, [2, 0, 0], 11) == []
    assert values(made.read(COMMAND, [1, 0, 0], 12)) == [("forced_command", 2.0, 1.0)]


def test_a_block_that_holds_no_watched_register_says_nothing() -> None:
    assert watch().read(37000, [7] * 23, 2) == []


@given(
    st.lists(st.tuples(st.sampled_from(["ours", "theirs", "read"]), st.integers(0, 2)), max_size=40)
)
def test_whatever_happens_every_foreign_value_that_is_read_is_told_and_no_own_one(
    events: list[tuple[str, int]],
) -> None:
    made, register, now = watch(), 0, 10
    known = 0
    for what, value in events:
        now += 10
        match what:
            case "ours":
                made.writing(write(now, value))
                made.done(done(now, now + 1))
                register = known = value
            case "theirs":
                register = value
            case _:
                changes = made.read(COMMAND, [register, 0, 0], now)
                assert bool(changes) == (register != known)
                known = register
