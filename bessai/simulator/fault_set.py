"""The faults that a device has at the moment, several at once, each under a name."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import NamedTuple

from bessai.simulator.faults import VALUE_KINDS, Fault, FaultKind


class ActiveFault(NamedTuple):
    """A fault that has begun."""

    name: str
    fault: Fault
    began_s: float
    """On the set's clock."""


class FaultSet:
    """What is wrong with one device now. Everything random in it follows from `seed`."""

    def __init__(self, *, seed: int | str = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without a fault; `clock` gives seconds."""
        self.random = random.Random(str(seed))
        self.clock = clock
        self.wire: tuple[ActiveFault, ...] = ()
        """Faults of requests and answers; empty in the common case, which costs a comparison."""
        self.values: tuple[ActiveFault, ...] = ()
        """Faults of what registers say."""
        self._all: dict[str, ActiveFault] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, name: str, fault: Fault) -> None:
        """Let `fault` begin under `name`, in place of one of that name."""
        self._all[name] = ActiveFault(name, fault, self.clock())
        self._sort()

    def end(self, name: str) -> Fault:
        """End the fault `name` and return it.

        Raises:
            KeyError: with the names of the present faults.
        """
        if name not in self._all:
            raise KeyError(f"no fault {name!r}; present: {', '.join(self._all) or 'none'}")
        ended = self._all.pop(name).fault
        self._sort()
        return ended

    def clear(self) -> None:
        """End all faults."""
        self._all.clear()
        self._sort()

    def named(self) -> dict[str, Fault]:
        """Return the present faults by name."""
        return {name: each.fault for name, each in self._all.items()}

    def has(self, kind: FaultKind) -> bool:
        """Tell whether a fault of this kind is present."""
        return any(each.fault.kind is kind for each in self._all.values())

    def strikes(self, fault: Fault) -> bool:
        """Draw whether `fault` touches this time."""
        return fault.probability >= 1.0 or self.random.random() < fault.probability

    def _sort(self) -> None:
        present = tuple(self._all.values())
        self.values = tuple(each for each in present if each.fault.kind in VALUE_KINDS)
        self.wire = tuple(
            each
            for each in present
            if each.fault.kind not in VALUE_KINDS
            and each.fault.kind is not FaultKind.FOREIGN_WRITES
        )
