"""Plans a hold and its release: registers in flash, so the original is journaled first and writes are counted.

A plan comes with the ledger that must be durable before its first step is written, and the one that holds once its
checks have been read back as expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from actors.inverter.errors import RefusedWriteError
from actors.inverter.jobs import RegisterWords
from actors.inverter.profile import Operand, Sequence, Step, WriteSpec
from actors.inverter.write import LiveState, WritePlan, plan_steps, registers_of, require


class FlashLedger(msgspec.Struct, frozen=True, kw_only=True):
    """What this gateway did to a device's flash; plain data, to be stored."""

    serial: str = ""
    """Of the device that was written to."""
    day: str = ""
    """The day (UTC) that `writes` counts."""
    writes: dict[int, int] = {}
    """Writes by address of the register."""
    originals: tuple[RegisterWords, ...] = ()
    """What the registers held that a hold has changed."""

    def spent(self, day: str, address: int) -> int:
        """Return how many writes to the register at `address` were spent on `day`."""
        return self.writes.get(address, 0) if self.day == day else 0

    def spend(self, day: str, addresses: Iterable[int]) -> FlashLedger:
        """Return the ledger with one more write on `day` to each of `addresses`."""
        writes = dict(self.writes) if self.day == day else {}
        for address in addresses:
            writes[address] = writes.get(address, 0) + 1
        return msgspec.structs.replace(self, day=day, writes=writes)


class FlashPlan(msgspec.Struct, frozen=True):
    """What to write, and what to store before and after it."""

    plan: WritePlan
    before: FlashLedger
    after: FlashLedger


def plan_hold(
    spec: WriteSpec,
    ledger: FlashLedger,
    current: Mapping[int, tuple[int, ...]],
    states: Mapping[str, LiveState] | None,
    day: str,
) -> FlashPlan:
    """Return how to keep the battery from discharging; `current` holds the words of the persistent registers.

    A register that already reads as wanted is not written.

    Raises:
        RefusedWriteError: the device has no hold, an original is not known, the day's budget would not suffice for
            the hold and its release, or the device is not in the state that the profile requires.
    """
    if not spec.hold:
        msg = "hold refused: this profile has none"
        raise RefusedWriteError(msg)
    require(spec, Sequence.HOLD, states)
    full = plan_steps(spec.hold, {})
    wanted = {registers.address: registers for registers in full.steps}
    persistent = {step.address: step for step in spec.hold if step.persistent}
    for address, step in persistent.items():
        if len(current.get(address, ())) != step.type.registers:
            msg = f"hold refused: {step.name} (register {address}) has not been read, so it could not be restored"
            raise RefusedWriteError(msg)
    changed = [
        step for address, step in persistent.items() if current[address] != wanted[address].words
    ]
    for step in changed:
        spent = ledger.spent(day, step.address)
        if spent + 2 > spec.persistent_writes_per_day:
            msg = (
                f"hold refused: {spent} of {spec.persistent_writes_per_day} writes to register {step.address} are"
                f" spent on {day}; one for a hold and one for its release do not fit"
            )
            raise RefusedWriteError(msg)
    # What does not say what a hold writes was set by somebody, and is what they want back.
    fresh = {step.address for step in changed}
    kept = [each for each in ledger.originals if each.address not in fresh]
    originals = [registers_of(step, current[step.address]) for step in changed]
    noted = ledger.spend(day, [step.address for step in changed])
    noted = msgspec.structs.replace(noted, originals=(*kept, *originals))
    idle = set(persistent) - {step.address for step in changed}
    steps = tuple(
        msgspec.structs.replace(each, before=current[each.address])
        if each.address in persistent
        else each
        for each in full.steps
        if each.address not in idle
    )
    return FlashPlan(WritePlan(steps, full.checks), noted, noted)


def plan_release(spec: WriteSpec, ledger: FlashLedger, day: str) -> FlashPlan:
    """Return how to end a hold: what it changed is put back. The budget never keeps an original from being restored."""
    originals = {registers.address: registers for registers in ledger.originals}
    held = {registers.address: registers.words for registers in plan_steps(spec.hold, {}).steps}
    steps: list[RegisterWords] = []
    checks: list[RegisterWords] = []
    for step in spec.release:
        registers = _released(step, originals)
        if registers is not None:
            if step.operand is Operand.ORIGINAL:
                registers = msgspec.structs.replace(registers, before=held[step.address])
            steps.append(registers)
            checks += [registers] if step.verify else []
    before = ledger.spend(day, originals)
    after = msgspec.structs.replace(before, originals=())
    return FlashPlan(WritePlan(tuple(steps), tuple(checks)), before, after)


def _released(step: Step, originals: Mapping[int, RegisterWords]) -> RegisterWords | None:
    if step.operand is not Operand.ORIGINAL:
        return plan_steps((step,), {}).steps[0]
    original = originals.get(step.address)
    return None if original is None else registers_of(step, original.words)
