"""The registers of one device as they are served: encoded when they are read, and spoofed words laid over them.

What a read needs is worked out once per block and shared by all devices of a kind (`Layout`); what it found is kept
until the device has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from bessai.simulator.register_map import RegisterMap
from bessai.simulator.registers import MAX_WORD, EncodingError, Point, Value

MAX_PLANS = 1000
"""Different blocks whose plans are remembered; a client that asks for more has them worked out anew."""

Source = TypeVar("Source")


class _Measured(NamedTuple, Generic[Source]):
    """A register of a block whose value changes."""

    offset: int
    wide: bool
    """Whether it spans two words."""
    measure: Callable[[Source], float]
    gain: int
    low: int
    high: int


class _Plan(NamedTuple, Generic[Source]):
    """How to encode one block: all registers that it touches, of which it shows a part."""

    start: int
    end: int
    measured: tuple[_Measured[Source], ...]
    cut: slice | None
    """The part to show; None: all."""


class Layout(Generic[Source]):
    """A register map, and how each register that changes is measured from a device of the type `Source`."""

    def __init__(
        self, registers: RegisterMap, measured: Mapping[str, Callable[[Source], float]]
    ) -> None:
        """Lay out `registers`; those not in `measured` never change.

        Raises:
            KeyError: if a name in `measured` is no register.
        """
        self.map = registers
        self._measured = {registers.by_name[name]: each for name, each in measured.items()}
        self._plans: dict[tuple[int, int], _Plan[Source]] = {}

    def plan(self, address: int, count: int) -> _Plan[Source]:
        """Return how to encode `count` registers from `address`."""
        key = (address, count)
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = self._work_out(address, count)
        return plan

    def _work_out(self, address: int, count: int) -> _Plan[Source]:
        points = [point for point in self.map.within(address, count) if point in self._measured]
        start = min([address, *(point.address for point in points)])
        end = max([address + count, *(point.end for point in points)])
        whole = (start, end) == (address, address + count)
        cut = None if whole else slice(address - start, address - start + count)
        measured = tuple(self._how(point, start) for point in points)
        return _Plan(start - self.map.first, end - self.map.first, measured, cut)

    def _how(self, point: Point, start: int) -> _Measured[Source]:
        low, high = point.type.raw_range()
        wide = point.count > 1
        offset = point.address - start
        return _Measured(offset, wide, self._measured[point], point.gain, low, high)


class RegisterImage(Generic[Source]):
    """The words of every address from the first to the last; holes hold zeros that are never served."""

    def __init__(self, layout: Layout[Source], source: Source, fixed: Mapping[str, Value]) -> None:
        """Serve what is measured from `source`, and the `fixed` values, by register name, that never change."""
        self.map = layout.map
        self._layout = layout
        self._source = source
        self._words = [0] * (self.map.end - self.map.first)
        self._spoofed: dict[int, int] = {}
        self._read: dict[tuple[int, int], list[int]] = {}
        for name, value in fixed.items():
            point = self.map.by_name[name]
            start = point.address - self.map.first
            self._words[start : start + point.count] = point.encode(value)

    @property
    def spoofed(self) -> dict[int, int]:
        """The spoofed words by address."""
        return dict(self._spoofed)

    def touch(self) -> None:
        """Measure anew from now on: the device has changed."""
        if self._read:
            self._read.clear()

    def read(self, address: int, count: int) -> list[int]:
        """Return `count` words from `address`, which the caller knows to exist and must not change."""
        key = (address, count)
        words = self._read.get(key)
        if words is None:
            words = self._read[key] = self._encode(address, count)
        return words

    def store(self, address: int, words: list[int]) -> None:
        """Serve `words` from `address` from now on, where nothing is measured."""
        start = address - self.map.first
        self._words[start : start + len(words)] = words
        self.touch()

    def points_named(self, name: str) -> tuple[Point, ...]:
        """Return the points of a register name or of an alias.

        Raises:
            KeyError: with a message that lists the valid names.
        """
        return self.map.points_named(name)

    def snapshot(self) -> list[int]:
        """Return all words, to compare with `changed_since`."""
        return self._encode(self.map.first, self.map.end - self.map.first)

    def changed_since(self, before: list[int]) -> set[int]:
        """Return the addresses whose words differ from the snapshot `before`."""
        pairs = enumerate(zip(before, self.snapshot(), strict=True), self.map.first)
        return {address for address, (old, new) in pairs if old != new}

    def spoof_words(self, address: int, words: Iterable[int]) -> None:
        """Serve `words` from `address` until cleared.

        Raises:
            EncodingError: if a word is not 16 bits or an address is a hole.
        """
        laid = dict(enumerate(words, address))
        for each, word in laid.items():
            if each not in self.map.existing:
                msg = f"register {each} is a hole in the map and cannot be spoofed"
                raise EncodingError(msg)
            if not 0 <= word <= MAX_WORD:
                msg = f"word {word} for register {each} must be 0 to 65535"
                raise EncodingError(msg)
        self._spoofed.update(laid)
        self.touch()

    def spoof_value(self, name: str, value: Value | None) -> None:
        """Serve `value` (`None`: the vendor's invalid mark) for a register name or an alias until cleared.

        Raises:
            KeyError: if the name is unknown.
            EncodingError: if the value does not fit.
        """
        for point in self.map.points_named(name):
            words = point.invalid_words() if value is None else point.encode(value)
            self._spoofed.update(enumerate(words, point.address))
        self.touch()

    def clear(self, addresses: Iterable[int] | None = None) -> None:
        """Stop spoofing `addresses`, or all of them, and serve the measured values there again."""
        for address in list(self._spoofed) if addresses is None else addresses:
            self._spoofed.pop(address, None)
        self.touch()

    def _encode(self, address: int, count: int) -> list[int]:
        start, end, measured, cut = self._layout.plan(address, count)
        words, source = self._words[start:end], self._source
        for offset, wide, measure, gain, low, high in measured:
            raw = round(measure(source) * gain)
            if raw < low or raw > high:
                # A device shows the most that its register holds.
                raw = low if raw < low else high
            if wide:
                words[offset] = raw >> 16 & 0xFFFF
                words[offset + 1] = raw & 0xFFFF
            else:
                words[offset] = raw & 0xFFFF
        if cut is not None:
            words = words[cut]
        if self._spoofed:
            for each, word in self._spoofed.items():
                if 0 <= each - address < count:
                    words[each - address] = word
        return words
