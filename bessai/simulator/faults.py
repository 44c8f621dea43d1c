"""Faults that the control channel can inject into a device's server."""

from __future__ import annotations

import enum

import msgspec

MAX_DELAY_S = 3600.0
MAX_CODE = 255


class FaultKind(enum.Enum):
    """What is wrong with the device."""

    HANG = "hang"
    """Connections stay open; requests are never answered nor carried out."""
    REFUSE = "refuse"
    """Connections are closed and new ones refused."""
    CLOSE = "close"
    """The connection is closed on every request, without an answer."""
    SLOW = "slow"
    """Every answer comes `delay_s` late."""
    EXCEPTION = "exception"
    """Every request is answered with the exception `code` and not carried out."""
    IGNORE_WRITES = "ignore_writes"
    """Writes are answered as if done and not carried out."""


class Scope(enum.Enum):
    """The requests that a fault touches; `refuse` touches all and `ignore_writes` only writes."""

    ALL = "all"
    READS = "reads"
    WRITES = "writes"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault and its parameters."""

    kind: FaultKind
    scope: Scope = Scope.ALL
    delay_s: float = 1.0
    code: int = 6
    """Modbus exception code; 6 is "device busy", 128 the vendor's "permission denied"."""

    def __post_init__(self) -> None:
        """Refuse parameters that cannot be injected.

        Raises:
            ValueError: if the delay is negative or the code is not one byte above 0.
        """
        if not 0.0 <= self.delay_s <= MAX_DELAY_S:
            msg = f"delay_s={self.delay_s} must be 0 to 3600 seconds"
            raise ValueError(msg)
        if not 1 <= self.code <= MAX_CODE:
            msg = f"code={self.code} must be 1 to 255"
            raise ValueError(msg)

    def touches(self, *, write: bool) -> bool:
        """Tell whether a read or a write is touched."""
        if self.kind is FaultKind.IGNORE_WRITES:
            return write
        return self.scope is Scope.ALL or (self.scope is Scope.WRITES) == write
