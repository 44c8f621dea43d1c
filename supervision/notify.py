"""Tells a service manager how the service stands, by the protocol of sd_notify(3): datagrams to the socket it names.

Written here because the libraries for it are either not kept (sdnotify: 2017, sd-notify: 2020) or bind libsystemd.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Self

SOCKET_VARIABLE = "NOTIFY_SOCKET"
TIMEOUT_VARIABLE = "WATCHDOG_USEC"
PROCESS_VARIABLE = "WATCHDOG_PID"


class Notifier:
    """Sends to the service manager; without one every call does nothing. Never blocks and never raises."""

    def __init__(self, address: str = "", *, watchdog: bool = False) -> None:
        """Send to `address` (a path, or @ and an abstract name), and kicks only if it wants a `watchdog` kept."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = watchdog
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self:
        """Return what the service manager asks for; its variables are taken out, so that no child speaks for us."""
        wanted = _watches_us(environment)
        address = environment.pop(SOCKET_VARIABLE, "")
        for variable in (TIMEOUT_VARIABLE, PROCESS_VARIABLE):
            environment.pop(variable, None)
        return cls(address, watchdog=wanted)

    def ready(self, status: str) -> None:
        """Say that the start is over."""
        self._send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, status: str) -> None:
        """Say in a few words how it stands."""
        self._send(f"STATUS={_line(status)}")

    def kick(self) -> None:
        """Put off the service manager's watchdog."""
        if self._watchdog:
            self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the stop has begun."""
        self._send("STOPPING=1\nSTATUS=stopping: leaving every device as configured")

    def close(self) -> None:
        """Send nothing more."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _send(self, text: str) -> None:
        if self._sock is not None:
            with contextlib.suppress(
                OSError
            ):  # a manager that does not listen will draw its own conclusions
                self._sock.sendto(text.encode(), socket.MSG_DONTWAIT, self._address)


def _watches_us(environment: Mapping[str, str]) -> bool:
    return environment.get(TIMEOUT_VARIABLE, "0").isdecimal() and (
        environment.get(TIMEOUT_VARIABLE, "0") != "0"
        and environment.get(PROCESS_VARIABLE, str(os.getpid())) == str(os.getpid())
    )


def _line(text: str) -> str:
    return " ".join(text.split())
