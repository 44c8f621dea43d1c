"""Cut the power of a disk under the spool, and look what is on it: `make power-loss`, as root.

The disk is an ext4 file system on a loop device over a file in memory. A process commits to a spool on it and tells
what was acknowledged; it is stopped, and a copy of the file at that moment is the disk after the cut: what was only in
the page cache is not in it. The copy is mounted, which replays ext4's journal, and the spool on it opened and read.

Two controls show that the method can fail: without fsync, and with synchronous=NORMAL, acknowledged records must be
missing. It models a lost page cache, not a disk that lies about flushes, reorders or tears sectors.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import click

from actors.publisher.database import SpoolError
from actors.publisher.record import RecordLane
from actors.publisher.spool import Spool
from tests.actors.publisher.records import number_of

DISK_BYTES = 96 << 20
QUOTA_BYTES = 1 << 26
_WRITER = """
import sys
from pathlib import Path
from actors.publisher.spool import Spool
from tests.actors.publisher.records import record

spool = Spool(Path(sys.argv[1]), quota_bytes=1 << 26)
spool.connection.execute("PRAGMA synchronous = " + sys.argv[2])
number = 0
while True:
    spool.commit([record(number + n, size=200) for n in range(10)])
    number += 10
    print(number, flush=True)
"""


class Cut(NamedTuple):
    """What one cut did."""

    acknowledged: int
    lost: int


def main() -> int:
    """Print a line for each setting; return 1 if the real one lost anything or a control nothing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    if os.geteuid() != 0:
        click.echo("make power-loss mounts a disk of its own: run it as root", err=True)
        return 2
    fine = True
    for synchronous, what in (
        ("FULL", "as the gateway runs it"),
        ("NORMAL", "control"),
        ("OFF", "control: no fsync at all"),
    ):
        cuts = [_cut(synchronous, random.Random(n).uniform(0.3, 1.5)) for n in range(rounds)]
        acknowledged, lost = sum(c.acknowledged for c in cuts), sum(c.lost for c in cuts)
        hit = sum(1 for cut in cuts if cut.lost)
        click.echo(
            f"synchronous={synchronous} ({what}): {rounds} cuts, {acknowledged} records acknowledged, "
            f"{lost} lost in {hit} cuts"
        )
        fine &= (lost == 0) if synchronous == "FULL" else (lost > 0)
    return 0 if fine else 1


def _cut(synchronous: str, after_s: float) -> Cut:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        directory = Path(name)
        disk, copy = directory / "disk", directory / "copy"
        disk.touch()
        os.truncate(disk, DISK_BYTES)
        subprocess.run(["mkfs.ext4", "-q", disk], check=True)
        with _mounted(disk, directory / "before") as place:
            acknowledged = _write_until_cut(place, synchronous, after_s, disk, copy)
        with _mounted(copy, directory / "after") as place:
            found = _read(place / "spool.db")
    return Cut(acknowledged, len(set(range(acknowledged)) - found))


@contextlib.contextmanager
def _mounted(image: Path, place: Path) -> Generator[Path, None, None]:
    place.mkdir()
    # ext4 commits its journal every five seconds by itself, which would hide a missing fsync.
    subprocess.run(["mount", "-o", "loop,commit=300", image, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def _write_until_cut(place: Path, synchronous: str, after_s: float, disk: Path, copy: Path) -> int:
    """Return how many records were acknowledged when `disk` was copied."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(place / "spool.db"), synchronous],
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as writer:
        assert writer.stdout is not None
        told = writer.stdout.readline()
        end_s = time.monotonic() + after_s
        while time.monotonic() < end_s:
            told += os.read(writer.stdout.fileno(), 1 << 16)
        os.kill(writer.pid, signal.SIGSTOP)
        os.waitpid(writer.pid, os.WUNTRACED)
        os.set_blocking(writer.stdout.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            told += os.read(writer.stdout.fileno(), 1 << 20)
        shutil.copyfile(disk, copy)
        writer.kill()
    return int(told.splitlines()[-1])


def _read(path: Path) -> set[int]:
    found: set[int] = set()
    try:
        spool = Spool(path, quota_bytes=QUOTA_BYTES)
        after_id = 0
        while items := spool.next_batch(RecordLane.TELEMETRY, limit=1_000, after_id=after_id).items:
            found |= {number_of(item.record.body) for item in items}
            after_id = items[-1].row_id
        spool.close()
    except SpoolError as error:
        click.echo(f"  the spool cannot be read after the cut: {error}")
    return found


if __name__ == "__main__":
    sys.exit(main())
