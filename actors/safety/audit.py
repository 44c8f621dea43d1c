"""What people and safety did, line by line: an append-only log in which each entry carries the hash of the one before.

A line that was changed, taken out or put in breaks the chain, and `read_trail` says where. The hashes have no secret
in them: who can write the file can also compute a new chain from some entry on. It shows only to those who noted a
later hash elsewhere.

The newest entries are in `audit.jsonl`; beyond `MAX_BYTES` it is renamed to `audit-N.jsonl`, N being its first entry,
and never touched again. One that is damaged is set aside whole; its intact beginning goes on, and says so in an entry.
"""

from __future__ import annotations

import enum
import hashlib
from pathlib import Path

import msgspec

from actors.safety.disk import ASIDE, DISK, Disk, append_whole, set_aside

AUDIT_NAME = "audit.jsonl"
MAX_BYTES = 1 << 20
"""About 3,000 entries; read whole at every start. Project's choice."""


class AuditError(Exception):
    """The log cannot be trusted; the message names the file, the line and what is wrong."""


class AuditKind(enum.Enum):
    """What happened."""

    TRIP = "trip"
    RESET = "reset"
    RESET_REFUSED = "reset_refused"
    RESET_VOID = "reset_void"
    """The reset before it did not reach the journal: the trip is still latched."""
    SETPOINT = "setpoint"
    SETPOINT_REFUSED = "setpoint_refused"
    RELEASE = "release"
    SET_ASIDE = "set_aside"
    """The log was damaged behind the entry before it."""


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be kept of one event."""

    kind: AuditKind
    device_id: str = ""
    by: str = ""
    """Who did it; empty where safety did."""
    role: str = ""
    rule: str = ""
    detail: str = ""
    record: int = 0
    """`crc32` of the journal's record that this is about, or 0."""


class AuditEntry(Deed, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the log."""

    seq: int
    """Counts the entries, from 1."""
    wall_ns: int
    prev: str
    """Hash of the entry before; empty for the first of a chain."""
    hash: str = ""
    """SHA-256 of this entry encoded with `hash` empty."""


def read_entries(path: Path) -> list[AuditEntry]:
    """Return the entries of one file; none if it is missing.

    Raises:
        AuditError: it cannot be read, a line is not an intact entry, or does not follow the one before.
    """
    entries, fault = _read(path)
    if fault:
        raise AuditError(fault)
    return entries


def read_trail(state_dir: Path) -> list[AuditEntry]:
    """Return every entry that is kept in `state_dir`, the oldest first.

    Raises:
        AuditError: a file is not intact, or does not follow the one before.
    """
    trail: list[AuditEntry] = []
    for path in [*_archives(state_dir), state_dir / AUDIT_NAME]:
        entries = read_entries(path)
        if trail and entries and (fault := _break(trail[-1], entries[0])):
            raise AuditError(f"{path}, line 1: {fault}")
        trail += entries
    return trail


def find_faults(state_dir: Path) -> list[str]:
    """Return all that keeps the log in `state_dir` from being whole: broken chains, files set aside."""
    faults = [
        f"{path.name} was set aside: compare it, then keep it elsewhere"
        for path in sorted(state_dir.glob(f"{AUDIT_NAME}{ASIDE}*"))
    ]
    try:
        read_trail(state_dir)
    except AuditError as error:
        faults.append(str(error))
    return faults


class AuditTrail:
    """Appends to the log; there is one in the running gateway, or in a tool while it is stopped."""

    def __init__(self, state_dir: Path, disk: Disk = DISK) -> None:
        """Write nothing before `open`."""
        self._state_dir = state_dir
        self._path = state_dir / AUDIT_NAME
        self._disk = disk
        self._last: AuditEntry | None = None
        self._first_seq = 0
        self._known = False

    def open(self, wall_ns: int) -> list[AuditEntry]:
        """Take up the chain and return its newest entries; a damaged file is set aside.

        Raises:
            OSError: the disk refuses.
        """
        entries, fault = _read(self._path)
        archives = _archives(self._state_dir)
        older = _read_intact(archives[-1]) if archives else []
        self._last = next(reversed(entries or older), None)
        self._first_seq = entries[0].seq if entries else 0
        self._known = True
        if fault:
            aside = set_aside(self._path, wall_ns, self._disk).name
            append_whole(self._path, b"".join(map(_line, entries)), self._disk)
            told = Deed(kind=AuditKind.SET_ASIDE, detail=f"{fault}; set aside as {aside}")
            self.note(wall_ns, told)
        return [*older, *entries]

    def note(self, wall_ns: int, *deeds: Deed) -> None:
        """Append an entry for each of `deeds`, all at once; they are durable when this returns.

        Raises:
            OSError: the disk refuses; none of them is there then.
        """
        if not self._known:
            self.open(wall_ns)
        self._rotate()
        entries: list[AuditEntry] = []
        last = self._last
        for deed in deeds:
            last = _sealed(deed, last, wall_ns)
            entries.append(last)
        self._known = False  # until the lines are known to be there, or not
        append_whole(self._path, b"".join(map(_line, entries)), self._disk)
        self._known = True
        self._last = last
        self._first_seq = self._first_seq or entries[0].seq

    def _rotate(self) -> None:
        if self._first_seq and self._path.stat().st_size >= MAX_BYTES:
            self._disk.rename(self._path, self._path.with_name(f"audit-{self._first_seq:08}.jsonl"))
            self._first_seq = 0


def _read_intact(path: Path) -> list[AuditEntry]:
    """Return the entries of a file as far as they are intact."""
    return _read(path)[0]


def _archives(state_dir: Path) -> list[Path]:
    return sorted(state_dir.glob("audit-*.jsonl"))


def _read(path: Path) -> tuple[list[AuditEntry], str]:
    """Return the intact entries at the beginning of a file, and what is wrong with the next."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"{path} cannot be read: {error}"
    *lines, tail = data.split(b"\n")
    entries: list[AuditEntry] = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = msgspec.json.decode(line, type=AuditEntry)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return entries, f"{path}, line {number}: {error}"
        fault = _fault(entry, line) or (_break(entries[-1], entry) if entries else "")
        if fault:
            return entries, f"{path}, line {number}: {fault}"
        entries.append(entry)
    return entries, f"{path}, line {len(lines) + 1}: not written to its end" if tail else ""


def _fault(entry: AuditEntry, line: bytes) -> str:
    """Return what is wrong with an entry by itself."""
    intact = entry.hash == _hash(entry) and msgspec.json.encode(entry) == line
    return "" if intact else "its hash does not match: it was changed"


def _break(before: AuditEntry, entry: AuditEntry) -> str:
    """Return how an entry fails to follow the one before it."""
    if entry.seq != before.seq + 1:
        return f"entry {entry.seq} follows entry {before.seq}: some are missing, or out of order"
    return "" if entry.prev == before.hash else "it does not follow the entry before it"


def _line(entry: AuditEntry) -> bytes:
    return msgspec.json.encode(entry) + b"\n"


def _sealed(deed: Deed, last: AuditEntry | None, wall_ns: int) -> AuditEntry:
    entry = AuditEntry(
        **msgspec.structs.asdict(deed),
        seq=last.seq + 1 if last else 1,
        wall_ns=wall_ns,
        prev=last.hash if last else "",
    )
    return msgspec.structs.replace(entry, hash=_hash(entry))


def _hash(entry: AuditEntry) -> str:
    bare = msgspec.structs.replace(entry, hash="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()
