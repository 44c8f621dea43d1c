"""Turns the words of a block into values, in one pass of one precompiled plan.

What makes a value good is compiled into a lowest and a highest raw number: the plausible range and the sentinels at the
ends of a type are both no more than that, so that the pass over a block is one comprehension. Only what fails is looked
at again, to say why. Sentinels, implausible and non-finite values never become numbers: the value is None.
"""

from __future__ import annotations

import math
import operator
import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from actors.inverter.decode_rules import (
    CODES,
    MAX_SCALE,
    Raw,
    Rule,
    ends_of,
    rule_of,
    sentinels_of,
)
from actors.inverter.profile import Block, Point, PointType, Profile, WordOrder


class Decoded(msgspec.Struct, frozen=True):
    """What a block holds."""

    values: list[float | None]
    """As the plan's `points`."""
    reasons: dict[int, str]
    """Why the value at an index is None."""
    texts: dict[str, str]
    """The strings, by point."""


class _Text(NamedTuple):
    name: str
    start: int
    length: int


class BlockPlan:
    """How to decode one block."""

    def __init__(self, profile: Profile, block: Block) -> None:
        """Precompile `block` of `profile`."""
        ordered = sorted(block.points, key=lambda point: point.address)
        numbers = [point for point in ordered if point.type is not PointType.STR]
        scales = block.scales()
        self.points = tuple(point for point in numbers if point.name not in scales)
        """What `values` holds, in the order of the registers; strings and scales are no values."""
        self._texts = tuple(
            _Text(point.name, point.address - block.address, point.count)
            for point in ordered
            if point.type is PointType.STR
        )
        self._count = block.count
        self._arrange = _arrangement(profile, block)
        self._pack = struct.Struct(f">{block.count}H").pack
        self._unpack = struct.Struct(_layout(block, numbers)).unpack
        places = [place for place, point in enumerate(numbers) if point.name not in scales]
        self._pick = _picker(places, len(numbers))
        self._scales = tuple((p.name, place) for place, p in enumerate(numbers) if p.name in scales)
        self._scaled: tuple[int, ...] = ()
        self._sentinels = tuple(sentinels_of(profile, point) for point in self.points)
        self._rules = self._compile({})
        self._special = self._between_the_ends()

    def decode(self, words: Sequence[int]) -> Decoded:
        """Return the values in `words`.

        Raises:
            ValueError: the number of words is not the block's.
        """
        if len(words) != self._count:
            msg = f"expected {self._count} registers, got {len(words)}"
            raise ValueError(msg)
        found = self._unpack(self._bytes(self._arrange(words)))
        if self._scales:
            self._scale(found)
        raws = self._pick(found)
        values = [
            raw * factor / divisor + 0.0 if low <= raw <= high else None  # + 0.0 makes -0.0 plain
            for raw, (low, high, factor, divisor) in zip(raws, self._rules, strict=True)
        ]
        for index, marks in self._special:
            if raws[index] in marks:
                values[index] = None
        reasons = self._reasons(raws, values) if None in values else {}
        return Decoded(values, reasons, self._spell(words) if self._texts else {})

    def _bytes(self, words: Sequence[Raw]) -> bytes | array[Any]:
        """Return words as they come over the wire, the high byte first."""
        if not isinstance(words, array):
            return self._pack(*words)
        if sys.byteorder == "little":
            words = words[:]
            words.byteswap()
        return words

    def _spell(self, words: Sequence[int]) -> dict[str, str]:
        return {name: decode_text(words[at : at + count]) for name, at, count in self._texts}

    def _reasons(self, raws: Sequence[Raw], values: list[float | None]) -> dict[int, str]:
        bad = (index for index, value in enumerate(values) if value is None)
        return {index: self._why(index, raws[index]) for index in bad}

    def _why(self, index: int, raw: Raw) -> str:
        point, rule = self.points[index], self._rules[index]
        if raw in self._sentinels[index]:
            shown = f"{raw:#x}" if isinstance(raw, int) and raw >= 0 else f"{raw}"
            return f"not available ({shown})"
        if not math.isfinite(raw):
            return f"not a finite number ({raw})"
        if rule.factor == 0:
            return (
                f"not available: its scale {point.scale_point} is not -{MAX_SCALE} to {MAX_SCALE}"
            )
        return f"{raw * rule.factor / rule.divisor:g} is outside {point.low:g} to {point.high:g}"

    def _scale(self, found: Sequence[int]) -> None:
        """Compile the rules again where a power of ten has changed: in practice once."""
        scaled = tuple(found[place] for _, place in self._scales)
        if scaled != self._scaled:
            self._scaled = scaled
            names = [name for name, _ in self._scales]
            self._rules = self._compile(dict(zip(names, scaled, strict=True)))

    def _compile(self, scales: dict[str, int]) -> tuple[Rule, ...]:
        return tuple(
            rule_of(point, marks, scales.get(point.scale_point, 0))
            for point, marks in zip(self.points, self._sentinels, strict=True)
        )

    def _between_the_ends(self) -> tuple[tuple[int, frozenset[Raw]], ...]:
        """Return the sentinels that no lowest or highest raw number can keep out."""
        found = []
        for index, (point, marks) in enumerate(zip(self.points, self._sentinels, strict=True)):
            low, high = ends_of(point.type, marks)
            between = frozenset(mark for mark in marks if low < mark < high)
            if between:
                found.append((index, between))
        return tuple(found)


def plan_of(profile: Profile, block: Block) -> BlockPlan:
    """Return the plan of `block`: one for all devices that share `profile`, unless it keeps a device's scales."""
    if block.scales():
        return BlockPlan(profile, block)
    key = ("plan", block.name, block.address, block.count)
    if key not in profile.memo:
        profile.memo[key] = BlockPlan(profile, block)
    plan: BlockPlan = profile.memo[key]
    return plan


def decode_text(words: Sequence[int]) -> str:
    """Return the NUL-padded ASCII string in `words`; bytes that are no characters become U+FFFD."""
    data = struct.pack(f">{len(words)}H", *words)
    return data.partition(b"\0")[0].decode("ascii", errors="replace").strip()


def _layout(block: Block, ordered: list[Point]) -> str:
    """Return the struct of the numbers of a block, what lies between them skipped."""
    parts = [">"]
    at = block.address
    for point in ordered:
        if point.address > at:
            parts.append(f"{2 * (point.address - at)}x")
        parts.append(CODES[point.type])
        at = point.address + point.count
    rest = block.address + block.count - at
    if rest:
        parts.append(f"{2 * rest}x")
    return "".join(parts)


def _arrangement(profile: Profile, block: Block) -> Callable[[Sequence[int]], Sequence[Raw]]:
    """Return what puts the most significant word of every value first."""
    order = list(range(block.count))
    for point in block.points:
        little = (point.word_order or profile.word_order) is WordOrder.LITTLE
        if little and point.type is not PointType.STR:
            start = point.address - block.address
            order[start : start + point.count] = reversed(order[start : start + point.count])
    return _picker(order, block.count)


def _picker(places: list[int], total: int) -> Callable[[Sequence[Raw]], Sequence[Raw]]:
    """Return what takes `places` out of a sequence of `total`."""
    if places == list(range(total)):
        return lambda found: found
    if len(places) > 1:
        return operator.itemgetter(*places)
    return lambda found: [found[place] for place in places]
