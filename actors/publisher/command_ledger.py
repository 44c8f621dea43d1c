"""The highest sequence number taken of each key, kept over restarts, so that no request is carried out twice.

A number is durable before its request is passed on. A file that cannot be trusted is set aside; from then on only
requests count that were issued later, because nobody knows which earlier ones were taken.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Final

import msgspec

FILE_NAME: Final = "commands.json"


class LedgerError(Exception):
    """The ledger cannot be written; the message names it and the fix."""


class _Content(msgspec.Struct, frozen=True):
    highest: dict[str, int]
    not_before_ns: int
    """Requests issued earlier (wall clock) are taken for replays."""
    crc32: int

    def checksum(self) -> int:
        """Return what `crc32` must be."""
        said = [sorted(self.highest.items()), self.not_before_ns]
        return zlib.crc32(msgspec.json.encode(said))


class CommandLedger:
    """The ledger in `directory`; used by one thread."""

    def __init__(self, directory: Path, *, wall_ns: int) -> None:
        """Read it, or set it aside at `wall_ns` if it cannot be trusted."""
        self.notice = ""
        """What had to be set aside, or empty."""
        self._path = directory / FILE_NAME
        self._highest: dict[str, int] = {}
        self._not_before_ns = 0
        self._load(wall_ns)

    def is_replay(self, key_id: str, seq: int, issued_ns: int) -> bool:
        """Return whether a request may have been taken before."""
        return seq <= self._highest.get(key_id, 0) or issued_ns < self._not_before_ns

    def take(self, key_id: str, seq: int) -> None:
        """Remember `seq` of `key_id`, durably.

        Raises:
            LedgerError: it cannot be written; the request must not be passed on.
        """
        highest = {**self._highest, key_id: seq}
        content = _Content(highest, self._not_before_ns, 0)
        content = msgspec.structs.replace(content, crc32=content.checksum())
        fresh = self._path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(content))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
            _sync(self._path.parent)
        except OSError as error:
            raise LedgerError(
                f"{self._path} cannot be written: {error}; free space on its disk"
            ) from error
        self._highest = highest

    def _load(self, wall_ns: int) -> None:
        try:
            content = msgspec.json.decode(self._path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            content = None
        if content is not None and content.crc32 == content.checksum():
            self._highest = content.highest
            self._not_before_ns = content.not_before_ns
            return
        aside = self._path.with_name(f"{FILE_NAME}.set-aside-{wall_ns}")
        self._path.replace(aside)
        self._not_before_ns = wall_ns
        self.notice = f"{self._path} is damaged; set aside as {aside}, earlier requests are refused"


def _sync(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
