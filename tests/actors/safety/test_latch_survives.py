"""Trips and resets against SIGKILL at every step, and against disks that take no more."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.messages import SafetyState
from actors.safety.audit import AUDIT_NAME, AuditEntry, AuditKind, find_faults, read_trail
from actors.safety.disk import Disk
from actors.safety.latch import JOURNAL_NAME, list_latches, read_journal
from tests.actors.safety.measured import DEVICE, World

ROOT = Path(__file__).parents[3]
FEWEST_STEPS = {"trip": 14, "reset": 14, "start_corrupt": 14}


def _deaths(scenario: str, directory: Path) -> Iterator[tuple[Path, list[str]]]:
    """Let a process die at each step; give each state directory, and what was announced before the end."""
    command = [sys.executable, "-m", "tests.actors.safety.dying", scenario, str(directory)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=60, stdout=subprocess.DEVNULL)
    left = sorted(directory.iterdir(), key=lambda path: int(path.name))
    assert len(left) >= FEWEST_STEPS[scenario]
    for state_dir in left:
        told = state_dir / "told"
        yield state_dir, told.read_text().splitlines() if told.exists() else []


def _record(trail: list[AuditEntry]) -> AuditKind:
    """Return what the audit log says last of a trip."""
    kinds = {AuditKind.TRIP, AuditKind.RESET, AuditKind.RESET_VOID}
    return [entry.kind for entry in trail if entry.kind in kinds][-1]


def test_a_trip_that_was_announced_is_latched_and_audited_wherever_the_process_was_killed(
    tmp_path: Path,
) -> None:
    announced = 0
    for state_dir, told in _deaths("trip", tmp_path):
        world = World(state_dir)
        latched = world.status.state is SafetyState.TRIPPED
        assert latched or "tripped" not in told, state_dir
        assert (DEVICE in list_latches(state_dir)) == latched
        trips = {record.crc32 for record in read_journal(state_dir / JOURNAL_NAME)}
        audited = {e.record for e in read_trail(state_dir) if e.kind is AuditKind.TRIP}
        assert trips == audited
        announced += "tripped" in told
    assert announced


def test_a_reset_is_never_half_done_and_never_unseen(tmp_path: Path) -> None:
    outcomes = set()
    for state_dir, told in _deaths("reset", tmp_path):
        World(state_dir)
        latched = DEVICE in list_latches(state_dir)
        journal = read_journal(state_dir / JOURNAL_NAME)
        corrupt = any(record.rule == "journal_corrupt" for record in journal)
        assert not (latched and "answered True" in told)
        assert corrupt or latched == (_record(read_trail(state_dir)) is not AuditKind.RESET)
        outcomes.add(latched)
    assert outcomes == {True, False}


def test_a_corrupt_journal_trips_every_device_wherever_the_process_that_found_it_was_killed(
    tmp_path: Path,
) -> None:
    for state_dir, _ in _deaths("start_corrupt", tmp_path):
        world = World(state_dir)
        assert world.status.state is SafetyState.TRIPPED
        assert list(list_latches(state_dir)) == [DEVICE]


_TRIP_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from actors.safety.latch import JOURNAL_NAME
from tests.actors.safety.measured import World
state_dir, room = Path(sys.argv[1]), int(sys.argv[2])
world = World(state_dir)
world.open_up()
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
world.trip()
print(world.status.state.value, *world.events("began"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
world.tick(1.0)
world.tick(1.0)
print(*world.events("ceased"))
"""


@pytest.mark.parametrize("room", [0, 1, 50, 150])
def test_a_trip_on_a_disk_with_too_little_room_holds_and_is_written_when_there_is_more(
    tmp_path: Path, room: int
) -> None:
    command = [sys.executable, "-c", _TRIP_ON_A_FULL_DISK, str(tmp_path), str(room)]
    shown = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)

    first, second = [line for line in shown.stdout.splitlines() if line[:1].isalpha()][-2:]
    assert first.split()[0] == "tripped"
    assert "latch_journal" in first
    assert "latch_journal" in second
    assert list(list_latches(tmp_path)) == [DEVICE]
    assert find_faults(tmp_path) == []
    assert [entry.kind for entry in read_trail(tmp_path)] == [AuditKind.TRIP]


class FullDisk(Disk):
    """A disk that refuses one file as the kernel refuses /dev/full."""

    def __init__(self) -> None:
        self.refuses = ""

    def open(self, path: Path) -> int:
        return (
            os.open("/dev/full", os.O_WRONLY) if path.name == self.refuses else super().open(path)
        )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("name", [AUDIT_NAME, JOURNAL_NAME])
def test_a_reset_that_cannot_be_audited_or_journaled_is_none(tmp_path: Path, name: str) -> None:
    disk = FullDisk()
    world = World(tmp_path, disk=disk)
    world.trip()
    world.cool_down()

    disk.refuses = name
    answer = world.reset()

    assert (answer.done, answer.rule) == (False, "disk")
    assert os.strerror(errno.ENOSPC) in answer.detail
    world.cool_down()
    assert world.status.state is SafetyState.TRIPPED
    assert list(list_latches(tmp_path)) == [DEVICE]
    disk.refuses = ""
    world.tick(1.0)
    assert _record(read_trail(tmp_path)) is not AuditKind.RESET
    assert world.reset().done
