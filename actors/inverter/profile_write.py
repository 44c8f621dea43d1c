"""How a device is commanded: sequences of register writes, what must be so before them, and what ends them.

Power is written as a magnitude: the sequence says the direction, and a negative `gain` turns the sign where a register
wants it.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator

from actors.inverter.profile_points import Part, PointType, WordOrder, refuse, require_between

_WRITABLE = frozenset({PointType.U16, PointType.I16, PointType.U32, PointType.I32})
_MAX_SETTLE_S = 60.0


class Operand(enum.Enum):
    """What a step writes when it does not write a constant."""

    POWER_W = "power_w"
    """The magnitude of the set-point, in watts."""
    DEADMAN_MIN = "deadman_min"
    """The device's own countdown, in minutes."""
    DEADMAN_S = "deadman_s"
    """The same in seconds."""
    RAMP_S = "ramp_s"
    """The time in which the device is to reach the power, in seconds."""
    ORIGINAL = "original"
    """What the register held before `hold` changed it; in `release` only."""


class Sequence(enum.Enum):
    """The sequences that a profile may have."""

    CHARGE = "charge"
    DISCHARGE = "discharge"
    STOP = "stop"
    HOLD = "hold"
    RELEASE = "release"


class Step(Part, frozen=True, kw_only=True):
    """One register write of a sequence."""

    name: str
    address: int
    type: PointType
    value: int | None = None
    operand: Operand | None = None
    gain: float = 1.0
    """What is written is the operand times this; negative where the register's sign is opposite."""
    word_order: WordOrder | None = None
    """For two registers; big if not given, and to be given where the profile's is little."""
    settle_s: float = 0.0
    """Silence after it, before the next request."""
    verify: bool = False
    """Whether the outcome depends on reading it back."""
    tolerance: int = 0
    """By how much the raw value read back may differ."""
    persistent: bool = False
    """Whether the register lies in flash: the original is journaled first, and writes are counted."""

    def __post_init__(self) -> None:
        """Refuse a step that does not say what to write."""
        if (self.value is None) == (self.operand is None):
            refuse(f"step {self.name}: give either value or operand")
        if self.type not in _WRITABLE:
            refuse(
                f"step {self.name}: type = {self.type.value} cannot be written; use u16, i16, u32 or i32"
            )
        if not math.isfinite(self.gain) or self.gain == 0:
            refuse(f"step {self.name}: gain = {self.gain} must be a number other than 0")
        if self.tolerance < 0 or (self.tolerance and not self.verify):
            refuse(f"step {self.name}: tolerance must be 0 or more, and needs verify = true")
        require_between(f"step {self.name}: settle_s", self.settle_s, 0.0, _MAX_SETTLE_S)


class Precondition(Part, frozen=True, kw_only=True):
    """What must have been read of a point before a sequence is begun; it is never written to make it so."""

    before: tuple[Sequence, ...]
    point: str
    allowed: tuple[float, ...] = ()
    forbidden: tuple[float, ...] = ()
    reason: str
    """What to tell a person when it is not so."""

    def __post_init__(self) -> None:
        """Refuse what can never hold or always does."""
        if bool(self.allowed) == bool(self.forbidden):
            refuse(f"requires {self.point}: give either allowed or forbidden")
        if not self.before or {Sequence.STOP, Sequence.RELEASE} & set(self.before):
            refuse(
                f"requires {self.point}: before must name charge, discharge or hold; ending them needs nothing"
            )

    def holds(self, value: float) -> bool:
        """Return whether the point's `value` fulfils it."""
        return value in self.allowed if self.allowed else value not in self.forbidden


class Effect(Part, frozen=True, kw_only=True):
    """What the measured battery power must do once a set-point has been read back."""

    settle_s: float
    """Within this long it must have come into the band around the set-point; afterwards it may leave it as long."""
    rel: float = 0.2
    """Half the width of the band, as a share of the set-point."""
    abs_w: float = 200.0
    """The same in watts; the wider of both holds."""

    def __post_init__(self) -> None:
        """Refuse a check that can never fail or never hold."""
        require_between("write.effect: settle_s", self.settle_s, 0.1, 600.0)
        require_between("write.effect: rel", self.rel, 0.01, 0.9)
        require_between("write.effect: abs_w", self.abs_w, 1.0, 1e6)


class WriteSpec(Part, frozen=True, kw_only=True):
    """How to force a charge or a discharge and how to end both, in the order of writing."""

    charge: tuple[Step, ...]
    discharge: tuple[Step, ...]
    stop: tuple[Step, ...]
    """The first step is the one that ends forced power: it goes on the wire first."""
    hold: tuple[Step, ...] = ()
    """Keeps the battery from discharging without curtailing what the sun gives."""
    release: tuple[Step, ...] = ()
    """Ends a hold."""
    requires: tuple[Precondition, ...] = ()
    forced_point: str
    """The point that tells whether the device now follows a forced command."""
    forced_values: tuple[int, ...]
    deadman_min: int
    """Minutes after which the device ends forced power by itself."""
    deadman_max_min: int
    renew_s: float
    """A held set-point is written again after this long, well before the countdown ends."""
    ramp_s: int = 0
    """What a step with operand `ramp_s` writes."""
    persistent_writes_per_day: int = 0
    """How often registers in flash may be written between two midnights (UTC)."""
    effect: Effect | None = None
    """None: whether the battery follows is not looked at."""
    watched: tuple[str, ...] = ()
    """Points whose registers nobody but this gateway is to change: a change is told as a foreign write."""
    impossible: str = ""
    """Why the device takes no commands at all: there are no sequences then, and set-points are refused with it."""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse sequences without a verified end or a renewal that comes too late."""
        if self.impossible:
            if any(steps for _, steps in self.sequences()):
                refuse(
                    "write: impossible says that there is nothing to write; leave it or the sequences out"
                )
            return
        if not 1 <= self.deadman_min <= self.deadman_max_min:
            refuse(f"write: deadman_min = {self.deadman_min} must be 1 to {self.deadman_max_min}")
        if not 0 < self.renew_s <= self.deadman_min * 60 / 2:
            refuse(
                f"write: renew_s = {self.renew_s} must be above 0 and at most half the countdown,"
                f" {self.deadman_min * 30}"
            )
        for sequence, steps in self.sequences():
            if not any(step.verify for step in steps):
                refuse(f"write.{sequence.value}: at least one step needs verify = true")
            _check_operands(sequence, steps)
        self._check_hold()

    def sequences(self) -> Iterator[tuple[Sequence, tuple[Step, ...]]]:
        """Yield what it can do, with the steps."""
        yield Sequence.CHARGE, self.charge
        yield Sequence.DISCHARGE, self.discharge
        yield Sequence.STOP, self.stop
        if self.hold or self.release:
            yield Sequence.HOLD, self.hold
            yield Sequence.RELEASE, self.release

    def _check_hold(self) -> None:
        """What lies in flash is changed by a hold only, and a release must restore every bit of it."""
        kept = {step.address for step in self.hold if step.persistent}
        restored = {step.address for step in self.release if step.operand is Operand.ORIGINAL}
        if kept != restored:
            refuse(
                'write.release: each persistent step of hold needs one with operand = "original", and no other does;'
                f" hold changes {sorted(kept)}, release restores {sorted(restored)}"
            )
        if kept and self.persistent_writes_per_day < 2 * len(kept):
            refuse(
                f"write: persistent_writes_per_day = {self.persistent_writes_per_day} must be at least {2 * len(kept)},"
                " for one hold and its release"
            )


_NEEDED = {Operand.POWER_W}
_DEADMEN = {Operand.DEADMAN_MIN, Operand.DEADMAN_S}


def _check_operands(sequence: Sequence, steps: tuple[Step, ...]) -> None:
    operands = {step.operand for step in steps if step.operand is not None}
    named = f"write.{sequence.value}"
    match sequence:
        case Sequence.CHARGE | Sequence.DISCHARGE:
            missing = _NEEDED - operands
            if not operands & _DEADMEN:
                missing |= {Operand.DEADMAN_MIN}
            if missing:
                names = ", ".join(sorted(operand.value for operand in missing))
                refuse(f"{named}: no step writes {names}")
            useless = operands & {Operand.ORIGINAL}
        case Sequence.STOP | Sequence.HOLD:
            useless = operands
        case Sequence.RELEASE:
            useless = operands - {Operand.ORIGINAL}
    if useless:
        names = ", ".join(sorted(operand.value for operand in useless))
        refuse(f"{named}: there is no {names} to write; use value")
    if sequence not in {Sequence.HOLD, Sequence.RELEASE} and any(s.persistent for s in steps):
        refuse(
            f"{named}: a sequence that is written again and again must not wear flash: persistent is for hold"
        )
