"""Somebody between gateway and device: passes everything on, and at will repeats the last answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Generator

from tests.actors.inverter.scripted_peer import exactly


class Middleman:
    """Listens in place of the device at `host` and `port`."""

    def __init__(self, host: str, port: int) -> None:
        self._device = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self.port = int(self._listener.getsockname()[1])
        self.replays = False
        self.replayed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                device = socket.create_connection(self._device)
                self._open += [client, device]
                threading.Thread(target=self._pass, args=(client, device), daemon=True).start()

    def _pass(self, client: socket.socket, device: socket.socket) -> None:
        """Pass one request after the other on, each with its answer."""
        last = b""
        with contextlib.suppress(OSError), client, device:
            while request := _frame(client):
                device.sendall(request)
                answer = _frame(device)
                if self.replays and last:
                    self.replayed += 1
                    client.sendall(last)
                else:
                    client.sendall(answer)
                last = answer


def _frame(sender: socket.socket) -> bytes:
    head = exactly(sender, 6)
    return head + exactly(sender, int.from_bytes(head[4:6], "big")) if head else b""


@contextlib.contextmanager
def between(host: str, port: int) -> Generator[Middleman]:
    made = Middleman(host, port)
    try:
        yield made
    finally:
        made.close()
