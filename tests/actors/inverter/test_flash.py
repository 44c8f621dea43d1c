"""Registers in flash: recorded before they are changed, and given back to whoever set them last."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from actors.inverter.errors import RefusedWriteError
from actors.inverter.flash import Flash, utc_day
from actors.inverter.hold import FlashLedger
from actors.inverter.ledger_file import LedgerError, LedgerFile, ledgers
from tests.actors.inverter.driven import PROFILE
from tests.actors.inverter.test_hold import FIVE_KW, STATES

SPEC = PROFILE.write
HELD = {47077: (0, 0)}


class FullDisk:
    """A store that loses nothing and takes nothing."""

    def load(self) -> FlashLedger:
        return FlashLedger()

    def store(self, ledger: FlashLedger) -> None:
        raise LedgerError("no space left")


def flash(state_dir: Path, day: str = "2026-05-01") -> Flash:
    return Flash(LedgerFile(state_dir, "d1"), lambda: day)


def held(state_dir: Path) -> Flash:
    made = flash(state_dir)
    plan, settles = made.hold(SPEC, FIVE_KW, STATES)
    assert plan.steps
    made.settled(settles)
    return made


def test_the_original_is_on_disk_before_the_plan_is_there(tmp_path: Path) -> None:
    flash(tmp_path).hold(SPEC, FIVE_KW, STATES)
    stored = LedgerFile(tmp_path, "d1").load()
    assert [(each.address, each.words) for each in stored.originals] == [(47077, (0, 5000))]


def test_nothing_is_written_where_the_original_cannot_be_kept() -> None:
    with pytest.raises(RefusedWriteError, match="hold refused: no space left"):
        Flash(FullDisk(), str).hold(SPEC, FIVE_KW, STATES)
    with pytest.raises(RefusedWriteError, match="there is no state directory"):
        Flash(None, str).hold(SPEC, FIVE_KW, STATES)


def test_another_incarnation_restores_what_this_one_changed(tmp_path: Path) -> None:
    held(tmp_path)
    later = flash(tmp_path)
    assert later.holding
    plan, settles = later.release(SPEC, HELD)
    assert [(step.address, step.words) for step in plan.steps] == [(47077, (0, 5000))]
    assert settles is not None
    assert later.settled(settles) == ""
    assert not flash(tmp_path).holding


def test_a_restoration_that_was_not_read_back_is_still_owed(tmp_path: Path) -> None:
    held(tmp_path).release(SPEC, HELD)
    assert flash(tmp_path).holding


def test_a_second_hold_writes_nothing_although_an_old_poll_shows_the_original(
    tmp_path: Path,
) -> None:
    plan, _ = held(tmp_path).hold(SPEC, FIVE_KW, STATES)
    assert plan.steps == ()


def test_what_somebody_else_has_set_since_is_left_alone(tmp_path: Path) -> None:
    held(tmp_path)
    plan, _ = flash(tmp_path).release(SPEC, {47077: (0, 3000)})
    assert plan.steps == ()


def test_a_register_that_somebody_changed_under_our_eyes_is_forgotten(tmp_path: Path) -> None:
    made = held(tmp_path)
    made.forget(47077)
    assert not made.holding


def test_the_count_of_writes_survives_a_restart_and_ends_with_the_day(tmp_path: Path) -> None:
    for _ in range(SPEC.persistent_writes_per_day // 2):
        made = held(tmp_path)
        _, settles = made.release(SPEC, HELD)
        assert settles is not None
        made.settled(settles)
    with pytest.raises(RefusedWriteError, match="20 of 20 writes to register 47077"):
        flash(tmp_path).hold(SPEC, FIVE_KW, STATES)
    assert flash(tmp_path, "2026-05-02").hold(SPEC, FIVE_KW, STATES)[0].steps


def test_the_originals_of_a_device_that_was_replaced_are_not_written_to_the_new_one(
    tmp_path: Path,
) -> None:
    first = flash(tmp_path)
    first.serial("SN1")
    first.hold(SPEC, FIVE_KW, STATES)
    other = flash(tmp_path)
    other.serial("SN2")
    assert other.release(SPEC, HELD)[0].steps == ()
    with pytest.raises(RefusedWriteError, match="originals of device 'SN1' are recorded"):
        other.hold(SPEC, FIVE_KW, STATES)


@pytest.mark.parametrize("damage", [b"", b"{", b'{"ledger":{},"crc32":1}'])
def test_a_damaged_ledger_forbids_writes_to_flash_and_says_what_to_do(
    tmp_path: Path, damage: bytes
) -> None:
    held(tmp_path)
    LedgerFile(tmp_path, "d1").path.write_bytes(damage)
    made = flash(tmp_path)
    assert "look at the device's own settings, then remove the file" in made.fault
    with pytest.raises(RefusedWriteError):
        made.hold(SPEC, FIVE_KW, STATES)


def test_every_device_has_a_ledger_of_its_own(tmp_path: Path) -> None:
    LedgerFile(tmp_path, "a.b").store(FlashLedger(serial="1"))
    LedgerFile(tmp_path, "c").store(FlashLedger(serial="2"))
    assert {name: file.load().serial for name, file in ledgers(tmp_path).items()} == {
        "a.b": "1",
        "c": "2",
    }


def test_a_disk_that_refuses_is_told_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "originals").write_text("in the way", encoding="utf-8")
    with pytest.raises(LedgerError, match=r"originals/d1\.json cannot be written"):
        LedgerFile(tmp_path, "d1").store(FlashLedger())


def _write_for_ever(state_dir: Path) -> None:
    file, count = LedgerFile(state_dir, "d1"), 0
    while True:
        count += 1
        file.store(FlashLedger(serial="SN1", writes={47077: count}))


def test_a_ledger_is_whole_at_whatever_moment_its_writer_is_killed(tmp_path: Path) -> None:
    file = LedgerFile(tmp_path, "d1")
    for _ in range(5):
        writer = multiprocessing.get_context("spawn").Process(
            target=_write_for_ever, args=(tmp_path,)
        )
        writer.start()
        assert writer.pid is not None
        while not file.path.exists():
            writer.join(0.01)
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert file.load().serial == "SN1"


def test_a_day_is_that_of_utc() -> None:
    assert utc_day(1_777_593_599 * 10**9) == "2026-04-30"
    assert utc_day(1_777_593_600 * 10**9) == "2026-05-01"
