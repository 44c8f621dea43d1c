"""A device described as data: what to read, what it means, how to command it.

A profile is a TOML file in config/profiles; `actors.inverter.profile_file` reads it. These structs are what it becomes.
They travel inside `InverterConfig`, so they are plain msgpack data, and refuse by themselves what cannot work.

Addresses are those of the Modbus PDU (no 40001 offset), words are big-endian, `value = raw / gain`.
"""

from __future__ import annotations

import enum
import math
import re

import msgspec

MAX_READ_REGISTERS = 125
"""Modbus Application Protocol 1.1b3, section 6.3."""
MAX_ADDRESS = 0xFFFF

VITAL_POINTS = (
    "soc_pct",
    "battery_temperature_c",
    "battery_power_w",
    "battery_voltage_v",
    "battery_current_a",
    "max_charge_w",
    "max_discharge_w",
)
"""Point names that safety decides on: where a profile has them, they are read in safety blocks."""

REQUIRED_POINTS = (
    "soc_pct",
    "battery_temperature_c",
    "battery_power_w",
    "max_charge_w",
    "max_discharge_w",
)
"""Points without which a battery can be neither watched nor commanded."""


class PointType(enum.Enum):
    """How a value lies in registers."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    BITS16 = "bits16"
    BITS32 = "bits32"

    @property
    def registers(self) -> int:
        """How many registers a value takes."""
        return 2 if self in _WIDE else 1


_TYPE_NAMES = frozenset(kind.value for kind in PointType)
_WIDE = frozenset({PointType.U32, PointType.I32, PointType.BITS32})


class PollClass(enum.Enum):
    """When a block is read."""

    SAFETY = "safety"
    """First in every poll."""
    REST = "rest"
    """In every poll, after the safety blocks."""
    ONCE = "once"
    """In the first poll of each connection."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a profile: an unknown key is a mistake, not an extension."""


class Point(_Part, frozen=True):
    """One value in a block."""

    name: str
    """Canonical, with the unit at its end: `soc_pct`, `battery_power_w`."""
    address: int
    type: PointType
    unit: str = ""
    gain: float = 1.0
    flip: bool = False
    """Whether the device's sign is opposite to ours."""
    low: float = -math.inf
    """Lowest plausible value, in `unit`, after gain and flip."""
    high: float = math.inf
    """Highest plausible value."""
    sentinels: tuple[int, ...] | None = None
    """Raw values, as unsigned words, that mean "not available"; without it those of the type."""
    source: str = ""
    """Where the figures come from, and what of them is not verified."""

    def __post_init__(self) -> None:
        """Refuse a point that cannot be decoded."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            _refuse(f"point {self.name!r}: the name must be lower_case_with_unit, like 'soc_pct'")
        if not (math.isfinite(self.gain) and self.gain > 0):
            _refuse(
                f"point {self.name}: gain = {self.gain} must be a number above 0 (use flip = true to change the sign)"
            )
        if not self.low < self.high:
            _refuse(f"point {self.name}: low = {self.low} must be below high = {self.high}")


class Condition(_Part, frozen=True):
    """Read a block only while a point of an earlier poll had a value."""

    point: str
    equals: float


class Block(_Part, frozen=True):
    """Registers that are read in one request."""

    name: str
    address: int
    count: int
    poll_class: PollClass = msgspec.field(name="class")
    points: tuple[Point, ...]
    only_if: Condition | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a block that cannot be read in one request or whose points lie outside it or overlap."""
        if not 1 <= self.count <= MAX_READ_REGISTERS:
            _refuse(
                f"block {self.name}: count = {self.count} must be 1 to {MAX_READ_REGISTERS}; split the block"
            )
        if not 0 <= self.address <= MAX_ADDRESS - self.count + 1:
            _refuse(
                f"block {self.name}: address = {self.address} must be 0 to {MAX_ADDRESS - self.count + 1}"
            )
        end = self.address
        for point in sorted(self.points, key=lambda point: point.address):
            if point.address < end:
                _refuse(
                    f"block {self.name}, point {point.name}: register {point.address} lies before the block or in"
                    f" another point; the next free register is {end}"
                )
            end = point.address + point.type.registers
        if end > self.address + self.count:
            _refuse(
                f"block {self.name}: its points end at register {end - 1}, so count must be {end - self.address}"
            )


class Requirement(_Part, frozen=True):
    """One register that must hold one of some values before anything is written."""

    name: str
    address: int
    allowed: tuple[int, ...]
    reason: str
    """What to tell a person when it does not."""


class Identity(_Part, frozen=True):
    """How to tell that the right device answers: one read holds model and serial number."""

    address: int
    count: int
    model_offset: int
    """In registers from `address`."""
    model_registers: int
    serial_offset: int
    serial_registers: int
    model_pattern: str
    """Regular expression that the whole model name must match."""
    requires: tuple[Requirement, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse an identity that cannot be checked."""
        end = max(
            self.model_offset + self.model_registers, self.serial_offset + self.serial_registers
        )
        if not end <= self.count <= MAX_READ_REGISTERS:
            _refuse(
                f"identity: count = {self.count} must be {end} to {MAX_READ_REGISTERS} to hold model and serial"
            )
        try:
            re.compile(self.model_pattern)
        except re.error as error:
            _refuse(
                f"identity: model_pattern = {self.model_pattern!r} is not a regular expression: {error}"
            )


class Operand(enum.Enum):
    """What a step writes when it does not write a constant."""

    POWER_W = "power_w"
    """The magnitude of the set-point."""
    DEADMAN_MIN = "deadman_min"
    """The device's own countdown."""


class Step(_Part, frozen=True):
    """One register write of a sequence."""

    name: str
    address: int
    type: PointType
    value: int | None = None
    operand: Operand | None = None
    gain: float = 1.0
    verify: bool = False
    """Whether the outcome depends on reading it back."""

    def __post_init__(self) -> None:
        """Refuse a step that does not say what to write."""
        if (self.value is None) == (self.operand is None):
            _refuse(f"step {self.name}: give either value or operand")
        if self.type not in {PointType.U16, PointType.U32}:
            _refuse(f"step {self.name}: type = {self.type.value} cannot be written; use u16 or u32")


class WriteSpec(_Part, frozen=True):
    """How to force a charge or a discharge and how to end both, in the order of writing."""

    charge: tuple[Step, ...]
    discharge: tuple[Step, ...]
    stop: tuple[Step, ...]
    """The first step is the one that ends forced power: it goes on the wire first."""
    forced_point: str
    """The point that tells whether the device now follows a forced command."""
    forced_values: tuple[int, ...]
    deadman_min: int
    """Minutes after which the device ends forced power by itself."""
    deadman_max_min: int
    renew_s: float
    """A held set-point is written again after this long, well before the countdown ends."""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse sequences without a verified end or a renewal that comes too late."""
        if not 1 <= self.deadman_min <= self.deadman_max_min:
            _refuse(f"write: deadman_min = {self.deadman_min} must be 1 to {self.deadman_max_min}")
        if not 0 < self.renew_s <= self.deadman_min * 60 / 2:
            _refuse(
                f"write: renew_s = {self.renew_s} must be above 0 and at most half the countdown,"
                f" {self.deadman_min * 30}"
            )
        for name, steps in (
            ("charge", self.charge),
            ("discharge", self.discharge),
            ("stop", self.stop),
        ):
            if not any(step.verify for step in steps):
                _refuse(f"write.{name}: at least one step needs verify = true")
        for name, steps in (("charge", self.charge), ("discharge", self.discharge)):
            missing = set(Operand) - {step.operand for step in steps}
            if missing:
                _refuse(
                    f"write.{name}: no step writes {', '.join(sorted(operand.value for operand in missing))}"
                )


class Timing(_Part, frozen=True):
    """The device's manners, in seconds; a device's own configuration may override them."""

    connect_delay_s: float
    """Silence after a connection is made, before the first request."""
    gap_s: float
    """Least time between an answer and the next request."""
    timeout_s: float
    """Longest wait for a connection or an answer."""
    abandon_s: float
    """Longest time that a safety command waits for the answer to an earlier request before the socket is closed."""
    reconnect_initial_s: float = 1.0
    reconnect_max_s: float = 30.0
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse times that cannot work."""
        _between("timing.connect_delay_s", self.connect_delay_s, 0.0, 60.0)
        _between("timing.gap_s", self.gap_s, 0.0, 10.0)
        _between("timing.timeout_s", self.timeout_s, 0.01, 60.0)
        _between("timing.abandon_s", self.abandon_s, 0.001, 60.0)
        _between("timing.reconnect_max_s", self.reconnect_max_s, 0.01, 600.0)
        _between(
            "timing.reconnect_initial_s", self.reconnect_initial_s, 0.001, self.reconnect_max_s
        )


class Profile(_Part, frozen=True):
    """Everything that the gateway knows of a kind of device."""

    name: str
    title: str
    identity: Identity
    timing: Timing
    blocks: tuple[Block, ...]
    write: WriteSpec
    sentinels: dict[str, tuple[int, ...]] = {}
    """By type name: raw values, as unsigned words, that mean "not available"."""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a profile whose parts do not fit together."""
        homes = self._homes()
        _check_vitals(homes, self.write.forced_point)
        for block in self.blocks:
            if block.only_if is not None and block.only_if.point not in homes:
                _refuse(
                    f"block {block.name}: only_if names {block.only_if.point!r}, which is not a point of any block"
                )
        for kind in set(self.sentinels) - _TYPE_NAMES:
            _refuse(
                f"sentinels: {kind!r} is not a type; use one of {', '.join(sorted(_TYPE_NAMES))}"
            )

    def _homes(self) -> dict[str, Block]:
        homes: dict[str, Block] = {}
        for block in self.blocks:
            for point in block.points:
                if point.name in homes:
                    _refuse(
                        f"point {point.name} is in block {homes[point.name].name} and in block {block.name}"
                    )
                homes[point.name] = block
        return homes


def _check_vitals(homes: dict[str, Block], forced_point: str) -> None:
    """Refuse a profile in which safety would miss something or be told late."""
    for name in set(REQUIRED_POINTS) - set(homes):
        _refuse(f"point {name} is missing: without it the battery cannot be watched")
    if forced_point not in homes:
        _refuse(f"write.forced_point = {forced_point!r} is not a point of any block")
    for name in (*VITAL_POINTS, forced_point):
        if name in homes and homes[name].poll_class is not PollClass.SAFETY:
            _refuse(
                f'point {name} is in block {homes[name].name}: put it into a block with class = "safety"'
            )


def _refuse(message: str) -> None:
    raise ValueError(message)


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        _refuse(f"{name} = {value} is not allowed: expected {low} to {high}")
