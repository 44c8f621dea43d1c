"""Faults of requests and answers, as pure decisions about frames; whoever owns the socket carries them out.

A frame is a whole Modbus TCP frame: transaction id, protocol, length, unit id, function and data.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from bessai.simulator.fault_set import FaultSet
from bessai.simulator.faults import FaultKind

HEADER_SIZE = 7
_READ_DATA = 9
"""Where the registers of the answer to a read begin."""
_READ = 3


class Treatment(enum.Enum):
    """What becomes of a request."""

    CARRY_OUT = "carry_out"
    PRETEND = "pretend"
    """Answer a write as if it had been carried out."""
    EXCEPTION = "exception"
    SILENCE = "silence"
    DROP = "drop"
    """Close the connection."""


class Ruling(NamedTuple):
    """How to treat a request, and how long to wait before."""

    treatment: Treatment = Treatment.CARRY_OUT
    delay_s: float = 0.0
    code: int = 0
    """Exception code, where the treatment is an exception."""


class Put(NamedTuple):
    """Bytes to hand to the socket at once, `pause_s` after what was handed over before."""

    data: bytes
    pause_s: float = 0.0


class Delivery(NamedTuple):
    """What goes to the socket for one answer."""

    puts: tuple[Put, ...]
    reset: bool = False
    """Abort the connection afterwards."""
    hold_s: float = 0.0
    """If above 0: call `release` after this time, and put what it returns."""


class WireFaults:
    """The faults of one connection: what its device has now, and what went over this connection before."""

    def __init__(self, faults: FaultSet) -> None:
        """Serve a connection that is opened now."""
        self._faults = faults
        self._opened_s = faults.clock()
        self._before = b""
        self._held = b""

    def rule(self, *, write: bool) -> Ruling:
        """Say how to treat the request that has come."""
        delay_s, ruling = 0.0, Ruling()
        for active in self._faults.wire:
            fault = active.fault
            if not fault.touches(write=write) or not self._faults.strikes(fault):
                continue
            delay_s += self._delay_s(fault.kind, fault.delay_s)
            treatment = self._treatment(fault.kind, active.began_s)
            if _GRAVITY[treatment] > _GRAVITY[ruling.treatment]:
                ruling = Ruling(treatment, 0.0, fault.code)
        return ruling._replace(delay_s=delay_s)

    def deliver(self, answer: bytes, *, write: bool) -> Delivery:
        """Return what to put on the socket for the right answer `answer`."""
        before, self._before = self._before, answer
        delivery = Delivery((Put(answer),))
        for active in self._faults.wire:
            fault = active.fault
            if fault.kind not in _OF_ANSWERS or not fault.touches(write=write):
                continue
            if self._faults.strikes(fault):
                delivery = self._spoil(fault.kind, fault.delay_s, delivery, before)
        return delivery

    def remember(self, answer: bytes) -> bytes:
        """Return `answer`, which goes out untouched, and keep it as the one before the next."""
        self._before = answer
        return answer

    def release(self) -> bytes:
        """Return what is still held for the next answer, and hold it no more."""
        held, self._held = self._held, b""
        return held

    def _delay_s(self, kind: FaultKind, delay_s: float) -> float:
        match kind:
            case FaultKind.SLOW | FaultKind.LATENCY:
                return delay_s
            case FaultKind.JITTER:
                return self._faults.random.uniform(0.0, delay_s)
            case _:
                return 0.0

    def _treatment(self, kind: FaultKind, began_s: float) -> Treatment:
        match kind:
            case FaultKind.HANG | FaultKind.REFUSE:
                return Treatment.SILENCE
            case FaultKind.HALF_OPEN if self._opened_s <= began_s:
                return Treatment.SILENCE
            case FaultKind.CLOSE:
                return Treatment.DROP
            case FaultKind.EXCEPTION | FaultKind.BUSY:
                return Treatment.EXCEPTION
            case FaultKind.IGNORE_WRITES:
                return Treatment.PRETEND
            case _:
                return Treatment.CARRY_OUT

    def _spoil(self, kind: FaultKind, delay_s: float, good: Delivery, before: bytes) -> Delivery:
        """Return `good` after a fault of answers; what an earlier fault has put apart is joined again."""
        frame = b"".join(put.data for put in good.puts)
        if not frame:
            return good
        match kind:
            case FaultKind.MERGED:
                return self._merge(frame, delay_s)
            case FaultKind.RESET:
                return Delivery((Put(frame[: len(frame) // 2]),), reset=True)
            case _:
                return good._replace(puts=self._puts(kind, delay_s, frame, before))

    def _puts(
        self, kind: FaultKind, delay_s: float, frame: bytes, before: bytes
    ) -> tuple[Put, ...]:
        half = len(frame) // 2
        match kind:
            case FaultKind.TRUNCATED:
                return (Put(frame[:half]),)
            case FaultKind.SPLIT:
                return (Put(frame[:half]), Put(frame[half:], delay_s))
            case FaultKind.DUPLICATED:
                return (Put(frame + frame),)
            case FaultKind.REPLAYED:
                return (Put(before + frame),)
            case FaultKind.STALE:
                return (Put(before or frame),)
            case _:
                return (Put(self._rewritten(kind, frame)),)

    def _rewritten(self, kind: FaultKind, frame: bytes) -> bytes:
        """Return the frame with other bytes in it."""
        match kind:
            case FaultKind.WRONG_TRANSACTION:
                other = int.from_bytes(frame[:2], "big") + self._faults.random.randint(1, 0xFFFF)
                return (other & 0xFFFF).to_bytes(2, "big") + frame[2:]
            case FaultKind.WRONG_UNIT:
                unit = (frame[6] + self._faults.random.randint(1, 0xFF)) & 0xFF
                return frame[:6] + bytes([unit]) + frame[7:]
            case FaultKind.WRONG_LENGTH:
                return _shortened(frame)
            case FaultKind.GARBAGE:
                return self._faults.random.randbytes(len(frame))
            case _:
                return frame

    def _merge(self, frame: bytes, delay_s: float) -> Delivery:
        if held := self.release():
            return Delivery((Put(held + frame),))
        self._held = frame
        return Delivery((), hold_s=delay_s)


_GRAVITY = {
    Treatment.CARRY_OUT: 0,
    Treatment.PRETEND: 1,
    Treatment.EXCEPTION: 2,
    Treatment.SILENCE: 3,
    Treatment.DROP: 4,
}
"""Of several faults at once, the gravest decides."""

_OF_ANSWERS = frozenset(
    {
        FaultKind.RESET,
        FaultKind.TRUNCATED,
        FaultKind.SPLIT,
        FaultKind.MERGED,
        FaultKind.DUPLICATED,
        FaultKind.REPLAYED,
        FaultKind.STALE,
        FaultKind.WRONG_TRANSACTION,
        FaultKind.WRONG_UNIT,
        FaultKind.WRONG_LENGTH,
        FaultKind.GARBAGE,
    }
)


def _shortened(frame: bytes) -> bytes:
    """Return the answer to a read with one register less, consistent in itself; other frames as they are."""
    if frame[HEADER_SIZE] != _READ or len(frame) < _READ_DATA + 4:
        return frame
    length = int.from_bytes(frame[4:6], "big") - 2
    head = frame[:4] + length.to_bytes(2, "big") + frame[6:8]
    return head + bytes([frame[8] - 2]) + frame[_READ_DATA:-2]
