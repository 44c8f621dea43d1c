"""What can be wrong with a simulated device: the kinds of fault, their parameters, and their checks.

`wire_faults` carries out those that touch requests and answers, `value_faults` those that touch what registers say.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import msgspec

MAX_DELAY_S = 3600.0
MAX_CODE = 255


class FaultKind(enum.Enum):
    """What is wrong with the device."""

    HANG = "hang"
    """Connections stay open; requests are never answered nor carried out."""
    HALF_OPEN = "half_open"
    """As `hang`, but only connections that were open when the fault began are dead; new ones work."""
    REFUSE = "refuse"
    """Connections are closed and new ones refused."""
    CLOSE = "close"
    """The connection is closed on every request, without an answer."""
    SLOW = "slow"
    """Every request is carried out and answered `delay_s` late, and those behind it wait."""
    LATENCY = "latency"
    """Another name of `slow`."""
    JITTER = "jitter"
    """As `slow`, by a random time from 0 to `delay_s`."""
    EXCEPTION = "exception"
    """Every request is answered with the exception `code` and not carried out."""
    BUSY = "busy"
    """A busy storm: as `exception`, for each request with `probability`, which is 0.5 if not given."""
    IGNORE_WRITES = "ignore_writes"
    """Writes are answered as if done and not carried out."""
    RESET = "reset"
    """The connection is reset after the first half of an answer."""
    TRUNCATED = "truncated"
    """The first half of an answer comes, and never the rest."""
    SPLIT = "split"
    """An answer comes in two segments, `delay_s` apart; 0.05 s if not given."""
    MERGED = "merged"
    """An answer is held for at most `delay_s`, to go out in one segment with the next one."""
    DUPLICATED = "duplicated"
    """An answer comes twice in one segment."""
    REPLAYED = "replayed"
    """The answer to the request before comes once more ahead of the right one."""
    STALE = "stale"
    """The answer to the request before comes once more instead of the right one."""
    WRONG_TRANSACTION = "wrong_transaction"
    """An answer carries another transaction id than its request."""
    WRONG_UNIT = "wrong_unit"
    """An answer carries another unit id than its request."""
    WRONG_LENGTH = "wrong_length"
    """An answer says that it has two bytes of registers less than were asked for, and has."""
    GARBAGE = "garbage"
    """Random bytes come instead of an answer."""
    STUCK = "stuck"
    """A register repeats the first value that it served under the fault."""
    DRIFTING = "drifting"
    """A register moves away from the truth by `per_s` units a second."""
    SPIKING = "spiking"
    """A register is off by `size` units, up or down, in each response with `probability`; 0.2 if not given."""
    SIGN_FLIPPED = "sign_flipped"
    """A register has the wrong sign."""
    SCALED = "scaled"
    """A register is `factor` times the truth; 10 if not given."""
    SPOOFED = "spoofed"
    """A register says `value`."""
    SENTINEL = "sentinel"
    """A register holds the vendor's mark for "no value"."""
    NAN = "nan"
    """A register holds the bits of a float that is not a number, or as many of them as it is long."""
    CLOCK_SKEW = "clock_skew"
    """The device's clock is `offset_s` ahead of time; negative: behind."""
    FOREIGN_WRITES = "foreign_writes"
    """Another master writes `value` to the control register `register` now and every `every_s`."""


VALUE_KINDS = frozenset(
    {
        FaultKind.STUCK,
        FaultKind.DRIFTING,
        FaultKind.SPIKING,
        FaultKind.SIGN_FLIPPED,
        FaultKind.SCALED,
        FaultKind.SPOOFED,
        FaultKind.SENTINEL,
        FaultKind.NAN,
        FaultKind.CLOCK_SKEW,
    }
)
"""Faults of what registers say; the device itself and its truth are not touched."""


class Scope(enum.Enum):
    """The requests that a fault touches; `refuse` touches all and `ignore_writes` only writes."""

    ALL = "all"
    READS = "reads"
    WRITES = "writes"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault and its parameters; those that its kind does not use mean nothing."""

    kind: FaultKind
    scope: Scope = Scope.ALL
    probability: float = 1.0
    """Of touching each request, answer or response."""
    delay_s: float = 1.0
    code: int = 6
    """Modbus exception code; 6 is "device busy", 128 the vendor's "permission denied"."""
    register: str = ""
    """Name of a register, or of an alias for all registers of one quantity."""
    value: float = 0.0
    per_s: float = 0.0
    size: float = 0.0
    factor: float = 10.0
    offset_s: float = 0.0
    every_s: float = 10.0

    def __post_init__(self) -> None:
        """Refuse parameters that cannot be injected.

        Raises:
            ValueError: naming the parameter, its value and its range.
        """
        if not 0.0 <= self.delay_s <= MAX_DELAY_S:
            raise ValueError(f"delay_s={self.delay_s} must be 0 to 3600 seconds")
        if not 1 <= self.code <= MAX_CODE:
            raise ValueError(f"code={self.code} must be 1 to 255")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"probability={self.probability} must be 0 to 1")
        if not 0.0 < self.every_s <= MAX_DELAY_S:
            raise ValueError(f"every_s={self.every_s} must be above 0, to 3600 seconds")

    def touches(self, *, write: bool) -> bool:
        """Tell whether a read or a write is touched."""
        if self.kind is FaultKind.IGNORE_WRITES:
            return write
        return self.scope is Scope.ALL or (self.scope is Scope.WRITES) == write


_NEEDED: dict[FaultKind, tuple[str, ...]] = {
    FaultKind.STUCK: ("register",),
    FaultKind.DRIFTING: ("register", "per_s"),
    FaultKind.SPIKING: ("register", "size"),
    FaultKind.SIGN_FLIPPED: ("register",),
    FaultKind.SCALED: ("register",),
    FaultKind.SPOOFED: ("register", "value"),
    FaultKind.SENTINEL: ("register",),
    FaultKind.NAN: ("register",),
    FaultKind.CLOCK_SKEW: ("offset_s",),
    FaultKind.FOREIGN_WRITES: ("register", "value"),
}
_ALLOWED: dict[FaultKind, tuple[str, ...]] = {
    FaultKind.SPIKING: ("probability",),
    FaultKind.SCALED: ("factor",),
    FaultKind.CLOCK_SKEW: ("register",),
    FaultKind.FOREIGN_WRITES: ("every_s",),
}
_OF_THE_WIRE = ("scope", "probability", "delay_s", "code")
_DEFAULTS: dict[FaultKind, dict[str, object]] = {
    FaultKind.BUSY: {"probability": 0.5},
    FaultKind.SPLIT: {"delay_s": 0.05},
    FaultKind.SPIKING: {"probability": 0.2},
    FaultKind.CLOCK_SKEW: {"register": "system_time_s"},
}


def fault_of(kind: str, parameters: Mapping[str, object]) -> Fault:
    """Return the fault `kind` with `parameters`, checked against what the kind knows and needs.

    Raises:
        ValueError: naming the kind or the parameter, and what is valid.
    """
    try:
        found = FaultKind(kind)
    except ValueError as error:
        valid = ", ".join(each.value for each in FaultKind)
        raise ValueError(f"unknown fault {kind!r}; valid: {valid}") from error
    needed = _NEEDED.get(found, ())
    optional = _ALLOWED.get(found, ()) if needed else _OF_THE_WIRE
    for name in parameters:
        if name not in {*needed, *optional}:
            valid = ", ".join((*needed, *optional)) or "none"
            raise ValueError(f"fault {kind!r} has no parameter {name!r}; valid: {valid}")
    for name in needed:
        if name not in parameters:
            raise ValueError(f"fault {kind!r} needs the parameter {name!r}; add it")
    try:
        return msgspec.convert({**_DEFAULTS.get(found, {}), **parameters, "kind": kind}, Fault)
    except msgspec.ValidationError as error:
        raise ValueError(f"fault {kind!r}: {error}") from error


def parameters_of(fault: Fault) -> dict[str, object]:
    """Return the parameters of `fault` that its kind knows: `fault_of` makes the same fault of them."""
    needed = _NEEDED.get(fault.kind, ())
    optional = _ALLOWED.get(fault.kind, ()) if needed else _OF_THE_WIRE
    told = msgspec.to_builtins(fault)
    return {name: told[name] for name in (*needed, *optional)}
