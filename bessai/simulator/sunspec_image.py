"""The registers of a simulated SunSpec device as they are served: what is reported, and spoofed words laid over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bessai.simulator.registers import MAX_WORD, EncodingError, Value
from bessai.simulator.sunspec_map import SunSpecMap, SunSpecPoint


class SunSpecImage:
    """Every word of a chain; values are encoded when they are read, and only if something changed since."""

    def __init__(
        self,
        registers: SunSpecMap,
        aliases: Mapping[str, tuple[str, ...]],
        measure: Callable[[], Mapping[str, Value]],
    ) -> None:
        """Serve what `measure` returns; an alias names several points that report one quantity."""
        self._map = registers
        self._measure = measure
        self._by_name = {point.name: point for point in registers.points}
        self._aliases = {
            alias: tuple(self._by_name[name] for name in names if name in self._by_name)
            for alias, names in aliases.items()
        }
        self._stale = True
        self._spoofed: dict[int, int] = {}
        self._reported: dict[str, Value] = {}
        self._words = [0] * (registers.end - registers.base)
        for point in registers.points:
            self._put(point.address, point.invalid_words())
        self._put_fixed()

    @property
    def spoofed(self) -> dict[int, int]:
        """The spoofed words by address."""
        return dict(self._spoofed)

    def touch(self) -> None:
        """Note that what is measured may have changed."""
        self._stale = True

    def read(self, address: int, count: int) -> list[int]:
        """Return `count` words from `address`, which the caller knows to exist."""
        self._refresh()
        start = address - self._map.base
        return self._words[start : start + count]

    def snapshot(self) -> list[int]:
        """Return a copy of all words, to compare with `changed_since`."""
        self._refresh()
        return list(self._words)

    def changed_since(self, before: list[int]) -> set[int]:
        """Return the addresses whose words differ from the snapshot `before`."""
        pairs = enumerate(zip(before, self.snapshot(), strict=True), self._map.base)
        return {address for address, (old, new) in pairs if old != new}

    def points_named(self, name: str) -> tuple[SunSpecPoint, ...]:
        """Return the points of a name such as `802.SoC`, or of an alias.

        Raises:
            KeyError: with a message that lists the valid names.
        """
        if name in self._by_name:
            return (self._by_name[name],)
        if self._aliases.get(name):
            return self._aliases[name]
        msg = (
            f"unknown register name {name!r}; valid: {', '.join([*self._aliases, *self._by_name])}"
        )
        raise KeyError(msg)

    def spoof_words(self, address: int, words: Iterable[int]) -> None:
        """Serve `words` from `address` until cleared.

        Raises:
            EncodingError: a word is not 16 bits, or an address is outside the chain.
        """
        laid = dict(enumerate(words, address))
        for each, word in laid.items():
            if not self._map.base <= each < self._map.end:
                msg = f"register {each} is a hole in the map and cannot be spoofed"
                raise EncodingError(msg)
            if not 0 <= word <= MAX_WORD:
                msg = f"word {word} for register {each} must be 0 to 65535"
                raise EncodingError(msg)
        self._spoofed.update(laid)
        self._stale = True

    def spoof_value(self, name: str, value: Value | None) -> None:
        """Serve `value` (`None`: the mark for "not implemented") for a name or an alias until cleared.

        Raises:
            KeyError: the name is unknown.
            EncodingError: the value does not fit.
        """
        for point in self.points_named(name):
            words = point.invalid_words() if value is None else point.encode(value)
            self._spoofed.update(enumerate(words, point.address))
        self._stale = True

    def clear(self, addresses: Iterable[int] | None = None) -> None:
        """Stop spoofing `addresses`, or all of them, and serve what is measured there again."""
        for address in list(self._spoofed) if addresses is None else addresses:
            self._spoofed.pop(address, None)
        for point in self._map.points:
            value = self._reported.get(point.name)
            words = point.invalid_words() if value is None else point.encode(value)
            self._put(point.address, words)
        self._put_fixed()
        self._stale = True

    def _refresh(self) -> None:
        if not self._stale:
            return
        self._stale = False
        for name, value in self._measure().items():
            point = self._by_name.get(name)
            if point is not None and self._reported.get(name) != value:
                self._reported[name] = value
                self._put(point.address, point.encode(value))
        for address, word in self._spoofed.items():
            self._words[address - self._map.base] = word

    def _put(self, address: int, words: Iterable[int]) -> None:
        for each, word in enumerate(words, address - self._map.base):
            self._words[each] = word

    def _put_fixed(self) -> None:
        for address, word in self._map.fixed.items():
            self._words[address - self._map.base] = word
