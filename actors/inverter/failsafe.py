"""What is left behind at a device when nobody commands it any more: the fail-safe mode of its configuration."""

from __future__ import annotations

import enum
from typing import NamedTuple, assert_never

from actors.inverter.errors import RefusedWriteError
from actors.inverter.flash import Flash, Settles
from actors.inverter.profile import WriteSpec
from actors.inverter.write import LiveLimits, WritePlan, plan_stop, plan_zero


class Failsafe(enum.Enum):
    """How a device is left when the gateway stops, or when a set-point ends and no other follows."""

    RELEASE = "release"
    """Forced power is ended: the device goes on as its owner has set it, which is self-consumption mostly."""
    HOLD = "hold"
    """The same, and the battery may not discharge until the next set-point; the sun may charge it."""
    ZERO = "zero"
    """The battery is forced to rest until the device's own countdown ends, or a direction is closed and SafetyActor
    stops it; then it is as with `release`."""


class Left(NamedTuple):
    """How a device is left."""

    plan: WritePlan
    note: str = ""
    """Why it is released instead of what was configured, or empty."""
    settles: Settles | None = None
    """What is known of registers in flash once it was read back."""


def plan_failsafe(
    mode: Failsafe, spec: WriteSpec, flash: Flash, limits: LiveLimits, deadman_min: int
) -> Left:
    """Return how to leave the device in `mode`, or released where that is impossible."""
    stop = plan_stop(spec)
    try:
        match mode:
            case Failsafe.RELEASE:
                plan, settles = flash.release(spec, limits.persistent)
            case Failsafe.HOLD:
                plan, settles = flash.hold(spec, limits.persistent, limits.states)
            case Failsafe.ZERO:
                return Left(plan_zero(spec, deadman_min, limits.states))
            case _:
                assert_never(mode)
    except RefusedWriteError as error:
        return Left(stop, f"{error}; released instead")
    return Left(joined(stop, plan), "", settles)


def joined(first: WritePlan, then: WritePlan) -> WritePlan:
    """Return `first` followed by `then`; everything is read back at the end."""
    return WritePlan((*first.steps, *then.steps), (*first.checks, *then.checks))
