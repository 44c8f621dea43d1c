"""Who watches the gateway from outside in tests: a service manager's socket and a watchdog device, both real."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self


class ServiceManager:
    """Listens as systemd does, and remembers when each word came."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify.sock")
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(self.address)
        self.heard: list[tuple[float, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._sock.close()

    @property
    def environment(self) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": "10000000"}

    def listen(self, until: Callable[[list[str]], bool], timeout_s: float = 20.0) -> bool:
        """Take in what comes until `until` holds for all of it, or the time is up."""
        deadline_s = time.monotonic() + timeout_s
        while not until(self.words):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            self._sock.settimeout(left_s)
            try:
                data = self._sock.recv(4096)
            except TimeoutError:
                continue
            self.heard += [(time.monotonic(), word) for word in data.decode().splitlines()]
        return True

    @property
    def words(self) -> list[str]:
        return [word for _, word in self.heard]

    @property
    def kicks_s(self) -> list[float]:
        """When each kick came."""
        return [at_s for at_s, word in self.heard if word == "WATCHDOG=1"]

    def longest_silence_s(self, since_s: float) -> float:
        """Return the longest time between two kicks from `since_s` on."""
        kicks_s = [since_s, *(at_s for at_s in self.kicks_s if at_s >= since_s)]
        return max((b - a for a, b in itertools.pairwise(kicks_s)), default=0.0)


class WatchdogPipe:
    """A FIFO in the place of /dev/watchdog: what was written to it can be read."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "watchdog"
        os.mkfifo(self.path)
        self._reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        """Return what was written since the last time."""
        try:
            return os.read(self._reader, 65536)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        os.close(self._reader)
