"""A scripted device that speaks RTU frames over TCP, with a checksum of its own making."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Generator

from tests.actors.inverter.scripted_peer import Reply, Request, ScriptedPeer, exactly


def checksum(data: bytes) -> bytes:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return struct.pack("<H", crc)


def serial_frame(unit: int, pdu: bytes) -> bytes:
    data = bytes((unit,)) + pdu
    return data + checksum(data)


class RtuPeer(ScriptedPeer):
    """Answers serial frames; a request with a wrong checksum ends the connection."""

    def answer(self, request: Request) -> Reply:
        return Reply(serial_frame(request.unit, super().answer(request).data[7:]))

    def _receive(self, client: socket.socket) -> Request | None:
        head = exactly(client, 6)
        if not head:
            return None
        unit, function, address, value = struct.unpack(">BBHH", head)
        more = exactly(client, 1) if function == 16 else b""
        more += exactly(client, more[0]) if more else b""
        if exactly(client, 2) != checksum(head + more):
            return None
        words = struct.unpack(f">{value}H", more[1:]) if more else (value,)
        return Request(0, unit, function, address, words)


@contextlib.contextmanager
def rtu_peer() -> Generator[RtuPeer]:
    peer = RtuPeer()
    try:
        yield peer
    finally:
        peer.close()
