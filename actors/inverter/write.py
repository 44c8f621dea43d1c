"""Plans what to write for a power, from the profile: pure, and never clamping.

SafetyActor has clamped already; what still exceeds the device's own limits of this moment is refused here, because the
device would refuse it and keep the old value.
"""

from __future__ import annotations

import math

import msgspec

from actors.inverter.errors import RefusedWriteError
from actors.inverter.jobs import RegisterWords
from actors.inverter.profile import Operand, PointType, Step, WriteSpec

_WORD = 0xFFFF


class LiveLimits(msgspec.Struct, frozen=True):
    """The device's own limits as last read, in watts; None where unknown."""

    max_charge_w: float | None = None
    max_discharge_w: float | None = None


class WritePlan(msgspec.Struct, frozen=True):
    """Registers to write, in order, and what must then be read back."""

    steps: tuple[RegisterWords, ...]
    checks: tuple[RegisterWords, ...]


def plan_power(spec: WriteSpec, power_w: float, limits: LiveLimits, deadman_min: int) -> WritePlan:
    """Return how to force `power_w` (+ charge, - discharge) for `deadman_min` minutes; 0 ends forced power.

    Fractions of a watt are cut off towards zero: never more than was approved.

    Raises:
        RefusedWriteError: the power is not finite, or above the device's own limit, or that limit is not known.
    """
    if not math.isfinite(power_w):
        msg = f"set-point {power_w} W is not a number"
        raise RefusedWriteError(msg)
    magnitude_w = math.trunc(abs(power_w))
    if magnitude_w == 0:
        return plan_stop(spec)
    name, limit_w = (
        ("charge", limits.max_charge_w) if power_w > 0 else ("discharge", limits.max_discharge_w)
    )
    if limit_w is None:
        msg = f"set-point {power_w:g} W: the device's max_{name}_w is not known now"
        raise RefusedWriteError(msg)
    if magnitude_w > limit_w:
        msg = f"set-point {power_w:g} W exceeds the device's max_{name}_w = {limit_w:g} W"
        raise RefusedWriteError(msg)
    steps = spec.charge if power_w > 0 else spec.discharge
    return _plan(steps, {Operand.POWER_W: magnitude_w, Operand.DEADMAN_MIN: deadman_min})


def plan_stop(spec: WriteSpec) -> WritePlan:
    """Return how to end forced power: the safe state."""
    return _plan(spec.stop, {})


def _plan(steps: tuple[Step, ...], operands: dict[Operand, int]) -> WritePlan:
    written = [(step, _registers(step, operands)) for step in steps]
    checks = [registers for step, registers in written if step.verify]
    return WritePlan(tuple(registers for _, registers in written), tuple(checks))


def _registers(step: Step, operands: dict[Operand, int]) -> RegisterWords:
    value = step.value if step.operand is None else math.trunc(operands[step.operand] * step.gain)
    if value is None or not 0 <= value < 1 << (16 * step.type.registers):
        msg = f"{step.name}: {value} does not fit into {step.type.value}"
        raise RefusedWriteError(msg)
    words = (value >> 16, value & _WORD) if step.type is PointType.U32 else (value,)
    return RegisterWords(step.name, step.address, words)
