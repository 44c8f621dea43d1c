"""The registers of one kind of device as a value: which there are, what they are called, and which addresses answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bessai.simulator.registers import Point

MAX_REMEMBERED = 1000
"""Different blocks of which it is remembered whether they answer."""


class RegisterMap:
    """Points, the reserved addresses between them, and aliases. Devices of one kind share one map."""

    def __init__(
        self,
        points: Iterable[Point],
        *,
        reserved: Iterable[range] = (),
        aliases: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Order `points` by address. Reserved addresses answer too; an alias names several points of one quantity.

        Raises:
            ValueError: if two points share a name or an address, or an alias names no point.
        """
        self.points = tuple(sorted(points, key=lambda point: point.address))
        self.reserved = tuple(reserved)
        self.aliases = dict(aliases or {})
        self.by_name = {point.name: point for point in self.points}
        self.at = {point.address: point for point in self.points}
        self.name_at = {
            address: point.name
            for point in self.points
            for address in range(point.address, point.end)
        }
        """The point that each of its addresses belongs to."""
        self.existing = frozenset(self.name_at).union(*self.reserved)
        """Every address that answers; the others are holes."""
        self.first = min(self.existing)
        self.end = max(self.existing) + 1
        """The first address after the map."""
        self._answering: dict[tuple[int, int], bool] = {}
        self._check()

    def points_named(self, name: str) -> tuple[Point, ...]:
        """Return the points of a register name or of an alias.

        Raises:
            KeyError: with a message that lists the valid names.
        """
        if name in self.by_name:
            return (self.by_name[name],)
        if name in self.aliases:
            return tuple(self.by_name[each] for each in self.aliases[name])
        msg = f"unknown register name {name!r}; valid: {', '.join([*self.aliases, *self.by_name])}"
        raise KeyError(msg)

    def answers(self, address: int, count: int) -> bool:
        """Tell whether all of `count` addresses from `address` exist."""
        key = (address, count)
        known = self._answering.get(key)
        if known is None:
            if len(self._answering) >= MAX_REMEMBERED:
                self._answering.clear()
            known = self.existing.issuperset(range(address, address + count))
            self._answering[key] = known
        return known

    def within(self, address: int, count: int) -> tuple[Point, ...]:
        """Return the points of which any of `count` addresses from `address` is a part, in order of address."""
        return tuple(
            point
            for point in self.points
            if point.address < address + count and point.end > address
        )

    def describe_write(self, address: int, words: list[int]) -> dict[str, float]:
        """Return the numeric registers that a write names, decoded; what matches no whole register is left out."""
        values: dict[str, float] = {}
        for offset in range(len(words)):
            point = self.at.get(address + offset)
            if point is not None and offset + point.count <= len(words):
                value = point.decode(words[offset : offset + point.count])
                if not isinstance(value, str):
                    values[point.name] = value
        return values

    def _check(self) -> None:
        if len(self.by_name) < len(self.points):
            raise ValueError("two registers of the map have one name")
        if len(self.name_at) < sum(point.count for point in self.points):
            raise ValueError("two registers of the map share an address")
        for alias, names in self.aliases.items():
            if unknown := [name for name in names if name not in self.by_name]:
                raise ValueError(f"alias {alias!r} names {unknown[0]!r}, which is no register")
