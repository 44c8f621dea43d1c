"""Trips and resets of the running gateway: on disk first, and only then told.

A trip that cannot be written holds in memory and is tried again, also where the disk took nothing from the start. The
audit log has it a moment later, as it has what operators ask for, so that no answer waits for more than the journal. A
reset that cannot be written or audited is none: it goes to the audit log first, so that no trip ends unseen, and then
to the journal. What a killed process left out of the log is made up for by the next one, as far as the journal tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from actors.messages import ResetLatch, Role
from actors.safety.audit import AuditEntry, AuditKind, AuditTrail, Deed
from actors.safety.disk import DISK, Disk, set_aside
from actors.safety.latch import (
    JOURNAL_NAME,
    Latches,
    LatchKind,
    LatchRecord,
    append,
    load,
    sealed,
)
from actors.safety.quota import Quota
from actors.safety.statedir import StateDirError, check_state_dir
from supervision.clock import NS_PER_S, Clock

RETRY_NS = NS_PER_S
HOUR_S = 3600.0
RESETS_PER_HOUR = 3
"""Of one device. Project's choice: a fourth trip within the hour wants a cure, not a reset."""
MAX_WAITING = 1024
"""So many entries wait in memory for a disk that takes them."""

log = structlog.get_logger()


class LatchBook:
    """Keeps the journal and the audit log."""

    def __init__(
        self,
        state_dir: Path,
        *,
        resets_per_hour: int,
        clock: Clock,
        tell: Callable[[str, str, str, str], None],
        disk: Disk = DISK,
    ) -> None:
        """Write nothing before `open`; `tell` is given device, kind, rule and detail of events worth keeping."""
        self._state_dir = state_dir
        self._clock = clock
        self._tell = tell
        self._disk = disk
        self._audit = AuditTrail(state_dir, disk)
        self._resets = Quota(resets_per_hour, HOUR_S)
        self._resets_per_hour = resets_per_hour
        self._latched: dict[str, LatchRecord] = {}
        self._unwritten: dict[str, LatchRecord] = {}
        self._devices: tuple[str, ...] = ()
        self._told: set[str] = set()
        """Devices of which it was told that their trips cannot be written."""
        self._dead = False
        """Whether nothing could be written when it was opened, and not since."""
        self._corrupt = False
        """Whether a journal that cannot be trusted was not replaced yet."""
        self._waiting: list[Deed] = []
        """Entries that are not in the log yet."""
        self._retry_ns = 0
        """Before that a disk that refused is not tried again."""

    def open(self, devices: Iterable[str]) -> dict[str, LatchRecord]:
        """Return the trips that are latched, by device; what the disk does not take is written and told by `tick`."""
        self._devices = tuple(devices)
        try:
            check_state_dir(self._state_dir)
        except StateDirError as error:
            self._dead = True
            log.error("state directory not written", reason=str(error))  # noqa: TRY400 - the message says it all
        latches = load(self._state_dir, self._devices, self._clock.wall_ns(), self._disk)
        if latches.set_aside:
            log.error("latch journal corrupt", reason=latches.set_aside)
        self._latched = dict(latches.trips)
        if latches.unwritten:
            self._unwritten = dict(latches.trips)
            self._corrupt = True
        self._count_resets(latches.records)
        self._catch_up(latches)
        return latches.trips

    def trip(self, device_id: str, rule: str, figures: str) -> str:
        """Keep a trip; return an empty string, or what is to be said of it because it could not be kept."""
        record = sealed(
            LatchRecord(
                kind=LatchKind.TRIP,
                device_id=device_id,
                rule=rule,
                reason=figures,
                wall_ns=self._clock.wall_ns(),
            )
        )
        self._latched[device_id] = self._unwritten[device_id] = record
        written = self._write_trips()
        self.note(_deed_of(record))
        return "" if written else " (tripped in memory only: the journal is not written)"

    def tick(self) -> None:
        """Enter into the log what waits, and write again, once a second, what could not be written."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._retry_ns:
            return
        if self._dead or self._unwritten:
            self._write_trips()
        self._flush()

    def why_not(self, order: ResetLatch) -> tuple[str, str]:
        """Return the rule by which `order` is refused, whatever the battery measures, and why; empty if it is not."""
        if order.role is not Role.OPERATOR:
            return "role", f"a {order.role.value} may not reset trips"
        for field in ("operator", "reason"):
            if not getattr(order, field).strip():
                return field, f"{field} is blank: say who resets the trip and why"
        if order.device_id not in self._latched:
            return "not_latched", f"{order.device_id} is not tripped"
        wait_s = self._resets.wait_s(order.device_id, self._clock.monotonic_ns())
        if wait_s:
            most = f"more than {self._resets_per_hour} resets of a device in an hour"
            return "resets_per_hour", f"{most}; again in {wait_s / 60:.0f} min"
        return "", ""

    def reset(self, order: ResetLatch) -> str:
        """End a trip of which nothing more is to be asked; return an empty string, or why it could not be written."""
        record = sealed(
            LatchRecord(
                kind=LatchKind.RESET,
                device_id=order.device_id,
                rule="",
                reason=order.reason.strip(),
                wall_ns=self._clock.wall_ns(),
                operator=order.operator.strip(),
            )
        )
        if self._corrupt:
            return "the corrupt journal is still in its place: free or repair the disk of state_dir"
        deed = _deed_of(record, order.role)
        try:
            self._audit.note(record.wall_ns, *self._waiting, deed)
        except OSError as error:
            return f"the audit log cannot be written: {error}"
        self._waiting.clear()
        try:
            append(self._state_dir, record, disk=self._disk)
        except OSError as error:
            self.note(_void(record, f"the journal cannot be written: {error}"))
            self._flush()
            return f"the journal cannot be written: {error}"
        self._resets.count(order.device_id, self._clock.monotonic_ns())
        self._latched.pop(order.device_id, None)
        self._unwritten.pop(order.device_id, None)
        return ""

    def note(self, deed: Deed) -> None:
        """Let `tick` enter `deed` into the log: whoever waits for an answer does not wait for the disk too."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(deed)

    def _flush(self) -> None:
        if not self._waiting:
            return
        try:
            self._audit.note(self._clock.wall_ns(), *self._waiting)
        except OSError as error:
            self._retry_ns = self._clock.monotonic_ns() + RETRY_NS
            log.warning("audit log not written", waiting=len(self._waiting), reason=str(error))
        else:
            self._waiting.clear()

    def _write_trips(self) -> bool:
        """Write every trip that is not on disk, all at once, so that a crash in between forgets none."""
        path = self._state_dir / JOURNAL_NAME
        try:
            if self._dead:
                check_state_dir(self._state_dir)
            if self._corrupt and path.exists():
                set_aside(path, self._clock.wall_ns(), self._disk)
            if self._unwritten:
                append(self._state_dir, *self._unwritten.values(), disk=self._disk)
        except (OSError, StateDirError) as error:
            self._retry_ns = self._clock.monotonic_ns() + RETRY_NS
            self._tell_fault(str(error))
            return False
        self._dead = self._corrupt = False
        self._unwritten.clear()
        self._tell_mended()
        return True

    def _tell_fault(self, why: str) -> None:
        for device_id in self._devices if self._dead else tuple(self._unwritten):
            if device_id not in self._told:
                self._told.add(device_id)
                log.error("latch journal not written", device=device_id, reason=why)
                fix = "free or repair the disk of state_dir, it is tried again"
                self._tell(device_id, "began", "latch_journal", f"{why}; {fix}")

    def _tell_mended(self) -> None:
        for device_id in self._told:
            trip = self._latched.get(device_id)
            what = f"{trip.rule} is on disk" if trip else "trips can be written again"
            self._tell(device_id, "ceased", "latch_journal", what)
        self._told.clear()

    def _count_resets(self, records: Iterable[LatchRecord]) -> None:
        """Take earlier resets into account; one that seems to come from the future has just been made."""
        wall_ns, mono_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        for record in records:
            age_ns = max(0, wall_ns - record.wall_ns)
            if record.kind is LatchKind.RESET and age_ns < HOUR_S * NS_PER_S:
                self._resets.count(record.device_id, mono_ns - age_ns)

    def _catch_up(self, latches: Latches) -> None:
        """Enter into the log what an incarnation that was killed left out."""
        try:
            entries = self._audit.open(self._clock.wall_ns())
        except OSError as error:
            log.warning("audit log not opened", reason=str(error))
            entries = []
        for deed in left_out(latches.records, entries):
            self.note(deed)
        self._flush()


def left_out(records: list[LatchRecord], entries: list[AuditEntry]) -> list[Deed]:
    """Return what the audit log `entries` does not tell of the journal's `records`, though it should."""
    told = {entry.record for entry in entries}
    untold: list[LatchRecord] = []
    for record in reversed(records):
        if record.crc32 in told:
            break
        untold.insert(0, record)
    deeds = [_deed_of(record) for record in untold]
    last = next((entry for entry in reversed(entries) if entry.record), None)
    if last and last.kind is AuditKind.RESET and last.record not in {r.crc32 for r in records}:
        deeds.insert(0, _void(last, "the gateway ended before it was in the journal"))
    return deeds


def _deed_of(record: LatchRecord, role: Role = Role.OPERATOR) -> Deed:
    reset = record.kind is LatchKind.RESET
    return Deed(
        kind=AuditKind.RESET if reset else AuditKind.TRIP,
        device_id=record.device_id,
        by=record.operator,
        role=role.value if reset else "",
        rule=record.rule,
        detail=record.reason,
        record=record.crc32,
    )


def _void(reset: LatchRecord | AuditEntry, why: str) -> Deed:
    crc32 = reset.crc32 if isinstance(reset, LatchRecord) else reset.record
    return Deed(
        kind=AuditKind.RESET_VOID,
        device_id=reset.device_id,
        detail=f"still tripped: {why}",
        record=crc32,
    )
