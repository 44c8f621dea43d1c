"""What can go wrong between this gateway and a device.

::

    InverterError
    ├── ProfileError              a profile file that cannot be used
    ├── RefusedWriteError         a write that is not even sent: outside the device's live limits
    └── LinkError                 anything that happened on the connection
        ├── ConnectError          no connection: refused, unreachable, unknown name, timeout
        ├── ConnectionLostError   the connection ended under a request
        ├── RequestTimeoutError   no answer in time (the socket is closed)
        ├── StaleFrameError       an answer, but not to this request (the socket is closed)
        ├── WrongDeviceError      another device than the profile or the first contact says
        ├── LinkClosedError       this incarnation gave the link up: it never writes again
        └── DeviceError           the device answered with an exception code
            ├── BusyError             5, 6: try again later
            ├── PermissionDeniedError 0x80: a login is needed
            ├── IllegalAddressError   1, 2: this device does not have it
            ├── IllegalValueError     3: value out of range
            └── DeviceFailureError    4 and every other code
"""

from __future__ import annotations

from typing import ClassVar, Final


class InverterError(Exception):
    """Base of everything that actors.inverter raises."""


class ProfileError(InverterError):
    """A profile that cannot be used; the message names file, place and fix."""


class RefusedWriteError(InverterError):
    """A command that must not be sent; nothing was written."""


class LinkError(InverterError):
    """Something happened on the connection; the message is a reason a person can read."""

    kind: ClassVar[str] = "link"
    """What metrics count it as."""


class ConnectError(LinkError):
    """No connection could be made."""

    kind = "connect"


class ConnectionLostError(LinkError):
    """The connection ended while it was needed."""

    kind = "lost"


class RequestTimeoutError(LinkError):
    """The device did not answer in time: what was asked is neither done nor not done."""

    kind = "timeout"


class StaleFrameError(LinkError):
    """What arrived does not answer what was asked."""

    kind = "stale_frame"


class WrongDeviceError(LinkError):
    """Another device than expected answers: nothing may be written to it."""

    kind = "wrong_device"


class LinkClosedError(LinkError):
    """The link was closed for good."""

    kind = "closed"


class DeviceError(LinkError):
    """The device refused with a Modbus exception; the connection is fine."""

    def __init__(self, code: int, what: str) -> None:
        """Describe exception `code` in answer to `what`."""
        super().__init__(f"{what}: {_MEANINGS.get(code, 'exception')} (exception code {code:#04x})")
        self.code = code


class BusyError(DeviceError):
    """The device asks for patience."""

    kind = "busy"


class PermissionDeniedError(DeviceError):
    """The device wants a login first (vendor code 0x80)."""

    kind = "permission"


class IllegalAddressError(DeviceError):
    """The device has no such function or register."""

    kind = "illegal_address"


class IllegalValueError(DeviceError):
    """The device finds the value out of range."""

    kind = "illegal_value"


class DeviceFailureError(DeviceError):
    """The device failed to do it; also seen in standby and for missing permission."""

    kind = "device_failure"


_MEANINGS = {
    1: "function not supported",
    2: "no such register",
    3: "value out of range",
    4: "device failure",
    5: "device busy (acknowledged, not done)",
    6: "device busy",
    0x80: "permission denied, a login is needed",
}

_CLASSES: dict[int, type[DeviceError]] = {
    1: IllegalAddressError,
    2: IllegalAddressError,
    3: IllegalValueError,
    5: BusyError,
    6: BusyError,
    0x80: PermissionDeniedError,
}


def device_error(code: int, what: str) -> DeviceError:
    """Return the error for Modbus exception `code` in answer to `what`."""
    return _CLASSES.get(code, DeviceFailureError)(code, what)


KINDS: Final[tuple[str, ...]] = (
    "connect",
    "lost",
    "timeout",
    "stale_frame",
    "wrong_device",
    "closed",
    "busy",
    "permission",
    "illegal_address",
    "illegal_value",
    "device_failure",
    "link",
)
"""Every kind of `LinkError`."""


def told(error: LinkError, login: str) -> str:
    """Return the reason a person is told: where a login is needed, with `login`, which says whose."""
    return f"{error}: {login}" if login and isinstance(error, PermissionDeniedError) else str(error)
