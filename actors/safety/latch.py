"""Trips that outlive the process: an append-only journal of JSON lines, each with a checksum.

A trip is on disk before it is announced. A journal that cannot be read in full is set aside under another name, and
every device begins tripped, because any of them may have been. `LatchBook` keeps it in the running gateway,
`offline_reset` in a tool while that is stopped.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from actors.safety.disk import ASIDE, DISK, Disk, append_whole, set_aside

JOURNAL_NAME = "latches.jsonl"


class JournalError(Exception):
    """The journal cannot be trusted; the message names the file, the line and what is wrong."""


class LatchKind(enum.Enum):
    """What a record does."""

    TRIP = "trip"
    RESET = "reset"


class LatchRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the journal."""

    kind: LatchKind
    device_id: str
    rule: str
    """The rule that tripped; empty for a reset."""
    reason: str
    """The rule's figures, or the operator's reason."""
    wall_ns: int
    operator: str = ""
    """Who reset it; empty for a trip."""
    crc32: int = 0
    """Of this record encoded with `crc32` = 0."""


class Latches(msgspec.Struct, frozen=True):
    """What a journal says at start-up."""

    trips: dict[str, LatchRecord]
    """The trips that are still latched, by device."""
    records: list[LatchRecord]
    """The journal from its beginning."""
    set_aside: str = ""
    """Why and whereto a corrupt journal was moved, or empty."""
    unwritten: str = ""
    """Why the trips that take its place are not on disk, so that they hold in memory only; or empty."""


def read_journal(path: Path) -> list[LatchRecord]:
    """Return every record of the journal at `path`; none if there is no such file.

    Raises:
        JournalError: the file cannot be read, or one of its lines is not an intact record.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error}") from error
    *lines, tail = data.split(b"\n")
    if tail:
        raise JournalError(f"{path}, line {len(lines) + 1}: not written to its end")
    return [_decode(path, number, line) for number, line in enumerate(lines, start=1)]


def replay(records: Iterable[LatchRecord]) -> dict[str, LatchRecord]:
    """Return the trips that no later reset has ended, by device."""
    latched: dict[str, LatchRecord] = {}
    for record in records:
        if record.kind is LatchKind.TRIP:
            latched.setdefault(record.device_id, record)
        else:
            latched.pop(record.device_id, None)
    return latched


def append(state_dir: Path, *records: LatchRecord, disk: Disk = DISK) -> None:
    """Write `records` to the end of the journal; they are durable when this returns.

    Raises:
        OSError: the disk refuses; nothing is known of the records then.
    """
    append_whole(state_dir / JOURNAL_NAME, b"".join(_encode(record) for record in records), disk)


def load(state_dir: Path, devices: Iterable[str], wall_ns: int, disk: Disk = DISK) -> Latches:
    """Read the journal in `state_dir`; set it aside and trip all `devices` if it cannot be trusted."""
    path = state_dir / JOURNAL_NAME
    try:
        records = _read_whole(path)
        return Latches(replay(records), records)
    except JournalError as error:
        reason = str(error)
    unwritten = ""
    try:
        if path.exists():
            reason = f"{reason}; set aside as {set_aside(path, wall_ns, disk).name}"
    except OSError as error:
        unwritten = str(error)
    trips = {
        device: sealed(
            LatchRecord(
                kind=LatchKind.TRIP,
                device_id=device,
                rule="journal_corrupt",
                reason=reason,
                wall_ns=wall_ns,
            )
        )
        for device in devices
    }
    try:
        if not unwritten:
            append(state_dir, *trips.values(), disk=disk)
    except OSError as error:
        unwritten = str(error)
    return Latches(trips, list(trips.values()), reason, unwritten)


def list_latches(state_dir: Path) -> dict[str, LatchRecord]:
    """Return the trips that are latched in `state_dir`, by device; also while the gateway runs.

    Raises:
        JournalError: the journal is corrupt; the next start of the gateway sets it aside.
    """
    return replay(read_journal(state_dir / JOURNAL_NAME))


def sealed(record: LatchRecord) -> LatchRecord:
    """Return `record` with the checksum that its line will have."""
    bare = msgspec.structs.replace(record, crc32=0)
    return msgspec.structs.replace(record, crc32=zlib.crc32(msgspec.json.encode(bare)))


def _read_whole(path: Path) -> list[LatchRecord]:
    """Read the journal; a crash between setting one aside and writing the next must not look like a clean start."""
    records = read_journal(path)
    if not records and any(path.parent.glob(f"{JOURNAL_NAME}{ASIDE}*")):
        raise JournalError(f"{path} was set aside and nothing took its place")
    return records


def _encode(record: LatchRecord) -> bytes:
    return msgspec.json.encode(sealed(record)) + b"\n"


def _decode(path: Path, number: int, line: bytes) -> LatchRecord:
    try:
        record = msgspec.json.decode(line, type=LatchRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalError(f"{path}, line {number}: {error}") from error
    if _encode(record) != line + b"\n":
        raise JournalError(f"{path}, line {number}: the checksum does not match")
    return record
