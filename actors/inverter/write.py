"""Plans what to write for a power, from the profile: pure, and never clamping.

SafetyActor has clamped already; what still exceeds the device's own limits of this moment is refused here, because the
device would refuse it and keep the old value. So is what the device would carry out otherwise than it was meant: what a
profile requires of other registers is looked up before a sequence, and never written to make it so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from actors.inverter.errors import RefusedWriteError
from actors.inverter.jobs import RegisterWords
from actors.inverter.profile import Operand, Precondition, Sequence, Step, WordOrder, WriteSpec

_WORD = 0xFFFF


class LiveState(msgspec.Struct, frozen=True):
    """A point that a profile requires something of, as last read."""

    address: int
    value: float | None
    absent: bool = False
    """Whether this device does not have the register, so that nothing can be required of it."""
    reason: str = ""
    """Why there is no value."""


class LiveLimits(msgspec.Struct, frozen=True):
    """The device's own limits as last read, in watts; None where unknown."""

    max_charge_w: float | None = None
    max_discharge_w: float | None = None
    states: dict[str, LiveState] | None = None
    """The points that the profile requires something of; None judges nothing."""
    persistent: dict[int, tuple[int, ...]] = {}
    """The words of the registers in flash that a hold changes, by address, as far as they were read."""

    def of(self, power_w: float) -> float | None:
        """Return the limit in the direction of `power_w`."""
        return self.max_charge_w if power_w > 0 else self.max_discharge_w


class WritePlan(msgspec.Struct, frozen=True):
    """Registers to write, in order, and what must then be read back."""

    steps: tuple[RegisterWords, ...]
    checks: tuple[RegisterWords, ...]


def plan_power(spec: WriteSpec, power_w: float, limits: LiveLimits, deadman_min: int) -> WritePlan:
    """Return how to force `power_w` (+ charge, - discharge) for `deadman_min` minutes; 0 ends forced power.

    Fractions of a watt are cut off towards zero: never more than was approved.

    Raises:
        RefusedWriteError: the power is not finite, or above the device's own limit, or that limit is not known, or
            the device is not in the state that the profile requires.
    """
    if not math.isfinite(power_w):
        msg = f"set-point {power_w} W is not a number"
        raise RefusedWriteError(msg)
    magnitude_w = math.trunc(abs(power_w))
    if magnitude_w == 0:
        return plan_stop(spec)
    if spec.impossible:
        msg = f"set-point {power_w:g} W: {spec.impossible}"
        raise RefusedWriteError(msg)
    charging = power_w > 0
    name, limit_w = (
        ("charge", limits.max_charge_w) if charging else ("discharge", limits.max_discharge_w)
    )
    if limit_w is None:
        msg = f"set-point {power_w:g} W: the device's max_{name}_w is not known now"
        raise RefusedWriteError(msg)
    if magnitude_w > limit_w:
        msg = f"set-point {power_w:g} W exceeds the device's max_{name}_w = {limit_w:g} W"
        raise RefusedWriteError(msg)
    require(spec, Sequence.CHARGE if charging else Sequence.DISCHARGE, limits.states)
    operands = _operands(spec, magnitude_w, deadman_min)
    return plan_steps(spec.charge if charging else spec.discharge, operands)


def plan_zero(
    spec: WriteSpec, deadman_min: int, states: Mapping[str, LiveState] | None
) -> WritePlan:
    """Return how to force the battery to rest for `deadman_min` minutes: a discharge of nothing.

    Raises:
        RefusedWriteError: the device is not in the state that the profile requires.
    """
    require(spec, Sequence.DISCHARGE, states)
    return plan_steps(spec.discharge, _operands(spec, 0, deadman_min))


def plan_stop(spec: WriteSpec) -> WritePlan:
    """Return how to end forced power: the safe state."""
    return plan_steps(spec.stop, {})


def require(spec: WriteSpec, sequence: Sequence, states: Mapping[str, LiveState] | None) -> None:
    """Refuse `sequence` unless the device is in the state that the profile requires.

    Raises:
        RefusedWriteError: it is not, or it is not known; the message names point, register and reason.
    """
    for requirement in spec.requires if states is not None else ():
        if sequence in requirement.before:
            fault = _fault(requirement, (states or {}).get(requirement.point))
            if fault:
                msg = f"{sequence.value} refused: {fault}; {requirement.reason}"
                raise RefusedWriteError(msg)


def plan_steps(steps: tuple[Step, ...], operands: Mapping[Operand, int]) -> WritePlan:
    """Return the registers of `steps` with `operands` in their places.

    Raises:
        RefusedWriteError: a value does not fit its register.
    """
    written = [(step, _registers(step, operands)) for step in steps]
    checks = [registers for step, registers in written if step.verify]
    return WritePlan(tuple(registers for _, registers in written), tuple(checks))


def words_of(step: Step, value: int) -> tuple[int, ...]:
    """Return `value` as the registers of `step`.

    Raises:
        RefusedWriteError: it does not fit.
    """
    bits = 16 * step.type.registers
    low, high = (-(1 << bits - 1), 1 << bits - 1) if step.type.signed else (0, 1 << bits)
    if not low <= value < high:
        msg = f"{step.name}: {value} does not fit into {step.type.value}"
        raise RefusedWriteError(msg)
    if step.type.registers == 1:
        return (value & _WORD,)
    words = (value >> 16 & _WORD, value & _WORD)
    return words[::-1] if step.word_order is WordOrder.LITTLE else words


def registers_of(step: Step, words: tuple[int, ...]) -> RegisterWords:
    """Return `words` as what `step` writes."""
    return RegisterWords(
        name=step.name,
        address=step.address,
        words=words,
        settle_s=step.settle_s,
        tolerance=step.tolerance,
        little=step.word_order is WordOrder.LITTLE,
    )


def _operands(spec: WriteSpec, magnitude_w: int, deadman_min: int) -> dict[Operand, int]:
    return {
        Operand.POWER_W: magnitude_w,
        Operand.DEADMAN_MIN: deadman_min,
        Operand.DEADMAN_S: deadman_min * 60,
        Operand.RAMP_S: spec.ramp_s,
    }


def _registers(step: Step, operands: Mapping[Operand, int]) -> RegisterWords:
    value = step.value
    if step.operand is not None:
        value = math.trunc(operands[step.operand] * step.gain)
    return registers_of(step, words_of(step, value or 0))


def _fault(requirement: Precondition, state: LiveState | None) -> str:
    if state is None:
        return f"{requirement.point} is not known now"
    where = f"{requirement.point} (register {state.address})"
    if state.absent:
        return ""
    if state.value is None:
        return f"{where} is not known now: {state.reason}"
    if requirement.holds(state.value):
        return ""
    wanted = requirement.allowed or requirement.forbidden
    listed = " or ".join(f"{value:g}" for value in wanted)
    word = "" if requirement.allowed else "anything but "
    return f"{where} is {state.value:g}, expected {word}{listed}"
