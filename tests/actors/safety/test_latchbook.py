from __future__ import annotations

from pathlib import Path

from actors.messages import ResetLatch, Role
from actors.safety.audit import AuditKind, read_trail
from actors.safety.latch import LatchKind, LatchRecord, append, sealed
from actors.safety.latchbook import LatchBook, left_out
from supervision.clock import ManualClock


def _book(state_dir: Path, clock: ManualClock) -> LatchBook:
    book = LatchBook(state_dir, resets_per_hour=2, clock=clock, tell=lambda *_: None)
    book.open(["inv-1"])
    return book


def _order(**changes: object) -> ResetLatch:
    fields = {
        "device_id": "inv-1",
        "mono_ns": 0,
        "seq": 1,
        "operator": "ana",
        "role": Role.OPERATOR,
        "reason": "cooled",
    }
    return ResetLatch(**{**fields, **changes})  # type: ignore[arg-type]


def test_earlier_resets_count_after_a_restart_and_for_an_hour(tmp_path: Path) -> None:
    clock = ManualClock()
    book = _book(tmp_path, clock)
    for _ in range(2):
        book.trip("inv-1", "trip_hot", "60 degC")
        assert book.reset(_order()) == ""
        clock.advance(600)
    book.trip("inv-1", "trip_hot", "60 degC")

    again = _book(tmp_path, clock)
    rule, why = again.why_not(_order())

    assert (rule, why) == (
        "resets_per_hour",
        "more than 2 resets of a device in an hour; again in 40 min",
    )
    clock.advance(2400)
    assert again.why_not(_order()) == ("", "")


def test_a_wall_clock_that_went_back_makes_no_reset_forgotten(tmp_path: Path) -> None:
    clock = ManualClock()
    book = _book(tmp_path, clock)
    for _ in range(2):
        book.trip("inv-1", "trip_hot", "60 degC")
        book.reset(_order())
    book.trip("inv-1", "trip_hot", "60 degC")
    clock.jump_wall(-86400)

    assert _book(tmp_path, clock).why_not(_order())[0] == "resets_per_hour"


def test_trips_from_before_there_was_an_audit_log_are_entered_once(tmp_path: Path) -> None:
    for kind in (LatchKind.TRIP, LatchKind.RESET, LatchKind.TRIP):
        record = LatchRecord(kind=kind, device_id="inv-1", rule="r", reason="", wall_ns=1)
        append(tmp_path, record)

    for _ in range(2):
        _book(tmp_path, ManualClock())

    kinds = [entry.kind for entry in read_trail(tmp_path)]
    assert kinds == [AuditKind.TRIP, AuditKind.RESET, AuditKind.TRIP]


def test_nothing_is_left_out_of_an_empty_journal() -> None:
    assert left_out([], []) == []


def test_a_record_of_another_time_is_another_record() -> None:
    one = LatchRecord(kind=LatchKind.TRIP, device_id="inv-1", rule="r", reason="", wall_ns=1)
    other = LatchRecord(kind=LatchKind.TRIP, device_id="inv-1", rule="r", reason="", wall_ns=2)
    assert sealed(one).crc32 != sealed(other).crc32
