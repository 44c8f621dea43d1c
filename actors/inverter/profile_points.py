"""What can be read of a device: points, and the blocks of registers in which they are read.

Addresses are those of the Modbus PDU (no 40001 offset). A value is `raw * 10**scale / gain`, with the other sign where
`flip` says so.
"""

from __future__ import annotations

import enum
import math
import re
from typing import NoReturn

import msgspec

MAX_READ_REGISTERS = 125
"""Modbus Application Protocol 1.1b3, section 6.3."""
MAX_ADDRESS = 0xFFFF


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a profile: an unknown key is a mistake, not an extension."""


class PointType(enum.Enum):
    """How a value lies in registers."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"
    BITS16 = "bits16"
    BITS32 = "bits32"
    STR = "str"
    """ASCII, two characters a register, cut at the first NUL: `registers` of the point says how many."""

    @property
    def registers(self) -> int:
        """How many registers a value takes; 0 for a string, whose point says it."""
        return _REGISTERS[self]

    @property
    def signed(self) -> bool:
        """Whether it is a whole number that may be negative."""
        return self in _SIGNED

    @property
    def real(self) -> bool:
        """Whether it is a floating-point number."""
        return self in _REAL


_REGISTERS = {
    PointType.U16: 1,
    PointType.I16: 1,
    PointType.BITS16: 1,
    PointType.U32: 2,
    PointType.I32: 2,
    PointType.BITS32: 2,
    PointType.F32: 2,
    PointType.U64: 4,
    PointType.I64: 4,
    PointType.F64: 4,
    PointType.STR: 0,
}
_SIGNED = frozenset({PointType.I16, PointType.I32, PointType.I64})
_REAL = frozenset({PointType.F32, PointType.F64})
_BITS = frozenset({PointType.BITS16, PointType.BITS32})


class WordOrder(enum.Enum):
    """Which word of a value of several registers comes first."""

    BIG = "big"
    """The most significant."""
    LITTLE = "little"
    """The least significant; the bytes within a word stay in order."""


class PollClass(enum.Enum):
    """When a block is read."""

    SAFETY = "safety"
    """First in every poll."""
    FAST = "fast"
    """In every poll, after the safety blocks."""
    SLOW = "slow"
    """Every `slow_s` of the profile."""
    ONCE = "once"
    """Once on each connection."""


class Severity(enum.Enum):
    """How bad an alarm is, in the manufacturer's words."""

    WARNING = "warning"
    MINOR = "minor"
    MAJOR = "major"


class Bit(Part, frozen=True, kw_only=True):
    """One bit of a bitfield: a state, or an alarm if it has a severity."""

    bit: int
    """0 is the least significant."""
    name: str
    id: int = 0
    """The manufacturer's number of the alarm, or 0."""
    severity: Severity | None = None

    def __post_init__(self) -> None:
        """Refuse a bit that nobody can name."""
        if not self.name.strip():
            refuse(f"bit {self.bit}: name is empty")


class Condition(Part, frozen=True, kw_only=True):
    """Something exists only while another point, as last read, is like this: exactly one key beside `point`."""

    point: str
    equals: float | None = None
    not_equals: float | None = None
    at_least: float | None = None
    not_empty: bool = False
    """For a string."""

    def __post_init__(self) -> None:
        """Refuse a condition that says nothing, or two things."""
        said = [self.equals is not None, self.not_equals is not None, self.at_least is not None]
        if sum([*said, self.not_empty]) != 1:
            refuse(
                f"only_if {self.point}: give exactly one of equals, not_equals, at_least, not_empty = true"
            )

    def holds(self, value: float | str) -> bool:
        """Return whether the point's `value` fulfils it."""
        if isinstance(value, str):
            return bool(value)
        if self.equals is not None:
            return value == self.equals
        if self.not_equals is not None:
            return value != self.not_equals
        return self.at_least is not None and value >= self.at_least


class Point(Part, frozen=True, kw_only=True):
    """One value in a block."""

    name: str
    """Canonical, with the unit at its end: `soc_pct`, `battery_power_w`."""
    address: int
    type: PointType
    registers: int = 0
    """How many registers a string takes; for strings only."""
    unit: str = ""
    gain: float = 1.0
    scale_point: str = ""
    """A point of the same block that holds a power of ten by which the raw value is multiplied; it is not a value
    itself."""
    flip: bool = False
    """Whether the device's sign is opposite to ours."""
    low: float = -math.inf
    """Lowest plausible value, in `unit`, after gain and flip."""
    high: float = math.inf
    """Highest plausible value."""
    sentinels: tuple[int, ...] | None = None
    """Raw values, as unsigned words, that mean "not available"; without it those of the type."""
    word_order: WordOrder | None = None
    """Without it that of the profile."""
    enum: dict[int, str] = {}
    """What its numbers mean; a number that is not listed passes as it is."""
    bits: tuple[Bit, ...] = ()
    """What the bits of a bitfield mean."""
    optional: bool = False
    """Whether a device of this kind may lack the register: it then answers with exception 1 or 2."""
    only_if: Condition | None = None
    """Whether the value means something: the register is read, but is no value where this does not hold."""
    source: str = ""
    """Where the figures come from, and what of them is not verified."""

    def __post_init__(self) -> None:
        """Refuse a point that cannot be decoded."""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.name):
            refuse(f"point {self.name!r}: the name must be lower_case_with_unit, like 'soc_pct'")
        if not (math.isfinite(self.gain) and self.gain > 0):
            self._refuse(
                f"gain = {self.gain} must be a number above 0 (use flip = true to change the sign)"
            )
        if not self.low < self.high:
            self._refuse(f"low = {self.low} must be below high = {self.high}")
        if (self.type is PointType.STR) != (self.registers > 0):
            self._refuse(
                'registers is for type = "str", which needs it: how many registers it takes'
            )
        self._check_bits()

    @property
    def count(self) -> int:
        """How many registers it takes."""
        return self.type.registers or self.registers

    def _check_bits(self) -> None:
        if self.bits and self.type not in _BITS:
            self._refuse(f'bits need type = "bits16" or "bits32", not "{self.type.value}"')
        numbers = [bit.bit for bit in self.bits]
        if len(set(numbers)) < len(numbers):
            self._refuse("a bit is named twice")
        beyond = [bit for bit in numbers if not 0 <= bit < 16 * self.count]
        if beyond:
            self._refuse(f"bit {beyond[0]} must be 0 to {16 * self.count - 1}")

    def _refuse(self, message: str) -> NoReturn:
        refuse(f"point {self.name}: {message}")


class Block(Part, frozen=True, kw_only=True):
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
            self._refuse(f"count = {self.count} must be 1 to {MAX_READ_REGISTERS}; split the block")
        if not 0 <= self.address <= MAX_ADDRESS - self.count + 1:
            self._refuse(f"address = {self.address} must be 0 to {MAX_ADDRESS - self.count + 1}")
        end = self.address
        for point in sorted(self.points, key=lambda point: point.address):
            if point.address < end:
                refuse(
                    f"block {self.name}, point {point.name}: register {point.address} lies before the block or in"
                    f" another point; the next free register is {end}"
                )
            end = point.address + point.count
        if end > self.address + self.count:
            self._refuse(
                f"its points end at register {end - 1}, so count must be {end - self.address}"
            )
        self._check_scales()

    @property
    def optional(self) -> bool:
        """Whether the device may lack all of it."""
        return all(point.optional for point in self.points)

    def scales(self) -> dict[str, Point]:
        """Return the points that hold powers of ten for others, by name."""
        named = {point.scale_point for point in self.points}
        return {point.name: point for point in self.points if point.name in named}

    def _check_scales(self) -> None:
        scales = self.scales()
        for point in self.points:
            scale = scales.get(point.scale_point)
            if point.scale_point and (scale is None or scale is point or scale.scale_point):
                refuse(
                    f"block {self.name}, point {point.name}: scale_point = {point.scale_point!r} must be a point of"
                    " this block that has no scale itself"
                )
            if scale is not None and scale.type is not PointType.I16:
                refuse(
                    f'block {self.name}, point {scale.name}: a power of ten must have type = "i16",'
                    f' not "{scale.type.value}"'
                )

    def _refuse(self, message: str) -> NoReturn:
        refuse(f"block {self.name}: {message}")


def refuse(message: str) -> NoReturn:
    """Raise what the reader of a profile turns into an error with file and place."""
    raise ValueError(message)


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a `value` outside `low` to `high`."""
    if not low <= value <= high:
        refuse(f"{name} = {value} is not allowed: expected {low} to {high}")
