"""What this incarnation may do to the device's flash: every change is on disk before it is on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec

from actors.inverter.errors import RefusedWriteError
from actors.inverter.hold import FlashLedger, plan_hold, plan_release
from actors.inverter.jobs import RegisterWords
from actors.inverter.ledger_file import LedgerError
from actors.inverter.profile import WriteSpec
from actors.inverter.write import LiveState, WritePlan, plan_steps
from supervision.clock import NS_PER_S


def utc_day(wall_ns: int) -> str:
    """Return the day (UTC) that a budget counts, as 2026-05-01."""
    return datetime.fromtimestamp(wall_ns / NS_PER_S, tz=UTC).date().isoformat()


class LedgerStore(Protocol):
    """Where the ledger outlives the process."""

    def load(self) -> FlashLedger:
        """Return what was stored last."""
        ...

    def store(self, ledger: FlashLedger) -> None:
        """Make `ledger` durable."""
        ...


class Settles(NamedTuple):
    """What holds once a plan has been read back."""

    ledger: FlashLedger
    written: dict[int, tuple[int, ...]]
    """What the registers then say, by address."""


class Flash:
    """The ledger of one device, and the plans that follow from it."""

    def __init__(self, store: LedgerStore | None, today: Callable[[], str]) -> None:
        """Read the ledger; without a `store`, or with one that cannot be read, nothing in flash is ever written."""
        self._store = store
        self._today = today
        self._ledger = FlashLedger()
        self._written: dict[int, tuple[int, ...]] = {}
        """What the registers say since our last write to them, whatever a poll before it has read."""
        self.fault = (
            "" if store is not None else "there is no state directory to record originals in"
        )
        """Why nothing in flash may be written, or empty."""
        try:
            self._ledger = self._ledger if store is None else store.load()
        except LedgerError as error:
            self.fault = str(error)
        self._stored = self._ledger

    @property
    def holding(self) -> bool:
        """Whether a hold was written, and its originals not yet restored."""
        return bool(self.originals)

    @property
    def originals(self) -> tuple[RegisterWords, ...]:
        """What registers held that a hold has changed."""
        return self._ledger.originals

    @property
    def left(self) -> str:
        """What an earlier run has left behind, or why nothing in flash is written although it might be; or empty."""
        if self.fault or not self.holding:
            return self.fault if self._store is not None else ""
        told = ", ".join(f"{each.name} = {list(each.words)}" for each in self.originals)
        return f"originals not restored yet: {told}; a set-point or a release will, or bessai originals restore"

    def serial(self, serial: str) -> None:
        """Note which device answers; what is recorded of another one is neither used nor overwritten."""
        if not serial:
            return
        if self._ledger.serial not in {"", serial} and self.holding:
            self.fault = (
                f"originals of device {self._ledger.serial!r} are recorded, and {serial!r} answers;"
                " restore them there, or remove the file"
            )
        else:
            self._ledger = msgspec.structs.replace(self._ledger, serial=serial)

    def hold(
        self,
        spec: WriteSpec,
        current: Mapping[int, tuple[int, ...]],
        states: Mapping[str, LiveState] | None,
    ) -> tuple[WritePlan, Settles]:
        """Return how to hold; the originals are durable now.

        Raises:
            RefusedWriteError: it is not possible now, or they cannot be made durable.
        """
        if self.fault:
            msg = f"hold refused: {self.fault}"
            raise RefusedWriteError(msg)
        known = {**current, **self._written}
        made = plan_hold(spec, self._ledger, known, states, self._today())
        try:
            self._keep(made.before)
        except LedgerError as error:
            msg = f"hold refused: {error}"
            raise RefusedWriteError(msg) from error
        return made.plan, Settles(made.after, {each.address: each.words for each in _held(spec)})

    def release(
        self, spec: WriteSpec, current: Mapping[int, tuple[int, ...]]
    ) -> tuple[WritePlan, Settles | None]:
        """Return how to put the originals back, nothing where none is recorded; the budget never forbids it.

        Where a register does not say any more what the hold wrote, somebody has set it anew, and it is left alone.
        """
        known = {**current, **self._written}
        for step in _held(spec) if not self.fault else ():
            if known.get(step.address, step.words) != step.words:
                self.forget(step.address)
        if not self.holding or self.fault:
            return WritePlan((), ()), None
        made = plan_release(spec, self._ledger, self._today())
        self._ledger = (
            made.before
        )  # a count that is lost with the process keeps no original from coming back
        written = {each.address: each.words for each in made.plan.steps}
        return made.plan, Settles(made.after, written)

    def settled(self, settles: Settles) -> str:
        """Note that a plan was read back; return why that could not be recorded, or nothing."""
        self._written, self._ledger = settles.written, settles.ledger
        return self.keep()

    def keep(self) -> str:
        """Make what is known now durable; return why that is not possible, or nothing."""
        try:
            self._keep(self._ledger)
        except LedgerError as error:
            return str(error)
        return ""

    def forget(self, address: int) -> None:
        """Note that somebody else has set the register at `address`: what it held before is of no use any more."""
        self._written.pop(address, None)
        kept = tuple(each for each in self._ledger.originals if each.address != address)
        self._ledger = msgspec.structs.replace(self._ledger, originals=kept)

    def _keep(self, ledger: FlashLedger) -> None:
        if self._store is not None and ledger != self._stored:
            self._store.store(ledger)
        self._ledger = self._stored = ledger


def _held(spec: WriteSpec) -> list[RegisterWords]:
    """Return what a hold writes to registers in flash."""
    steps = plan_steps(tuple(step for step in spec.hold if step.persistent), {}).steps
    return list(steps)
