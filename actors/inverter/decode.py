"""Turns the words of a block into values, in one pass of one precompiled struct.

Sentinels, implausible and non-finite values never become numbers: the value is None and a reason says why.
"""

from __future__ import annotations

import struct

import msgspec

from actors.inverter.profile import Block, Point, PointType, Profile

_CODES = {
    PointType.U16: "H",
    PointType.I16: "h",
    PointType.U32: "I",
    PointType.I32: "i",
    PointType.BITS16: "H",
    PointType.BITS32: "I",
}


class Decoded(msgspec.Struct, frozen=True):
    """The values of a block, in the order of its points."""

    values: tuple[float | None, ...]
    reasons: dict[int, str]
    """Why the value at an index is None."""


class _PointPlan(msgspec.Struct, frozen=True):
    name: str
    divisor: float
    low: float
    high: float
    sentinels: frozenset[int]


class BlockPlan:
    """How to decode one block."""

    def __init__(self, profile: Profile, block: Block) -> None:
        """Precompile `block` of `profile`."""
        order = sorted(range(len(block.points)), key=lambda index: block.points[index].address)
        self._count = block.count
        self._pack = struct.Struct(f">{block.count}H").pack
        self._unpack = struct.Struct(_layout(block)).unpack
        self._plans = tuple((index, _plan(profile, block.points[index])) for index in order)

    def decode(self, words: list[int]) -> Decoded:
        """Return the values in `words`.

        Raises:
            ValueError: the number of words is not the block's.
        """
        if len(words) != self._count:
            msg = f"expected {self._count} registers, got {len(words)}"
            raise ValueError(msg)
        values: list[float | None] = [None] * len(self._plans)
        reasons: dict[int, str] = {}
        for (index, plan), raw in zip(self._plans, self._unpack(self._pack(*words)), strict=True):
            value = raw / plan.divisor + 0.0  # a flipped zero is not to be -0.0
            if raw in plan.sentinels:
                reasons[index] = (
                    f"not available ({raw:#x})" if raw >= 0 else f"not available ({raw})"
                )
            elif plan.low <= value <= plan.high:
                values[index] = value
            else:
                reasons[index] = f"{value:g} is outside {plan.low:g} to {plan.high:g}"
        return Decoded(tuple(values), reasons)


def _layout(block: Block) -> str:
    parts = [">"]
    at = block.address
    for point in sorted(block.points, key=lambda point: point.address):
        if point.address > at:
            parts.append(f"{2 * (point.address - at)}x")
        parts.append(_CODES[point.type])
        at = point.address + point.type.registers
    rest = block.address + block.count - at
    if rest:
        parts.append(f"{2 * rest}x")
    return "".join(parts)


def _plan(profile: Profile, point: Point) -> _PointPlan:
    words = (
        profile.sentinels.get(point.type.value, ()) if point.sentinels is None else point.sentinels
    )
    divisor = -point.gain if point.flip else point.gain
    return _PointPlan(
        point.name,
        divisor,
        point.low,
        point.high,
        frozenset(_signed(word, point.type) for word in words),
    )


def _signed(word: int, kind: PointType) -> int:
    bits = 16 * kind.registers
    is_signed = kind in {PointType.I16, PointType.I32}
    return word - (1 << bits) if is_signed and word >= 1 << (bits - 1) else word


def decode_text(words: list[int]) -> str:
    """Return the NUL-padded ASCII string in `words`; bytes that are no characters become U+FFFD."""
    data = struct.pack(f">{len(words)}H", *words)
    return data.partition(b"\0")[0].decode("ascii", errors="replace").strip()
