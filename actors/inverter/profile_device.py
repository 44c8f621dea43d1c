"""Who a device must be, and how it wants to be treated."""

from __future__ import annotations

import re

from actors.inverter.profile_points import MAX_READ_REGISTERS, Part, refuse, require_between


class Requirement(Part, frozen=True, kw_only=True):
    """One register that must hold one of some values before anything is written."""

    name: str
    address: int
    allowed: tuple[int, ...]
    reason: str
    """What to tell a person when it does not."""


class Identity(Part, frozen=True, kw_only=True):
    """How to tell that the right device answers: one read holds model and serial number."""

    address: int
    count: int
    model_offset: int
    """In registers from `address`."""
    model_registers: int
    serial_offset: int
    serial_registers: int
    model_pattern: str
    """Regular expression that the whole model name must match."""
    requires: tuple[Requirement, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse an identity that cannot be checked."""
        end = max(
            self.model_offset + self.model_registers, self.serial_offset + self.serial_registers
        )
        if not end <= self.count <= MAX_READ_REGISTERS:
            refuse(
                f"identity: count = {self.count} must be {end} to {MAX_READ_REGISTERS} to hold model and serial"
            )
        try:
            re.compile(self.model_pattern)
        except re.error as error:
            refuse(
                f"identity: model_pattern = {self.model_pattern!r} is not a regular expression: {error}"
            )


class Timing(Part, frozen=True, kw_only=True):
    """The device's manners, in seconds; a device's own configuration may override them."""

    connect_delay_s: float
    """Silence after a connection is made, before the first request."""
    gap_s: float
    """Least time between an answer and the next request."""
    timeout_s: float
    """Longest wait for a connection or an answer."""
    abandon_s: float
    """Longest time that a safety command waits for the answer to an earlier request before the socket is closed."""
    reconnect_initial_s: float = 1.0
    reconnect_max_s: float = 30.0
    busy_retries: int = 2
    """How often a request is sent again that the device answered with "busy"."""
    busy_delay_s: float = 0.2
    """The pause before the first of them; it doubles."""
    readback_s: float = 1.0
    """How long a register may take to show what was written to it."""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse times that cannot work."""
        require_between("timing.connect_delay_s", self.connect_delay_s, 0.0, 60.0)
        require_between("timing.gap_s", self.gap_s, 0.0, 10.0)
        require_between("timing.timeout_s", self.timeout_s, 0.01, 60.0)
        require_between("timing.abandon_s", self.abandon_s, 0.001, 60.0)
        require_between("timing.reconnect_max_s", self.reconnect_max_s, 0.01, 600.0)
        require_between("timing.busy_retries", self.busy_retries, 0, 10)
        require_between("timing.busy_delay_s", self.busy_delay_s, 0.0, 10.0)
        require_between("timing.readback_s", self.readback_s, 0.0, 60.0)
        require_between(
            "timing.reconnect_initial_s", self.reconnect_initial_s, 0.001, self.reconnect_max_s
        )
