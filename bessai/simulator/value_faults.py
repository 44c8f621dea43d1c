"""Faults of what registers say: words are bent on their way out, while the device's truth stays what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from bessai.simulator.fault_set import ActiveFault, FaultSet
from bessai.simulator.faults import Fault, FaultKind
from bessai.simulator.registers import EncodingError, Value

_NAN_WORDS = (0x7FC0, 0x0000, 0x0000, 0x0000)
"""A quiet not-a-number of IEEE 754, the high word first."""


class ServedPoint(Protocol):
    """What a fault has to know about a register of any map."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def address(self) -> int:
        """Its first address."""
        ...

    @property
    def count(self) -> int:
        """How many words it has."""
        ...

    @property
    def writable(self) -> bool:
        """Whether clients may write it."""
        ...

    def encode(self, value: Value) -> tuple[int, ...]:
        """Return the words of `value`, or raise EncodingError."""
        ...

    def decode(self, words: list[int]) -> Value:
        """Return the value of `words`."""
        ...

    def invalid_words(self) -> tuple[int, ...]:
        """Return the mark for "no value"."""
        ...


ServedPoints: TypeAlias = Callable[[str], Sequence[ServedPoint]]
"""Finds the registers of a name or alias, or raises KeyError."""


class ValueFaults:
    """Bends the answers of one device as its faults want it."""

    def __init__(self, faults: FaultSet, points_named: ServedPoints) -> None:
        """Bend by `faults`; `points_named` finds the registers that they name."""
        self._faults = faults
        self._points_named = points_named
        self._kept: dict[tuple[ActiveFault, str], Value] = {}

    def bent(self, address: int, words: list[int]) -> list[int]:
        """Return `words`, read from `address`, as they are to be served; half a register is left alone."""
        if not self._faults.values:
            return words
        served = list(words)
        for active in self._faults.values:
            for point in self._points_named(active.fault.register):
                offset = point.address - address
                if offset >= 0 and offset + point.count <= len(served):
                    end = offset + point.count
                    served[offset:end] = self._bend(active, point, served[offset:end])
        return served

    def forget(self) -> None:
        """Forget what faults that have ended kept."""
        self._kept = {key: v for key, v in self._kept.items() if key[0] in self._faults.values}

    def _bend(self, active: ActiveFault, point: ServedPoint, words: list[int]) -> Sequence[int]:
        fault = active.fault
        match fault.kind:
            case FaultKind.SENTINEL:
                return point.invalid_words() if self._faults.strikes(fault) else words
            case FaultKind.NAN:
                return _NAN_WORDS[: point.count]
            case FaultKind.STUCK:
                return point.encode(
                    self._kept.setdefault((active, point.name), point.decode(words))
                )
            case _:
                value = point.decode(words)
                if isinstance(value, str) or tuple(words) == point.invalid_words():
                    return words
                for_s = self._faults.clock() - active.began_s
                return _nearest(point, self._number(fault, value, for_s), value)

    def _number(self, fault: Fault, value: float, for_s: float) -> float:
        """Return what the fault makes of the true `value`, `for_s` seconds after it began."""
        match fault.kind:
            case FaultKind.DRIFTING:
                return value + fault.per_s * for_s
            case FaultKind.SPIKING if self._faults.strikes(fault):
                return value + self._faults.random.choice((-fault.size, fault.size))
            case FaultKind.SIGN_FLIPPED:
                return -value
            case FaultKind.SCALED:
                return value * fault.factor
            case FaultKind.SPOOFED:
                return fault.value
            case FaultKind.CLOCK_SKEW:
                return value + fault.offset_s
            case _:
                return value


def _nearest(point: ServedPoint, wanted: float, true: float) -> Sequence[int]:
    """Return the words of `wanted`, or else of the number between it and `true` that just fits the register."""
    try:
        return point.encode(wanted)
    except EncodingError:
        fits, does_not = true, wanted
    for _ in range(64):
        middle = (fits + does_not) / 2
        try:
            point.encode(middle)
        except EncodingError:
            does_not = middle
        else:
            fits = middle
    return point.encode(fits)
