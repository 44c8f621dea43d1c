"""Compiles what makes a number of a point a value: a lowest and a highest raw number, a factor and a divisor.

The plausible range and the sentinels at the ends of a type are both no more than bounds of the raw number. The bounds
are exact: the outermost raw number whose value is plausible, whatever the rounding of the division.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from actors.inverter.profile import Point, PointType, Profile

CODES = {
    PointType.U16: "H",
    PointType.I16: "h",
    PointType.U32: "I",
    PointType.I32: "i",
    PointType.U64: "Q",
    PointType.I64: "q",
    PointType.F32: "f",
    PointType.F64: "d",
    PointType.BITS16: "H",
    PointType.BITS32: "I",
}
"""The letters of the types in the struct module."""
MAX_SCALE = 10
"""SunSpec's powers of ten are -10 to 10."""

_MAX_REAL = 1e280
"""Beyond this a power of ten could make a number infinite; no measurement is there."""

Raw: TypeAlias = int | float


class Rule(NamedTuple):
    """A raw number from `low` to `high` is the value `raw * factor / divisor`."""

    low: Raw
    high: Raw
    factor: int
    divisor: float


def rule_of(point: Point, sentinels: frozenset[Raw], scale: int) -> Rule:
    """Return what makes a raw number of `point` a value, where it is multiplied by 10 ** `scale`."""
    if abs(scale) > MAX_SCALE:
        return Rule(1, 0, 0, 1.0)  # nothing lies between 1 and 0
    factor = 10 ** max(scale, 0)
    divisor = point.gain * 10 ** max(-scale, 0) * (-1 if point.flip else 1)
    low, high = _bounds(point.type, sentinels, factor, divisor, (point.low, point.high))
    return Rule(low, high, factor, divisor)


@functools.lru_cache(maxsize=8192)  # the devices of a site share their profiles, and start together
def _bounds(
    kind: PointType,
    sentinels: frozenset[Raw],
    factor: int,
    divisor: float,
    plausible: tuple[float, float],
) -> tuple[Raw, Raw]:
    """Return the lowest and the highest raw number that is a value."""
    ends = ends_of(kind, sentinels)
    first, last = plausible if divisor > 0 else reversed(plausible)

    def before(raw: Raw) -> bool:
        value = raw * factor / divisor
        return value < first if divisor > 0 else value > first

    def after(raw: Raw) -> bool:
        value = raw * factor / divisor
        return value > last if divisor > 0 else value < last

    if kind.real:
        return (
            _inward(first * divisor / factor, ends, math.inf, before),
            _inward(last * divisor / factor, ends, -math.inf, after),
        )
    low, high = int(ends[0]), int(ends[1])
    return _first(lambda raw: not before(raw), low, high), _first(after, low, high) - 1


def _inward(
    guess: float, ends: tuple[float, float], towards: float, outside: Callable[[float], bool]
) -> float:
    """Return `guess`, or the first number beside it that rounding does not put outside."""
    guess = max(min(guess, ends[1]), ends[0])
    for _ in range(16):  # three roundings are less
        if not outside(guess):
            break
        guess = math.nextafter(guess, towards)
    return guess


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first number from `low` to `high` from which on `holds` is true, or the one after `high`."""
    high += 1
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low


def ends_of(kind: PointType, sentinels: frozenset[Raw]) -> tuple[Raw, Raw]:
    """Return the lowest and the highest raw number that is no sentinel."""
    if kind.real:
        return -_MAX_REAL, _MAX_REAL
    bits = 16 * kind.registers
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind.signed else (0, (1 << bits) - 1)
    while low in sentinels and low < high:
        low += 1
    while high in sentinels and low < high:
        high -= 1
    return low, high


def sentinels_of(profile: Profile, point: Point) -> frozenset[Raw]:
    """Return the raw numbers of `point` that mean "not available"."""
    usual = profile.sentinels.get(point.type.value, ())
    words = usual if point.sentinels is None else point.sentinels
    return frozenset(_raw(word, point.type) for word in words)


def _raw(word: int, kind: PointType) -> Raw:
    """Return what an unsigned `word` is as a number of its type."""
    size = 2 * kind.registers
    (raw,) = struct.unpack(f">{CODES[kind]}", (word & (1 << 8 * size) - 1).to_bytes(size, "big"))
    return raw  # type: ignore[no-any-return]  # each code gives a number
