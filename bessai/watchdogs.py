"""The watchdogs outside: the service manager's, and the machine's own. Both are kicked by progress alone.

Nothing here has a timer. Root hands in each word of WatchdogActor; a kick follows only if that says that every critical
actor progresses. If root, the control cell, WatchdogActor or an actor that it watches stands still, no kick comes.
"""

from __future__ import annotations

import contextlib
import os

import msgspec
import structlog

from supervision.events import Pulse
from supervision.notify import Notifier

MAGIC_CLOSE = b"V"
"""What a Linux watchdog must be told before it is closed, or it resets the machine."""


class WatchdogSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may say of watchdogs; systemd's is found by itself."""

    device: str = ""
    """Path of the machine's watchdog, usually /dev/watchdog; empty: none is used."""


class WatchdogDeviceError(OSError):
    """The machine's watchdog cannot be used; the message names it and the fix."""


class WatchdogDevice:
    """A watchdog of the machine, as in the kernel's watchdog-api: open starts it, any byte kicks it."""

    def __init__(self, path: str) -> None:
        """Start it.

        Raises:
            WatchdogDeviceError: it cannot be opened.
        """
        self._path = path
        self._told = False
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise WatchdogDeviceError(
                f"watchdog.device = {path!r} cannot be opened: {error.strerror};"
                " load the machine's watchdog driver and let the gateway's user write it, or leave the key out"
            ) from error

    def kick(self) -> None:
        """Put it off; a kick that fails is told once, and the machine is reset if none succeeds."""
        try:
            os.write(self._descriptor, b"\0")
            self._told = False
        except OSError as error:
            if not self._told:
                structlog.get_logger().error(
                    "watchdog not kicked", path=self._path, reason=str(error)
                )
            self._told = True

    def close(self) -> None:
        """Stop it: the gateway ends because it was told to."""
        with contextlib.suppress(
            OSError
        ):  # a driver that refuses it resets the machine, as it is built to
            os.write(self._descriptor, MAGIC_CLOSE)
        os.close(self._descriptor)


class Watchdogs:
    """Kicks, and tells the service manager how the site stands."""

    def __init__(self, notifier: Notifier, device: WatchdogDevice | None) -> None:
        """Wait for the first pulse."""
        self._notifier = notifier
        self._device = device
        self._ready = False
        self._status = ""

    def take(self, pulse: Pulse) -> None:
        """Kick if `pulse` says that all that matters progresses; tell its status if that is new."""
        if pulse.progressing:
            self._notifier.kick()
            if self._device is not None:
                self._device.kick()
        if pulse.progressing and not self._ready:
            self._ready = True
            self._notifier.ready(pulse.status)
        elif pulse.status != self._status:
            self._notifier.status(pulse.status)
        self._status = pulse.status

    def stopping(self) -> None:
        """Tell that a stop has begun, with a last kick for what it takes."""
        self._notifier.stopping()
        if self._device is not None:
            self._device.kick()

    def close(self) -> None:
        """Stop the machine's watchdog, and tell nothing more."""
        if self._device is not None:
            self._device.close()
        self._notifier.close()
