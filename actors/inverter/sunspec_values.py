"""What a SunSpec device told when it was asked: which of its points hold a value, and which.

A point that holds its type's mark for "not implemented" is not there, though its register is.
"""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Iterator

import msgspec

from actors.inverter.decode import decode_text
from actors.inverter.decode_rules import CODES, MAX_SCALE
from actors.inverter.profile_points import PointType
from actors.inverter.sunspec_chain import Chain, Model
from actors.inverter.sunspec_models import INVERTER, INVERTERS, Placed
from actors.inverter.sunspec_profile import Modules

TYPES: dict[str, PointType] = {
    "uint16": PointType.U16,
    "acc16": PointType.U16,
    "enum16": PointType.U16,
    "count": PointType.U16,
    "int16": PointType.I16,
    "sunssf": PointType.I16,
    "uint32": PointType.U32,
    "acc32": PointType.U32,
    "enum32": PointType.U32,
    "int32": PointType.I32,
    "uint64": PointType.U64,
    "acc64": PointType.U64,
    "int64": PointType.I64,
    "float32": PointType.F32,
    "float64": PointType.F64,
    "bitfield16": PointType.BITS16,
    "bitfield32": PointType.BITS32,
    "string": PointType.STR,
}
"""SunSpec's types in ours; what is not in it, padding, is no value."""

SENTINELS: dict[str, tuple[int, ...]] = {
    "u16": (0xFFFF,),
    "i16": (0x8000,),
    "u32": (0xFFFF_FFFF,),
    "i32": (0x8000_0000,),
    "u64": (0xFFFF_FFFF_FFFF_FFFF,),
    "i64": (0x8000_0000_0000_0000,),
    "bits16": (0xFFFF,),
    "bits32": (0xFFFF_FFFF,),
}
"""SunSpec's marks for "not implemented"; floating-point numbers have NaN, which is never a value."""
ACCUMULATORS = frozenset({"acc16", "acc32", "acc64"})
"""Their mark is 0: a counter that has counted nothing cannot be told from one that is not there."""

_ROLES = frozenset({"charge", "discharge", "pv"})
"""Of the modules of model 160."""
PV_TYPES = frozenset({4, 82})
"""Of `120.DERTyp`: PV, and PV with storage."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One point of one model of the device."""

    model: Model
    placed: Placed

    @property
    def address(self) -> int:
        """Its first register."""
        return self.model.address + self.placed.offset

    @property
    def type(self) -> PointType | None:
        """Its type in our words, or None for padding."""
        return TYPES.get(self.placed.point.type)

    @property
    def name(self) -> str:
        """The last part of its path: the point's own name."""
        return self.placed.point.name

    def words(self) -> tuple[int, ...]:
        """Return what its registers held."""
        return self.model.words[self.placed.offset : self.placed.offset + self.placed.point.size]


class Told:
    """What a chain holds, by model and point."""

    def __init__(
        self, chain: Chain, modules: Modules, sentinels: dict[str, tuple[int, ...]]
    ) -> None:
        """Look at `chain`; `sentinels` are marks beside SunSpec's own."""
        self.chain = chain
        self.sentinels = {
            kind: (*SENTINELS.get(kind, ()), *sentinels.get(kind, ()))
            for kind in SENTINELS | sentinels
        }
        self.places = tuple(
            Place(model=model, placed=placed)
            for model in chain.models
            for placed in model.places()
            if placed.point.type in TYPES
        )
        self._of_model: dict[str, list[Place]] = {}
        for place in self.places:
            self._of_model.setdefault(str(place.model.number), []).append(place)
            if place.model.number in INVERTERS:
                self._of_model.setdefault(INVERTER, []).append(place)
        self._by_path = {(place.model.address, place.placed.path): place for place in self.places}
        self._roles = {
            each.address: self._role(each, modules)
            for each in self.places
            if each.model.number == 160 and each.name == "IDStr"  # noqa: PLR2004 - as its section
        }

    @functools.cached_property
    def shows_pv(self) -> bool:
        """Whether the device has PV of its own: a module that is no battery's, or a type that says so."""
        kind = self.value_of("120.DERTyp")
        return kind in PV_TYPES or "pv" in self._roles.values()

    def find(self, source: str) -> list[Place]:
        """Return every place of a source such as `802.SoC`, `inverter.W` or `160.charge.DCW`."""
        model, _, path = source.partition(".")
        return [place for place in self._of_model.get(model, ()) if self._is_path(place, path)]

    def value_of(self, source: str) -> float | None:
        """Return the value of the first place of a source, or None if it has none."""
        return next(map(self.value, self.find(source)), None)

    def scale(self, place: Place) -> Place | None:
        """Return the point that holds the power of ten of another, if it has one."""
        return self._by_path.get((place.model.address, place.placed.point.sf))

    def raw(self, place: Place) -> float | None:
        """Return the number in a point's registers, or None if that means "not implemented"."""
        kind, words = place.type, place.words()
        if kind is None or kind is PointType.STR:
            return None
        packed = struct.pack(f">{len(words)}H", *words)
        marks = (0,) if place.placed.point.type in ACCUMULATORS else ()
        if int.from_bytes(packed, "big") in (*marks, *self.sentinels.get(kind.value, ())):
            return None
        number: float = struct.unpack(f">{CODES[kind]}", packed)[0]
        return number if math.isfinite(number) else None

    def value(self, place: Place) -> float | None:
        """Return the value of a point, in the units of its model."""
        raw = self.raw(place)
        if raw is None or not place.placed.point.sf:
            return raw
        scale = self.scale(place)
        power = None if scale is None else self.raw(scale)
        if power is None or abs(power) > MAX_SCALE:
            return None
        exponent = int(power)
        return raw * pow(10.0, exponent) if exponent >= 0 else raw / pow(10.0, -exponent)

    def has(self, place: Place) -> bool:
        """Return whether a point holds something now."""
        if place.type is PointType.STR:
            return bool(decode_text(place.words()))
        return self.value(place) is not None

    def _is_path(self, place: Place, path: str) -> bool:
        head, _, rest = path.partition(".")
        if not rest or head not in _ROLES:
            return place.placed.path == path
        return place.name == rest and self._role_of(place) == head

    def _role_of(self, place: Place) -> str:
        module = place.placed.path.rpartition(".")[0]
        named = self._by_path.get((place.model.address, f"{module}.IDStr"))
        return "" if named is None else self._roles.get(named.address, "")

    @staticmethod
    def _role(place: Place, modules: Modules) -> str:
        name = decode_text(place.words())
        if re.fullmatch(modules.charge, name):
            return "charge"
        return "discharge" if re.fullmatch(modules.discharge, name) else "pv"


def parts_in(place: Place) -> Iterator[str]:
    """Yield the parts of a name for a point: model, group and number, point."""
    yield place.model.prefix
    yield from place.placed.path.split(".")
