"""Compiles what a SunSpec device told into an ordinary profile: blocks, points, vitals, sequences. Pure.

Everything that is mandatory in its model or held a value when the device was recognised becomes a point; the rest of a
model is padding to this device. Blocks lie within one model and within what one request can read; a power of ten is
read together with what it scales.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

import msgspec
import structlog

from actors.inverter.errors import WrongDeviceError
from actors.inverter.plausibility import Plausibility, names_of
from actors.inverter.profile import REQUIRED_POINTS, VITAL_POINTS, Identity, Profile
from actors.inverter.profile_points import Block, Point, PointType, PollClass
from actors.inverter.sunspec_chain import COMMON, Chain
from actors.inverter.sunspec_names import Named, point_of, usual_name
from actors.inverter.sunspec_profile import Quantity, SunSpecProfile, parts_of
from actors.inverter.sunspec_values import Place, Told
from actors.inverter.sunspec_write import control_of

_SLOW_MODELS = frozenset({120, 121, 123, 702, 704})
"""Ratings and settings: they change when someone changes them."""
_HOUSEKEEPING = frozenset({"ID", "L"})
_UNNAMED_MODULE = "module"

_log = structlog.get_logger()


def compile_profile(profile: SunSpecProfile, chain: Chain) -> Profile:
    """Return how to read and command the device that told `chain`.

    Raises:
        WrongDeviceError: it is no storage, or what it tells does not fit together.
    """
    compiler = _Compiler(profile, chain)
    try:
        return _shared(_Compiled(compiler.compiled()))
    except ValueError as error:
        msg = f"the SunSpec models of this device do not make a profile: {error}"
        raise WrongDeviceError(msg) from error


class _Compiled:
    """A profile that is told from others by what it says."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._encoded = msgspec.msgpack.encode(profile)

    def __hash__(self) -> int:
        return hash(self._encoded)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Compiled) and self._encoded == other._encoded


@functools.lru_cache(maxsize=32)
def _shared(compiled: _Compiled) -> Profile:
    """Return one object for all devices that are alike, so that what is worked out of it is worked out once."""
    return compiled.profile


class _Compiler:
    """The names that have been given, and to what."""

    def __init__(self, profile: SunSpecProfile, chain: Chain) -> None:
        self._profile = profile
        self._chain = chain
        self._told = Told(chain, profile.modules, profile.sentinels)
        self._named: dict[int, list[Named]] = {}
        """By address; a place may be wanted as two quantities, such as power at the grid and of the battery."""
        self._vitals: dict[str, tuple[str, ...]] = {}
        self._notes = list(chain.notes)

    def compiled(self) -> Profile:
        """Return the profile."""
        profile = self._profile
        for quantity in profile.quantities:
            self._choose(quantity)
        self._name_the_rest()
        watched = self._vitals.get("soc_pct", ())
        if not watched:
            msg = "it tells no state of charge (713, 802 or 124): not a storage"
            raise WrongDeviceError(msg)
        control = control_of(profile.write, self._told, self._name_of, watched[0])
        missing = [vital for vital in REQUIRED_POINTS if not self._vitals.get(vital)]
        self._notes += [f"it cannot tell {vital}" for vital in missing]
        self._notes += [control.spec.impossible] if control.spec.impossible else []
        safety = {name for names in self._vitals.values() for name in names} | {control.forced}
        blocks = (*self._blocks(safety), *control.blocks)
        names = {point.name for block in blocks for point in block.points}
        _log.info("sunspec device", models=self._models(), notes=self._notes)
        return Profile(
            name=profile.name,
            title=profile.title,
            identity=self._identity(),
            timing=profile.timing,
            blocks=blocks,
            write=control.spec,
            unit_id=profile.unit_id,
            max_registers=profile.max_registers,
            slow_s=profile.slow_s,
            sentinels=self._told.sentinels,
            vitals=self._vitals | dict.fromkeys(missing, ()),
            plausibility=_about(profile.plausibility, names),
            login=profile.login,
            source="; ".join([f"SunSpec models {self._models()}", *self._notes, profile.source]),
        )

    def _models(self) -> str:
        return ", ".join(str(model.number) for model in self._chain.models)

    def _choose(self, quantity: Quantity) -> None:
        """Give the quantity's name to the first source that holds a value, or that exists at least."""
        extra = () if self._told.shows_pv else quantity.without_pv
        sources = [(s, self._places(s)) for s in (*quantity.sources, *extra)]
        there = [(source, places) for source, places in sources if places]
        good = [each for each in there if all(map(self._told.has, each[1]))]
        if not there:
            return
        source, places = (good or there)[0]
        names = tuple(
            self._give(place, quantity, number, alone="+" not in source, many=len(places) > 1)
            for number, place in enumerate(places, 1)
        )
        if quantity.name in VITAL_POINTS:
            self._vitals[quantity.name] = names

    def _places(self, source: str) -> list[Place]:
        """Return the places of every part of a source; none if one of the parts is not there."""
        found = [self._told.find(part) for part in parts_of(source)]
        return [place for places in found for place in places] if all(found) else []

    def _give(
        self, place: Place, quantity: Quantity, number: int, *, alone: bool, many: bool
    ) -> str:
        """Return the name of a place: the quantity's, one for each of several, or one that tells the same already."""
        flipped = [each.address for source in quantity.flip for each in self._told.find(source)]
        flip = place.address in flipped
        given = self._named.setdefault(place.address, [])
        same = next((each.name for each in given if each.flip is flip), "")
        if same and quantity.name in VITAL_POINTS:
            return same
        name = usual_name(place)
        if many and quantity.each:
            name = quantity.each.replace("{n}", str(number))
        elif alone and number == 1:
            name = quantity.name
        given.append(Named(place=place, name=name, quantity=quantity, flip=flip))
        return name

    def _name_of(self, place: Place) -> str:
        """Return the name of a place, and read it whether or not it held a value."""
        given = self._named.setdefault(place.address, [])
        if not given:
            given.append(Named(place=place, name=usual_name(place)))
        return given[0].name

    def _name_the_rest(self) -> None:
        for place in self._told.places:
            point = place.placed.point
            if point.name in _HOUSEKEEPING and not _in_module(place):
                continue
            if point.type != "sunssf" and (point.mandatory or self._told.has(place)):
                self._name_of(place)

    def _identity(self) -> Identity:
        """Return where the common model holds who the device is."""
        common = next(model for model in self._chain.models if model.number == COMMON)
        at = {each.path: each for each in common.places()}
        first, model, serial = at["Mn"], at["Md"], at["SN"]
        return Identity(
            address=common.address + first.offset,
            count=serial.offset + serial.point.size - first.offset,
            model_offset=model.offset - first.offset,
            model_registers=model.point.size,
            serial_offset=serial.offset - first.offset,
            serial_registers=serial.point.size,
            model_pattern=self._profile.model_pattern,
            source="SunSpec model 1",
        )

    def _blocks(self, safety: set[str]) -> Iterable[Block]:
        """Yield the requests, model by model and class by class, in the order of the chain."""
        for model in self._chain.models:
            own = [given for given in self._named.values() if given[0].place.model is model]
            own.sort(key=lambda given: given[0].place.address)
            urgent = any(each.name in safety for given in own for each in given)
            packer = _Packer(self._told, model.prefix, self._profile.max_registers)
            for layer in range(max(map(len, own), default=0)):
                layered = [given[layer] for given in own if len(given) > layer]
                beside = urgent and layer == 0
                for kind in PollClass:
                    chosen = [e for e in layered if _class_of(e, safety, urgent=beside) is kind]
                    yield from packer.blocks(kind, chosen)
            self._notes += packer.notes


def _class_of(named: Named, safety: set[str], *, urgent: bool) -> PollClass:
    """Return when a point is read; what stands beside what safety needs is read with it."""
    place = named.place
    if named.name in safety:
        return PollClass.SAFETY
    if place.model.number == COMMON or place.type is PointType.STR:
        return PollClass.ONCE
    if place.model.number in _SLOW_MODELS:
        return PollClass.SLOW
    return PollClass.SAFETY if urgent else PollClass.FAST


class _Packer:
    """Puts the points of one model into requests."""

    def __init__(self, told: Told, prefix: str, longest: int) -> None:
        self._told = told
        self._prefix = prefix
        self._longest = longest
        self._scales: dict[str, int] = {}
        self._count = 0
        self.notes: list[str] = []

    def blocks(self, kind: PollClass, named: list[Named]) -> Iterable[Block]:
        """Yield the blocks of a class; a point whose scale no request reaches is left out, and noted."""
        batch: list[Named] = []
        for each in named:
            if self._span([each])[1] > self._longest:
                self.notes.append(f"{each.name} is too far from its scale to be read with it")
                continue
            if batch and self._span([*batch, each])[1] > self._longest:
                yield self._block(kind, batch)
                batch = []
            batch.append(each)
        if batch:
            yield self._block(kind, batch)

    def _span(self, batch: list[Named]) -> tuple[int, int]:
        """Return the first register of `batch` and its scales, and how many registers it spans."""
        places = [each.place for each in batch]
        places += [scale for scale in map(self._told.scale, places) if scale is not None]
        first = min(place.address for place in places)
        end = max(place.address + place.placed.point.size for place in places)
        return first, end - first

    def _block(self, kind: PollClass, batch: list[Named]) -> Block:
        self._count += 1
        end = "" if self._count == 1 else f"_{self._count}"
        scales: dict[int, Point] = {}
        points: list[Point] = []
        for each in batch:
            scale = self._told.scale(each.place)
            if scale is not None and scale.address not in scales:
                scales[scale.address] = Point(
                    name=usual_name(scale) + end, address=scale.address, type=PointType.I16
                )
            points.append(point_of(each, scales[scale.address].name if scale else ""))
        address, count = self._span(batch)
        ordered = sorted([*points, *scales.values()], key=lambda point: point.address)
        return Block(
            name=f"{self._prefix}{end}",
            address=address,
            count=count,
            poll_class=kind,
            points=tuple(ordered),
        )


def _in_module(place: Place) -> bool:
    return re.match(rf"{_UNNAMED_MODULE}\.", place.placed.path) is not None


def _about(checks: Plausibility, names: set[str]) -> Plausibility:
    """Return the checks all of whose points the device has."""
    kept = {
        field: tuple(rule for rule in rules if names.issuperset(names_of(rule)))
        for field in checks.__struct_fields__
        if isinstance(rules := getattr(checks, field), tuple)
    }
    return msgspec.structs.replace(checks, **kept)
