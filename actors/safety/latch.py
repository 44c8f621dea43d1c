"""Trips that outlive the process: an append-only journal of JSON lines, each with a checksum.

A trip is on disk before it is announced. A journal that cannot be read in full is set aside under another name, and
every device begins tripped, because any of them may have been. `list_latches` and `reset` are for a tool that runs
while the gateway is stopped.
"""

from __future__ import annotations

import enum
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from actors.safety.statedir import lock_state_dir, sync_folder

JOURNAL_NAME = "latches.jsonl"
_ASIDE = ".corrupt-"


class JournalError(Exception):
    """The journal cannot be trusted; the message names the file, the line and what is wrong."""


class NotLatchedError(Exception):
    """A reset was asked for a device that is not tripped."""


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
    set_aside: str = ""
    """Why and whereto a corrupt journal was moved, or empty."""


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


def append(state_dir: Path, *records: LatchRecord) -> None:
    """Write `records` to the end of the journal; they are durable when this returns.

    Raises:
        OSError: the disk refuses; nothing is known of the records then.
    """
    data = b"".join(_encode(record) for record in records)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    descriptor = os.open(state_dir / JOURNAL_NAME, flags, 0o644)
    try:
        length = os.fstat(descriptor).st_size
        _write_whole(descriptor, data, length)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(state_dir)


def load(state_dir: Path, devices: Iterable[str], wall_ns: int) -> Latches:
    """Read the journal in `state_dir`; set it aside and trip all `devices` if it cannot be trusted.

    Raises:
        OSError: it cannot be set aside, or the trips that take its place cannot be written.
    """
    path = state_dir / JOURNAL_NAME
    try:
        return Latches(replay(_read_whole(path)))
    except JournalError as error:
        reason = str(error)
    if path.exists():
        reason = f"{reason}; set aside as {_set_aside(path, wall_ns).name}"
    trips = {
        device: LatchRecord(
            kind=LatchKind.TRIP,
            device_id=device,
            rule="journal_corrupt",
            reason=reason,
            wall_ns=wall_ns,
        )
        for device in devices
    }
    append(state_dir, *trips.values())
    return Latches(trips, reason)


def list_latches(state_dir: Path) -> dict[str, LatchRecord]:
    """Return the trips that are latched in `state_dir`, by device; also while the gateway runs.

    Raises:
        JournalError: the journal is corrupt; the next start of the gateway sets it aside.
    """
    return replay(read_journal(state_dir / JOURNAL_NAME))


def reset(
    state_dir: Path, device_id: str, *, operator: str, reason: str, wall_ns: int
) -> LatchRecord:
    """End the trip of `device_id` on behalf of `operator`, while the gateway is stopped; return what was reset.

    Raises:
        ValueError: `operator` or `reason` is blank.
        GatewayRunningError: the gateway runs.
        NotLatchedError: the device is not tripped.
        JournalError: the journal is corrupt.
        OSError: the reset could not be written; the device may still be tripped.
    """
    for field, value in (("operator", operator), ("reason", reason)):
        if not value.strip():
            raise ValueError(f"{field} = {value!r} is not allowed: say who resets the trip and why")
    with lock_state_dir(state_dir):
        latched = list_latches(state_dir)
        if device_id not in latched:
            raise NotLatchedError(
                f"device {device_id!r} is not tripped; tripped are: {', '.join(latched) or 'none'}"
            )
        append(
            state_dir,
            LatchRecord(
                kind=LatchKind.RESET,
                device_id=device_id,
                rule="",
                reason=reason.strip(),
                wall_ns=wall_ns,
                operator=operator.strip(),
            ),
        )
        return latched[device_id]


def _set_aside(path: Path, number: int) -> Path:
    while (aside := path.with_name(f"{JOURNAL_NAME}{_ASIDE}{number}")).exists():
        number += 1
    path.rename(aside)
    sync_folder(path.parent)
    return aside


def _read_whole(path: Path) -> list[LatchRecord]:
    """Read the journal; a crash between setting one aside and writing the next must not look like a clean start."""
    records = read_journal(path)
    if not records and any(path.parent.glob(f"{JOURNAL_NAME}{_ASIDE}*")):
        raise JournalError(f"{path} was set aside and nothing took its place")
    return records


def _write_whole(descriptor: int, data: bytes, length: int) -> None:
    """Write all of `data` or leave the file at its `length`, so that a full disk leaves no torn line."""
    written = os.write(descriptor, data)
    if written != len(data):
        os.ftruncate(descriptor, length)
        raise OSError(f"only {written} of {len(data)} bytes were written: the disk is full")


def _encode(record: LatchRecord) -> bytes:
    bare = msgspec.structs.replace(record, crc32=0)
    checked = msgspec.structs.replace(record, crc32=zlib.crc32(msgspec.json.encode(bare)))
    return msgspec.json.encode(checked) + b"\n"


def _decode(path: Path, number: int, line: bytes) -> LatchRecord:
    try:
        record = msgspec.json.decode(line, type=LatchRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalError(f"{path}, line {number}: {error}") from error
    if _encode(record) != line + b"\n":
        raise JournalError(f"{path}, line {number}: the checksum does not match")
    return record
