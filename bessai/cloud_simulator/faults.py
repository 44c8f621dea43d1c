"""Faults on order: what the next calls of a method suffer."""

from __future__ import annotations

import enum
import threading

import msgspec


class Action(enum.Enum):
    """What happens to a call."""

    STATUS = "status"
    """It is answered with the status `code`, and nothing else is done."""
    DELAY = "delay"
    """It is served after `seconds`."""
    HANG = "hang"
    """It is not served and not answered for `seconds`."""
    LOSE_REPLY = "lose_reply"
    """It is served, and the caller hears the status `code` in place of the answer."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the next `count` calls of `method` suffer."""

    method: str
    """Its short name, such as `Publish`."""
    action: Action
    code: str = "UNAVAILABLE"
    seconds: float = 30.0
    count: int = 1
    """How many calls; below 0 all of them until the plan is cleared."""


class FaultPlan:
    """The faults that are still to come; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, int]] = []

    def add(self, fault: Fault) -> None:
        """Let calls suffer `fault`, after those ordered before."""
        with self._lock:
            self._left.append((fault, fault.count))

    def clear(self) -> None:
        """Let no call suffer anything."""
        with self._lock:
            self._left.clear()

    def take(self, method: str) -> Fault | None:
        """Return what this call of `method` suffers, and count it."""
        with self._lock:
            for index, (fault, left) in enumerate(self._left):
                if fault.method != method or left == 0:
                    continue
                self._left[index] = (fault, left - 1)
                return fault
        return None
