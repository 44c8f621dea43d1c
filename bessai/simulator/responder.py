"""Carries out the requests of one connection on its device, and records what was written and what was shown.

It takes and returns whole Modbus TCP frames and has no socket: `server` gives it one, and `behaviour` decides which
requests reach it and what becomes of its answers.
"""

from __future__ import annotations

import functools
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from bessai.simulator.behaviour import Behaviour
from bessai.simulator.device import ILLEGAL_VALUE, RefusedError
from bessai.simulator.huawei_quirks import HangUpError
from bessai.simulator.identification import FUNCTION as IDENTIFY
from bessai.simulator.identification import identify
from bessai.simulator.kinds import HUAWEI_VENDOR, AnyDevice, nameplate
from bessai.simulator.login import FUNCTION as LOGIN
from bessai.simulator.login import HEARTBEAT_REGISTER, PERMISSION_DENIED, Login
from bessai.simulator.record import WriteRecord
from bessai.simulator.wire_faults import Ruling, Treatment

ILLEGAL_FUNCTION = 1
NO_SUCH_UNIT = 11
"""Exception for another unit id: the gateway target did not respond."""
READ, WRITE_ONE, WRITE_MANY = 3, 6, 16
MAX_READ, MAX_WRITE = 125, 123
"""Registers of one request, by the Modbus specification."""
_UNIT, _PDU = 6, 7
_WRITES = frozenset({WRITE_ONE, WRITE_MANY})
_ERROR = 0x80
_SHORT = struct.Struct(">BHH")
"""Function, address, and a count or a value: all of a read, and what the answer to a write repeats."""
_WORDS_AT = 13
"""Where the words of a write of many begin."""


class Write(NamedTuple):
    """What a write request says."""

    address: int
    words: list[int]


class Responder:
    """The requests of one connection."""

    def __init__(
        self,
        device: AnyDevice,
        unit: int,
        behaviour: Behaviour,
        *,
        hang_up: Callable[[], None],
        login: Login | None = None,
        client: str = "",
    ) -> None:
        """Serve `device` as `unit` to `client`; without a `login` the device knows no such function.

        `hang_up` closes the connection, which some requests make a device do.
        """
        self._device = device
        self._unit = unit
        self._behaviour = behaviour
        self._hang_up = hang_up
        self._login = login
        self._client = client

    def respond(self, frame: bytes, came_ns: int, ruling: Ruling) -> bytes:
        """Treat a request as `ruling` says and return the answer; no bytes are silence."""
        pdu = self._treat(frame, ruling)
        if frame[_PDU] in _WRITES:
            self._record(frame, came_ns, pdu)
        if not pdu:
            return b""
        return frame[:4] + (len(pdu) + 1).to_bytes(2, "big") + frame[_UNIT:_PDU] + pdu

    def told(self, frame: bytes, answer: bytes) -> None:
        """Note which registers the client has been shown by `answer`, which goes out whole now."""
        exposures = self._device.record.exposures
        if not exposures.watching or answer[_PDU] != READ:
            return
        now_ns = time.monotonic_ns()
        _, address, count = _SHORT.unpack_from(frame, _PDU)
        if not self._behaviour.faults.values:
            exposures.carried(address, count, now_ns)
            return
        shown = _words(count).unpack_from(answer, _PDU + 2)
        pairs = zip(shown, self._device.read(address, count), strict=True)
        for each, (word, true) in enumerate(pairs):
            if word == true:
                exposures.carried(address + each, 1, now_ns)

    def _treat(self, frame: bytes, ruling: Ruling) -> bytes:
        match ruling.treatment:
            case Treatment.CARRY_OUT:
                return self._carry_out(frame)
            case Treatment.PRETEND:
                return frame[_PDU : _PDU + _SHORT.size]
            case Treatment.EXCEPTION:
                return _refusal(frame, ruling.code)
            case Treatment.SILENCE | Treatment.DROP:
                return b""

    def _carry_out(self, frame: bytes) -> bytes:
        if frame[_UNIT] != self._unit:
            return _refusal(frame, NO_SUCH_UNIT)
        try:
            match frame[_PDU]:
                case 3:
                    return self._read(frame)
                case 6 | 16:
                    return self._write(frame)
                case _:
                    return self._other(frame)
        except RefusedError as refused:
            return _refusal(frame, refused.code)
        except HangUpError:
            self._hang_up()
            return b""

    def _read(self, frame: bytes) -> bytes:
        if len(frame) != _PDU + _SHORT.size:
            raise RefusedError(ILLEGAL_VALUE)
        _, address, count = _SHORT.unpack_from(frame, _PDU)
        if not 1 <= count <= MAX_READ:
            raise RefusedError(ILLEGAL_VALUE)
        words = self._behaviour.values.bent(address, self._device.read(address, count))
        return bytes((READ, 2 * count)) + _words(count).pack(*words)

    def _write(self, frame: bytes) -> bytes:
        write = _decoded(frame)
        if write is None:
            raise RefusedError(ILLEGAL_VALUE)
        now_s = self._behaviour.faults.clock()
        if self._login is not None and write.address == HEARTBEAT_REGISTER:
            if not self._login.heartbeat(now_s):
                raise RefusedError(PERMISSION_DENIED)
        elif self._behaviour.manners.login and not (self._login and self._login.permits(now_s)):
            raise RefusedError(PERMISSION_DENIED)
        else:
            self._device.write(write.address, write.words)
        return frame[_PDU : _PDU + _SHORT.size]

    def _other(self, frame: bytes) -> bytes:
        """Answer what only devices of some vendors know: the login, and how they name themselves."""
        function, pdu = frame[_PDU], frame[_PDU:]
        plate = nameplate(self._device, self._unit)
        if function == LOGIN and self._login is not None:
            return self._login.answer(pdu, self._behaviour.faults.clock())
        if function == IDENTIFY and plate is not None:
            return identify(pdu, HUAWEI_VENDOR, [plate])
        raise RefusedError(ILLEGAL_FUNCTION)

    def _record(self, frame: bytes, came_ns: int, answer: bytes) -> None:
        result = "ok"
        if not answer:
            result = "unanswered"
        elif answer[0] & _ERROR:
            result = f"exception {answer[1]}"
        write = _decoded(frame) or Write(_address(frame), [])
        record_write(
            self._device,
            write,
            mono_ns=came_ns,
            unit=frame[_UNIT],
            function=frame[_PDU],
            result=result,
            client=self._client,
        )


def record_write(
    device: AnyDevice,
    write: Write,
    *,
    mono_ns: int,
    unit: int,
    function: int,
    result: str,
    client: str,
) -> None:
    """Add to the record of `device` a write that came at `mono_ns` and what was answered."""
    writes = device.record.writes
    # The record is made when the answer is, which for a slow device is later than the request.
    wall_ns = time.time_ns() - (time.monotonic_ns() - mono_ns)
    writes.append(
        WriteRecord(
            index=writes.next_index,
            device=device.name,
            mono_ns=mono_ns,
            wall_ns=wall_ns,
            unit=unit,
            function=function,
            address=write.address,
            words=write.words,
            values=device.describe_write(write.address, write.words),
            result=result,
            client=client,
        )
    )


def _decoded(frame: bytes) -> Write | None:
    """Return what a write request says, or None if its lengths do not fit."""
    if len(frame) < _PDU + _SHORT.size:
        return None
    function, address, number = _SHORT.unpack_from(frame, _PDU)
    if function == WRITE_ONE:
        return Write(address, [number]) if len(frame) == _PDU + _SHORT.size else None
    fits = 1 <= number <= MAX_WRITE and len(frame) == _WORDS_AT + 2 * number
    if not fits or frame[_WORDS_AT - 1] != 2 * number:
        return None
    return Write(address, list(_words(number).unpack_from(frame, _WORDS_AT)))


def _address(frame: bytes) -> int:
    """Return the address in a write request that is cut short or too long; 0 if it has none."""
    return int.from_bytes(frame[_PDU + 1 : _PDU + 3], "big")


def _refusal(frame: bytes, code: int) -> bytes:
    return bytes((frame[_PDU] | _ERROR, code))


@functools.cache
def _words(count: int) -> struct.Struct:
    return struct.Struct(f">{count}H")
