"""How requests and answers lie on a stream: Modbus TCP, or RTU frames sent over TCP as simple serial gateways do."""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from typing import NamedTuple, Protocol

_MBAP = struct.Struct(">HHHB")
_LENGTH_ENDS = 6
"""The length in the header counts from here."""
_MAX_PDU = 253
"""Modbus Application Protocol 1.1b3, section 4.1."""
_READ, _WRITE_ONE, _WRITE_MANY = 3, 6, 16
_EXCEPTION = 0x80
_RTU_SIZED = 3
"""So many bytes of an RTU frame tell its length."""


class Framing(enum.Enum):
    """The framings that a device may speak."""

    TCP = "tcp"
    RTU = "rtu"


class Arrived(NamedTuple):
    """A frame that arrived."""

    transaction: int | None
    """None where the framing has none."""
    unit: int
    pdu: bytes


class NoFrameError(Exception):
    """What arrived cannot be the beginning of a frame: nothing after it can be trusted."""


class Framer(Protocol):
    """Packs requests and cuts answers out of a stream."""

    numbered: bool
    """Whether an answer says which request it answers, so that a late one is known."""

    def pack(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        """Return the bytes of a request."""
        ...

    def feed(self, data: bytes) -> list[Arrived]:
        """Take bytes as they come and return the frames that are complete.

        Raises:
            NoFrameError: they are no frames.
        """
        ...


class TcpFramer:
    """Modbus TCP: a header with transaction, length and unit before each message."""

    numbered = True

    def __init__(self) -> None:
        """Begin with an empty stream."""
        self._rest = b""

    def pack(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        """Return the bytes of a request."""
        return _MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu

    def feed(self, data: bytes) -> list[Arrived]:
        """Return the frames that are complete."""
        if self._rest:
            data = self._rest + data
        frames: list[Arrived] = []
        at = 0
        while len(data) - at >= _MBAP.size:
            transaction, protocol, length, unit = _MBAP.unpack_from(data, at)
            if protocol != 0 or not 1 < length <= _MAX_PDU + 1:
                msg = f"not Modbus TCP: a header says protocol {protocol} and length {length}"
                raise NoFrameError(msg)
            end = at + _LENGTH_ENDS + length
            if end > len(data):
                break
            frames.append(Arrived(transaction, unit, data[at + _MBAP.size : end]))
            at = end
        self._rest = data[at:]
        return frames


class RtuFramer:
    """RTU over TCP: unit, message and checksum. Nothing says which request a frame answers, so all must be in order."""

    numbered = False

    def __init__(self) -> None:
        """Begin with an empty stream."""
        self._checksum = _checksum()
        self._rest = b""

    def pack(self, transaction: int, unit: int, pdu: bytes) -> bytes:
        """Return the bytes of a request."""
        del transaction
        frame = bytes((unit,)) + pdu
        return frame + self._checksum(frame).to_bytes(2, "big")

    def feed(self, data: bytes) -> list[Arrived]:
        """Return the frame that is complete, if it is; one answer is all that may come."""
        rest = self._rest + data
        size = _rtu_size(rest)
        if not size or len(rest) < size:
            self._rest = rest
            return []
        self._rest = b""
        if len(rest) > size:
            msg = f"not Modbus RTU: {len(rest) - size} bytes too many"
            raise NoFrameError(msg)
        if self._checksum(rest[:-2]).to_bytes(2, "big") != rest[-2:]:
            msg = "not Modbus RTU: the checksum is wrong"
            raise NoFrameError(msg)
        return [Arrived(None, rest[0], rest[1:-2])]


def framer(framing: Framing) -> Framer:
    """Return a framer for a new connection."""
    match framing:
        case Framing.TCP:
            return TcpFramer()
        case Framing.RTU:
            return RtuFramer()


def _rtu_size(frame: bytes) -> int:
    """Return how long the frame is that begins so, or 0 while that cannot be known."""
    if len(frame) < _RTU_SIZED:
        return 0
    function, count = frame[1], frame[2]
    if function & _EXCEPTION:
        return 5
    if function == _READ:
        return 5 + count
    if function in {_WRITE_ONE, _WRITE_MANY}:
        return 8
    msg = f"not Modbus RTU: function {function} was not asked for"
    raise NoFrameError(msg)


def _checksum() -> Callable[[bytes], int]:
    # Only who needs it pays for importing pymodbus.
    from pymodbus.framer import FramerRTU  # noqa: PLC0415

    return FramerRTU.compute_CRC
