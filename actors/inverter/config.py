"""What an InverterActor must be told."""

from __future__ import annotations

import re

import msgspec

from actors.inverter.profile import Profile, Timing


class InverterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device: where it is, what it is and how often it is read. Times that are None are the profile's."""

    device_id: str
    host: str
    profile: Profile
    port: int = 502
    unit_id: int = 1
    poll_s: float = 1.0
    phase_s: float = 0.0
    """Delay of the first connection, so that many devices are not all read at the same moment."""
    connect_delay_s: float | None = None
    gap_s: float | None = None
    timeout_s: float | None = None
    abandon_s: float | None = None
    reconnect_initial_s: float | None = None
    reconnect_max_s: float | None = None
    deadman_min: int | None = None
    """Minutes after which the device ends forced power by itself."""
    stop_timeout_s: float = 1.5
    """Longest wait for the device to be safe at a regular stop; keep it below the child's `shutdown_s`."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming key, value and what is allowed."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.device_id):
            msg = f"device_id = {self.device_id!r} is not allowed: expected 1 to 64 letters, digits, dots, dashes"
            raise ValueError(msg)
        if not self.host.strip():
            msg = "host is empty: expected an address or a name"
            raise ValueError(msg)
        _require("port", self.port, 1, 65535)
        _require("unit_id", self.unit_id, 0, 255)
        _require("poll_s", self.poll_s, 0.02, 3600)
        _require("phase_s", self.phase_s, 0, 3600)
        _require("stop_timeout_s", self.stop_timeout_s, 0.01, 60)
        if self.deadman_min is not None:
            _require("deadman_min", self.deadman_min, 1, self.profile.write.deadman_max_min)
        self.timing()

    def timing(self) -> Timing:
        """Return the profile's times with this device's own in their place.

        Raises:
            ValueError: one of them is not allowed.
        """
        names = (
            "connect_delay_s",
            "gap_s",
            "timeout_s",
            "abandon_s",
            "reconnect_initial_s",
            "reconnect_max_s",
        )
        own = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return Timing(**{**msgspec.structs.asdict(self.profile.timing), **own})

    def deadman(self) -> int:
        """Return the device's countdown in minutes."""
        return self.profile.write.deadman_min if self.deadman_min is None else self.deadman_min


def _require(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        msg = f"{key} = {value} is not allowed: expected {low:g} to {high:g}"
        raise ValueError(msg)
