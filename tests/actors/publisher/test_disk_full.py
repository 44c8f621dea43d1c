"""A real, small file system that is filled to the last byte."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from actors.publisher.config import PublisherConfig
from actors.publisher.outbox import RETRY_S, Outbox
from actors.publisher.record import Record, RecordLane
from actors.publisher.sinks import Delivery, SinkError
from supervision.clock import ManualClock
from tests.actors.publisher.records import number_of, record

EVENT = RecordLane.EVENT


class Gate:
    """A sink that is shut until it is opened."""

    name = "gate"

    def __init__(self) -> None:
        self.open = False
        self.taken: set[int] = set()

    def send(self, batch: Sequence[Record]) -> Delivery:
        if not self.open:
            raise SinkError("shut")
        self.taken |= {number_of(each.body) for each in batch}
        return Delivery(range(len(batch)))

    def close(self) -> None:
        """Have nothing to release."""


class SmallDisk:
    """An outbox on a file system of 32 MB."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = ManualClock()
        self.sink = Gate()
        config = PublisherConfig(site_id="S", state_dir=str(directory), quota_mb=512, reserve_mb=6)
        self.outbox = Outbox(config, self.sink, self.clock)
        self.outbox.commit()
        self.given = 0

    def give(self, count: int, *, lane: RecordLane = RecordLane.TELEMETRY) -> None:
        for _ in range(count):
            self.given += 1
            self.outbox.accept(record(self.given, size=6_000, lane=lane))
        self.clock.advance(RETRY_S)
        self.outbox.turn()

    def fill(self) -> Path:
        """Leave not one byte to anybody else."""
        ballast = self.directory / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass
        return ballast

    @property
    def fault(self) -> str:
        return self.outbox.status().fault

    def everything(self) -> int:
        status = self.outbox.status()
        return status.delivered + status.waiting + status.evicted


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(tmp_path)], check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small file system")
    disk = SmallDisk(tmp_path)
    yield disk
    disk.outbox.close()
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_full_disk_goes_on_taking_the_newest_and_loses_no_event(disk: SmallDisk) -> None:
    disk.give(10, lane=EVENT)
    disk.give(2_000)
    disk.fill()
    for _ in range(30):
        disk.give(100)

    status = disk.outbox.status()
    assert status.accepted == disk.given == 5_010
    assert status.evicted > 0
    assert disk.everything() == disk.given
    assert "message(s) lost" in status.fault
    disk.sink.open = True
    disk.give(0)
    disk.give(0)
    assert set(range(1, 11)) | {disk.given} <= disk.sink.taken


def test_a_full_disk_can_still_acknowledge_what_was_delivered(disk: SmallDisk) -> None:
    disk.give(2_000)
    disk.fill()
    disk.sink.open = True
    for _ in range(8):
        disk.give(0)

    status = disk.outbox.status()
    assert (status.delivered, status.waiting, status.fault) == (2_000, 0, "")


def test_with_space_again_the_reserve_and_the_quota_come_back(disk: SmallDisk) -> None:
    disk.give(2_000)
    ballast = disk.fill()
    for _ in range(20):
        disk.give(100)
    assert not (disk.directory / "spool.reserve").exists()

    ballast.unlink()
    disk.give(1)
    disk.give(1)

    assert (disk.directory / "spool.reserve").stat().st_size == 6 << 20
    spool = disk.outbox._spool
    assert spool is not None
    assert spool.quota_bytes == 512 << 20
    assert disk.everything() == disk.given


def test_a_file_that_may_not_grow_keeps_what_it_acknowledged_and_the_rest_waits_in_memory(
    tmp_path: Path,
) -> None:
    disk = SmallDisk(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        disk.give(1_000)
        assert "cannot be used" in disk.fault
        acknowledged = disk.outbox.status().accepted
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    disk.sink.open = True
    disk.give(1)
    disk.give(0)

    assert 0 < acknowledged < 1_000
    assert disk.sink.taken == set(range(1, 1_002))
    disk.outbox.close()
