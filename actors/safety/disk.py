"""How lines become durable: the few calls to the operating system in one place, so that a test can die between them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from actors.safety.statedir import sync_folder


class Disk:
    """The operating system's files. Every method may raise `OSError`."""

    def open(self, path: Path) -> int:
        """Return a descriptor that appends to `path`, which is made if it is missing."""
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write `data` and return how many bytes of it were taken."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Make what was written durable."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        """Cut the file off at `length` bytes."""
        os.ftruncate(descriptor, length)

    def rename(self, path: Path, to: Path) -> None:
        """Give a file another name."""
        path.rename(to)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in `folder` durable."""
        sync_folder(folder)


DISK = Disk()
ASIDE = ".corrupt-"
"""Between the name of a file that was set aside and its number."""


def append_whole(path: Path, data: bytes, disk: Disk = DISK) -> None:
    """Write `data` to the end of `path`, durable when this returns; a refused write leaves no torn line behind.

    Raises:
        OSError: the disk refuses; unless it refuses that too, the file is as long as it was.
    """
    descriptor = disk.open(path)
    try:
        length = os.fstat(descriptor).st_size
        try:
            _write_whole(descriptor, data, disk)
            disk.sync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):  # the first refusal is the one to tell
                disk.truncate(descriptor, length)
            raise
    finally:
        os.close(descriptor)
    disk.sync_folder(path.parent)


def _write_whole(descriptor: int, data: bytes, disk: Disk) -> None:
    written = disk.write(descriptor, data)
    if written != len(data):
        raise OSError(f"only {written} of {len(data)} bytes were written: the disk is full")


def set_aside(path: Path, number: int, disk: Disk = DISK) -> Path:
    """Give `path` a name of its own that says it cannot be trusted, durably, and return it.

    Raises:
        OSError: the disk refuses.
    """
    while (aside := path.with_name(f"{path.name}{ASIDE}{number}")).exists():
        number += 1
    disk.rename(path, aside)
    disk.sync_folder(path.parent)
    return aside
