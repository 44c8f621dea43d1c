"""How a physical value becomes the words of a holding register: type, gain, sign and the vendor's invalid marks."""

from __future__ import annotations

import enum
from typing import TypeAlias, assert_never

import msgspec

Value: TypeAlias = float | int | str

MAX_WORD = 0xFFFF


class RegisterType(enum.Enum):
    """The vendor's register types that the map uses."""

    U16 = "U16"
    I16 = "I16"
    U32 = "U32"
    I32 = "I32"
    B16 = "B16"
    B32 = "B32"
    STR = "STR"
    MLD = "MLD"
    """A table of several fields, served and stored as it was written."""

    @property
    def numeric(self) -> bool:
        """Whether it holds one number."""
        return self not in {RegisterType.STR, RegisterType.MLD}

    def raw_range(self) -> tuple[int, int]:
        """Return the smallest and the largest raw number; a text or a table has none and answers (0, 0)."""
        match self:
            case RegisterType.U16 | RegisterType.B16:
                return 0, 0xFFFF
            case RegisterType.I16:
                return -0x8000, 0x7FFF
            case RegisterType.U32 | RegisterType.B32:
                return 0, 0xFFFF_FFFF
            case RegisterType.I32:
                return -0x8000_0000, 0x7FFF_FFFF
            case RegisterType.STR | RegisterType.MLD:
                return 0, 0
        assert_never(self)


class EncodingError(ValueError):
    """A value does not fit its register."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One register of the map. A physical value is the raw number divided by `gain`."""

    name: str
    address: int
    count: int
    """Registers it spans, each of 16 bits."""
    type: RegisterType
    gain: int
    writable: bool

    @property
    def end(self) -> int:
        """The first address after the point."""
        return self.address + self.count

    def encode(self, value: Value) -> tuple[int, ...]:
        """Return the words of `value`, the high word first.

        Raises:
            EncodingError: if the value does not fit the register's type.
        """
        if self.type is RegisterType.STR:
            return self._encode_text(str(value))
        if self.type is RegisterType.MLD:
            return self._encode_table(str(value))
        if isinstance(value, str):
            msg = f"{self.name} ({self.address}) holds a number, not the text {value!r}"
            raise EncodingError(msg)
        raw = round(value * self.gain)
        low, high = self.type.raw_range()
        if not low <= raw <= high:
            msg = (
                f"{self.name}={value} does not fit register {self.address} ({self.type.value}, "
                f"gain {self.gain}): give {low / self.gain:g} to {high / self.gain:g}"
            )
            raise EncodingError(msg)
        if self.count == 1:
            return (raw & 0xFFFF,)
        return (raw >> 16 & 0xFFFF, raw & 0xFFFF)

    def decode(self, words: list[int] | tuple[int, ...]) -> Value:
        """Return the physical value of `words`; the invalid mark is decoded like any other number, a table as hex."""
        if self.type is RegisterType.STR:
            data = b"".join(word.to_bytes(2, "big") for word in words)
            return data.split(b"\0", 1)[0].decode("ascii", "replace")
        if self.type is RegisterType.MLD:
            return " ".join(f"{word:04x}" for word in words)
        raw = 0
        for word in words:
            raw = raw << 16 | word
        low, high = self.type.raw_range()
        if low < 0 and raw > high:
            raw -= 1 << 16 * self.count
        return raw if self.gain == 1 else raw / self.gain

    def invalid_words(self) -> tuple[int, ...]:
        """Return the vendor's mark for "no value": all ones, the largest positive number, or an empty string."""
        match self.type:
            case RegisterType.I16 | RegisterType.I32:
                return (0x7FFF, *(0xFFFF for _ in range(self.count - 1)))
            case RegisterType.STR:
                return (0,) * self.count
            case (
                RegisterType.MLD
                | RegisterType.U16
                | RegisterType.U32
                | RegisterType.B16
                | RegisterType.B32
            ):
                return (0xFFFF,) * self.count
        assert_never(self.type)

    def _encode_text(self, text: str) -> tuple[int, ...]:
        data = text.encode("ascii", "replace")
        if len(data) > 2 * self.count:
            msg = f"{self.name}={text!r} is longer than the {2 * self.count} bytes of its register"
            raise EncodingError(msg)
        data = data.ljust(2 * self.count, b"\0")
        return tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))

    def _encode_table(self, text: str) -> tuple[int, ...]:
        try:
            words = tuple(int(word, 16) for word in text.split())
        except ValueError:
            words = ()
        if len(words) != self.count or not all(0 <= word <= MAX_WORD for word in words):
            msg = f"{self.name} ({self.address}) is a table: give its {self.count} words in hex"
            raise EncodingError(msg)
        return words
