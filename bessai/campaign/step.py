"""The steps of a campaign: plain data, as planned, saved, carried out and replayed."""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec

from bessai.simulator.faults import Fault


class Kind(enum.IntEnum):
    """Values of the forced command (47100) that another master writes."""

    CHARGE = 1
    DISCHARGE = 2


class Suffer(msgspec.Struct, frozen=True, kw_only=True, tag="fault"):
    """The device has `fault` for `for_s` seconds."""

    fault: Fault
    for_s: float


class Physics(msgspec.Struct, frozen=True, kw_only=True, tag="physics"):
    """The device's battery is in this state at once, in the simulator's names and units."""

    values: dict[str, float]


class Force(msgspec.Struct, frozen=True, kw_only=True, tag="force"):
    """Another master forces the battery through the device's own registers."""

    kind: Kind
    power_w: int
    minutes: int
    """Of the device's countdown."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="ask"):
    """An operator asks for battery power, through the command socket."""

    watts: int
    """Mostly possible, at times far beyond every limit."""
    ttl_s: float


class Order(msgspec.Struct, frozen=True, kw_only=True, tag="order"):
    """An actor of the gateway suffers what `bessai.chaos` knows as `order`."""

    actor: str
    order: str
    for_s: float = 0.0
    """How long it lasts, of `hang` and `spin`."""


class Signal(msgspec.Struct, frozen=True, kw_only=True, tag="signal"):
    """A process of the gateway is killed, or stopped for `for_s` seconds."""

    cell: str
    """A cell, or `root`."""
    stop_s: float = 0.0
    """0: SIGKILL."""


What: TypeAlias = Suffer | Physics | Force | Ask | Order | Signal


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: at `at_s` seconds after the campaign's start `what` happens to `device`."""

    number: int
    at_s: float
    device: str
    """Empty where the gateway suffers as a whole."""
    what: What


def until_s(step: Step) -> float:
    """Return when the step is over, in seconds after the campaign's start."""
    match step.what:
        case Suffer(for_s=for_s) | Order(for_s=for_s):
            return step.at_s + for_s
        case Signal(stop_s=stop_s):
            return step.at_s + stop_s
        case Physics() | Force() | Ask():
            return step.at_s


def shifted(steps: tuple[Step, ...], *, by_s: float, first: int) -> tuple[Step, ...]:
    """Return `steps` later by `by_s` seconds and numbered from `first` on."""
    return tuple(
        msgspec.structs.replace(step, number=first + place, at_s=round(step.at_s + by_s, 3))
        for place, step in enumerate(steps)
    )
