"""Keeps a device's flash ledger on disk: what is stored is durable before the register it speaks of is written.

One file a device, `originals/<device>.json` under the state directory, replaced as a whole, with its checksum. A file
that cannot be trusted is set aside: then nothing is known of the originals, and no register in flash is written before
a person has looked.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import msgspec

from actors.inverter.hold import FlashLedger

FOLDER = "originals"


class LedgerError(Exception):
    """A ledger cannot be trusted or kept; the message names the file and the fix."""


class _Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    ledger: FlashLedger
    crc32: int


_DECODER = msgspec.json.Decoder(_Stored)


class LedgerFile:
    """The ledger of one device."""

    def __init__(self, state_dir: Path, device_id: str) -> None:
        """Name the file; nothing is read or made yet."""
        self.path = state_dir / FOLDER / f"{device_id}.json"

    def load(self) -> FlashLedger:
        """Return what was stored last, an empty ledger if nothing was.

        Raises:
            LedgerError: the file cannot be read, or is not what was written.
        """
        try:
            stored = _DECODER.decode(self.path.read_bytes())
        except FileNotFoundError:
            return FlashLedger()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise LedgerError(f"{self.path} cannot be read: {error}; {_FIX}") from error
        if stored.crc32 != _checksum(stored.ledger):
            raise LedgerError(f"{self.path}: the checksum does not match; {_FIX}")
        return stored.ledger

    def store(self, ledger: FlashLedger) -> None:
        """Replace what was stored; it is durable when this returns.

        Raises:
            LedgerError: the disk refuses; the old file still stands.
        """
        fresh = self.path.with_suffix(".new")
        data = msgspec.json.encode(_Stored(ledger=ledger, crc32=_checksum(ledger)))
        try:
            if not self.path.parent.is_dir():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                _sync_folder(self.path.parent.parent)
            with fresh.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            _sync_folder(self.path.parent)
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be written: {error}") from error


_FIX = "look at the device's own settings, then remove the file"


def ledger_of(state_dir: str, device_id: str) -> LedgerFile | None:
    """Return where the ledger of `device_id` is kept, or None without a state directory."""
    return LedgerFile(Path(state_dir), device_id) if state_dir else None


def ledgers(state_dir: Path) -> dict[str, LedgerFile]:
    """Return the ledgers that there are, by device."""
    found = sorted((state_dir / FOLDER).glob("*.json"))
    return {path.stem: LedgerFile(state_dir, path.stem) for path in found}


def _checksum(ledger: FlashLedger) -> int:
    return zlib.crc32(msgspec.json.encode(ledger))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
