"""A Modbus TCP server on a real socket that answers what a test tells it to, rightly or wrongly.

It shares no code with what it tests: frames are taken apart and put together by hand.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Generator
from typing import NamedTuple


class Request(NamedTuple):
    transaction: int
    unit: int
    function: int
    address: int
    words: tuple[int, ...]
    """What is written; for a read, the number of registers."""

    @property
    def written(self) -> tuple[int, tuple[int, ...]] | None:
        return None if self.function == 3 else (self.address, self.words)


class Reply(NamedTuple):
    """What to send for a request: bytes, nothing at all, or the end of the connection."""

    data: bytes = b""
    drop: bool = False


SILENT = Reply()
DROP = Reply(drop=True)


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def text(value: str, registers: int) -> list[int]:
    data = value.encode().ljust(2 * registers, b"\0")
    return list(struct.unpack(f">{registers}H", data))


class ScriptedPeer:
    """Holds registers (others read 0), remembers requests, and lets `script` change any answer."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.registers: dict[int, int] = {47000: 2, 47087: 1}
        self.script: Callable[[Request], Reply | None] = lambda _request: None
        self.requests: list[Request] = []
        self.connections = 0
        self.ended = 0
        """Connections that the other side has ended."""
        self.dribble_s = 0.0
        """Pause after each byte of an answer; 0 sends them at once."""
        self._tls = tls
        self.name("SUN2000-10KTL-M1", "SN0001")
        self.put(37000, 2, 0, 0, 7000, 500, 0, 4, 0, 5000, 0, 5000)
        self.put(37021, 0, 250)
        self.put(37046, 0, 5000, 0, 4000)
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._clients: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def name(self, model: str, serial: str) -> None:
        self.put(30000, *text(model, 15), *text(serial, 10))

    def put(self, address: int, *words: int) -> None:
        self.registers.update(enumerate(words, address))

    @property
    def writes(self) -> list[tuple[int, tuple[int, ...]]]:
        return [written for request in list(self.requests) if (written := request.written)]

    def wait_for(self, predicate: Callable[[], bool], timeout_s: float = 5.0) -> bool:
        with self._changed:
            return self._changed.wait_for(predicate, timeout_s)

    def hang_up(self) -> None:
        """End every connection; new ones are accepted."""
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self.connections += 1
                self._changed.notify_all()
            self._clients.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        with contextlib.suppress(OSError), self._secured(accepted) as client:
            while request := self._receive(client):
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                reply = self.script(request) or self.answer(request)
                if reply.drop:
                    return
                self.send(reply.data, client)

        with self._changed:
            self.ended += 1
            self._changed.notify_all()

    def send(self, data: bytes, client: socket.socket | None = None) -> None:
        """Send `data` to a client, the newest if it is not said which."""
        client = client or self._clients[-1]
        if not self.dribble_s:
            client.sendall(data)
            return
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in data:
            client.sendall(bytes((byte,)))
            time.sleep(self.dribble_s)

    def _secured(self, client: socket.socket) -> socket.socket:
        return self._tls.wrap_socket(client, server_side=True) if self._tls else client

    def _receive(self, client: socket.socket) -> Request | None:
        return receive(client)

    def answer(self, request: Request) -> Reply:
        """What a well-behaved device answers."""
        address, words = request.address, request.words
        if request.function == 3:
            values = [self.registers.get(each, 0) for each in range(address, address + words[0])]
            pdu = struct.pack(f">BB{words[0]}H", 3, 2 * words[0], *values)
        else:
            self.put(address, *words)
            last = words[0] if request.function == 6 else len(words)
            pdu = struct.pack(">BHH", request.function, address, last)
        return Reply(frame(request.transaction, request.unit, pdu))


def exception(request: Request, code: int) -> Reply:
    """The answer that refuses `request`."""
    return Reply(frame(request.transaction, request.unit, bytes([request.function | 0x80, code])))


def receive(client: socket.socket) -> Request | None:
    head = exactly(client, 7)
    if not head:
        return None
    transaction, _, length, unit = struct.unpack(">HHHB", head)
    pdu = exactly(client, length - 1)
    function, address, value = struct.unpack(">BHH", pdu[:5])
    words = struct.unpack(f">{value}H", pdu[6:]) if function == 16 else (value,)
    return Request(transaction, unit, function, address, words)


def exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = client.recv(count - len(data))
        if not more:
            return b""
        data += more
    return data


@contextlib.contextmanager
def scripted_peer(tls: ssl.SSLContext | None = None) -> Generator[ScriptedPeer]:
    peer = ScriptedPeer(tls=tls)
    try:
        yield peer
    finally:
        peer.close()
