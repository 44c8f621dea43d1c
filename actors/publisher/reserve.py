"""Space set aside while there is some, so that a full disk can still acknowledge, evict and recover.

On a full disk SQLite cannot even delete a row: it has to write that down first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LEAST_BYTES: Final = 4 << 20
"""What a disk must have free to count as no longer full, however small the reserve."""


class Reserve:
    """A file of `size_bytes` that is given up when space runs out, and made again when there is plenty."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    @property
    def held(self) -> bool:
        """Whether the space is set aside now."""
        return self._path.exists()

    def restore(self) -> bool:
        """Set the space aside if that leaves as much again free; return whether there is plenty now."""
        if self.held:
            return True
        try:
            space = os.statvfs(self._path.parent)
            if space.f_bavail * space.f_frsize < 2 * max(self._size_bytes, LEAST_BYTES):
                return False
            if self._size_bytes:
                self._allocate()
        except OSError:
            return False
        return True

    def release(self) -> bool:
        """Give the space up; return whether there was any."""
        if not self.held:
            return False
        self._path.unlink(missing_ok=True)
        return True

    def _allocate(self) -> None:
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o640)
        try:
            os.posix_fallocate(descriptor, 0, self._size_bytes)
        except OSError:
            fresh.unlink()
            raise
        finally:
            os.close(descriptor)
        fresh.rename(self._path)
