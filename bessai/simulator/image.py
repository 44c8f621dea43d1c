"""The registers of one device as they are served: the reported values, and spoofed words laid over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessai.simulator.register_map import (
    BY_NAME,
    END_ADDRESS,
    FIRST_ADDRESS,
    POINTS,
    RESERVED,
    points_named,
)
from bessai.simulator.registers import MAX_WORD, EncodingError, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

EXISTING: frozenset[int] = frozenset(
    address
    for block in (*RESERVED, *(range(point.address, point.end) for point in POINTS))
    for address in block
)
"""Every address that answers; the others are holes."""


class RegisterImage:
    """The words of every address from the first to the last; holes hold zeros that are never served."""

    def __init__(self) -> None:
        """Start with zeros and no spoofs."""
        self._words = [0] * (END_ADDRESS - FIRST_ADDRESS)
        self._reported: dict[str, Value] = {}
        self._spoofed: dict[int, int] = {}

    @property
    def spoofed(self) -> dict[int, int]:
        """The spoofed words by address."""
        return dict(self._spoofed)

    def report(self, values: Mapping[str, Value]) -> None:
        """Serve `values`, by register name, from now on; what did not change costs only a comparison."""
        reported = self._reported
        for name, value in values.items():
            if reported.get(name) != value:
                reported[name] = value
                self._encode(name, value)
        self._lay_over()

    def read(self, address: int, count: int) -> list[int]:
        """Return `count` words from `address`, which the caller knows to exist."""
        start = address - FIRST_ADDRESS
        return self._words[start : start + count]

    def changed_since(self, before: list[int]) -> set[int]:
        """Return the addresses whose words differ from the snapshot `before`."""
        pairs = enumerate(zip(before, self._words, strict=True), FIRST_ADDRESS)
        return {address for address, (old, new) in pairs if old != new}

    def snapshot(self) -> list[int]:
        """Return a copy of all words, to compare with `changed_since`."""
        return list(self._words)

    def spoof_words(self, address: int, words: Iterable[int]) -> None:
        """Serve `words` from `address` until cleared.

        Raises:
            EncodingError: if a word is not 16 bits or an address is a hole.
        """
        laid = dict(enumerate(words, address))
        for each, word in laid.items():
            if each not in EXISTING:
                msg = f"register {each} is a hole in the map and cannot be spoofed"
                raise EncodingError(msg)
            if not 0 <= word <= MAX_WORD:
                msg = f"word {word} for register {each} must be 0 to 65535"
                raise EncodingError(msg)
        self._spoofed.update(laid)
        self._lay_over()

    def spoof_value(self, name: str, value: Value | None) -> None:
        """Serve `value` (`None`: the vendor's invalid mark) for a register name or an alias until cleared.

        Raises:
            KeyError: if the name is unknown.
            EncodingError: if the value does not fit.
        """
        for point in points_named(name):
            words = point.invalid_words() if value is None else point.encode(value)
            self._spoofed.update(enumerate(words, point.address))
        self._lay_over()

    def clear(self, addresses: Iterable[int] | None = None) -> None:
        """Stop spoofing `addresses`, or all of them, and serve the last reported values there again."""
        for address in list(self._spoofed) if addresses is None else addresses:
            if self._spoofed.pop(address, None) is not None:
                self._words[address - FIRST_ADDRESS] = 0
        for name, value in self._reported.items():
            self._encode(name, value)
        self._lay_over()

    def _encode(self, name: str, value: Value) -> None:
        point = BY_NAME[name]
        start = point.address - FIRST_ADDRESS
        self._words[start : start + point.count] = point.encode(value)

    def _lay_over(self) -> None:
        for address, word in self._spoofed.items():
            self._words[address - FIRST_ADDRESS] = word
