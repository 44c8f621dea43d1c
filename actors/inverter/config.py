"""What an InverterActor must be told."""

from __future__ import annotations

import functools
import re
import threading

import msgspec

from actors.inverter.failsafe import Failsafe
from actors.inverter.framing import Framing
from actors.inverter.profile import MAX_READ_REGISTERS, MAX_UNIT, AnyProfile, Profile, Timing
from actors.inverter.tls import TLS_PORT, Tls
from actors.inverter.wire import Address
from actors.unacked import LEAST_WINDOW, WINDOW

MODBUS_PORT = 502


class InverterConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One device: where it is, what it is and how often it is read. Times that are None are the profile's."""

    device_id: str
    host: str
    profile: AnyProfile
    port: int | None = None
    """None: 502, or 802 with TLS."""
    unit_id: int | None = None
    """None: the profile's."""
    max_registers: int | None = None
    """The longest read that this very device answers; longer blocks are then read in parts. None: the profile's."""
    poll_s: float = 1.0
    phase_s: float = 0.0
    """Delay of the first connection, and where in the period polls begin: many devices are not read all at once."""
    slot_ms: int = 20
    """Polls of all devices begin on this common grid: hundreds that are due one by one would each wake every thread."""
    connect_delay_s: float | None = None
    gap_s: float | None = None
    timeout_s: float | None = None
    abandon_s: float | None = None
    reconnect_initial_s: float | None = None
    reconnect_max_s: float | None = None
    busy_retries: int | None = None
    busy_delay_s: float | None = None
    readback_s: float | None = None
    framing: Framing = Framing.TCP
    """`rtu` for simple serial gateways that pass RTU frames through TCP."""
    tls: Tls | None = None
    """Modbus/TCP Security."""
    deadman_min: int | None = None
    """Minutes after which the device ends forced power by itself."""
    failsafe: Failsafe = Failsafe.RELEASE
    """How it is left when the gateway stops or a set-point ends."""
    stop_timeout_s: float = 1.5
    """Longest wait for the device to be safe at a regular stop; keep it below the child's `shutdown_s`."""
    state_dir: str = ""
    """Where originals of registers in flash are recorded before they are changed; without it none is ever changed."""

    traced: bool = False
    """Whether writes are traced."""
    traced_polls: float = 0.0
    """The share of polls that are traced with them."""
    unacked_kb: int = 512
    """Memory for samples that are not yet known to be durable: with 100 points, about one each kilobyte."""
    unacked_window: int = WINDOW
    """How many of them may be on their way to the spool at once."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, naming key, value and what is allowed."""
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", self.device_id):
            msg = f"device_id = {self.device_id!r} is not allowed: expected 1 to 64 letters, digits, dots, dashes"
            raise ValueError(msg)
        if not self.host.strip():
            msg = "host is empty: expected an address or a name"
            raise ValueError(msg)
        for key, low, high in (
            ("port", 1, 65535),
            ("unit_id", 0, MAX_UNIT),
            ("max_registers", 1, MAX_READ_REGISTERS),
        ):
            value = getattr(self, key)
            if value is not None:
                _require(key, value, low, high)
        _require("poll_s", self.poll_s, 0.02, 3600)
        _require("phase_s", self.phase_s, 0, 3600)
        _require("slot_ms", self.slot_ms, 1, 100)
        _require("stop_timeout_s", self.stop_timeout_s, 0.01, 60)
        _require("unacked_kb", self.unacked_kb, 16, 65536)
        _require("unacked_window", self.unacked_window, LEAST_WINDOW, WINDOW)
        if self.deadman_min is not None:
            _require("deadman_min", self.deadman_min, 1, self.profile.write.deadman_max_min)
        self._check_failsafe()
        self.timing()

    def _check_failsafe(self) -> None:
        holds = isinstance(self.profile, Profile) and bool(self.profile.write.hold)
        if self.failsafe is Failsafe.HOLD and not holds:
            msg = f"failsafe = 'hold' is not allowed: profile {self.profile.name} has no hold; use release or zero"
            raise ValueError(msg)

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
            "busy_retries",
            "busy_delay_s",
            "readback_s",
        )
        own = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return Timing(**{**msgspec.structs.asdict(self.profile.timing), **own})

    def address(self) -> Address:
        """Return where the device answers; devices with the same address share a connection."""
        usual = MODBUS_PORT if self.tls is None else TLS_PORT
        return Address(
            host=self.host.strip().lower(),
            port=usual if self.port is None else self.port,
            framing=self.framing,
            tls=self.tls,
        )

    def unit(self) -> int:
        """Return the Modbus unit that the device answers as."""
        return self.profile.unit_id if self.unit_id is None else self.unit_id

    def longest_read(self) -> int:
        """Return how many registers the device is asked for at once, at most."""
        own = self.max_registers or MAX_READ_REGISTERS
        return min(own, self.profile.max_registers)

    def deadman(self) -> int:
        """Return the device's countdown in minutes."""
        return self.profile.write.deadman_min if self.deadman_min is None else self.deadman_min


_one_at_a_time = threading.Lock()
"""msgspec takes a type to pieces when it first meets it, and crashes the process if threads do so side by side."""


def encode_config(config: InverterConfig) -> tuple[bytes, bytes]:
    """Return the msgpack of what is special about `config`, and that of its profile: many devices share one."""
    usual = {field.name: field.default for field in msgspec.structs.fields(InverterConfig)}
    own = {
        name: value
        for name, value in msgspec.structs.asdict(config).items()
        if name != "profile" and value != usual[name]
    }
    return msgspec.msgpack.encode(own), msgspec.msgpack.encode(config.profile)


def decode_config(config: bytes, profile: bytes) -> InverterConfig:
    """Return what `encode_config` encoded; the same profile is one object for all devices of a process.

    Raises:
        msgspec.ValidationError: the configuration cannot be used.
    """
    fields = msgspec.msgpack.decode(config)
    with _one_at_a_time:
        return msgspec.convert({**fields, "profile": _profile(profile)}, InverterConfig)


@functools.lru_cache(maxsize=32)
def _profile(encoded: bytes) -> AnyProfile:
    profile: AnyProfile = msgspec.msgpack.decode(encoded, type=AnyProfile)
    return profile


def _require(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        msg = f"{key} = {value} is not allowed: expected {low:g} to {high:g}"
        raise ValueError(msg)
