"""A device described as data: what to read, what it means, how to command it.

A profile is a TOML file in config/profiles; `actors.inverter.profile_file` reads it. These structs are what it becomes.
They travel inside `InverterConfig`, so they are plain msgpack data, and refuse by themselves what cannot work.
docs/profiles.md explains every key.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from actors.inverter.plausibility import Plausibility
from actors.inverter.profile_device import Identity, Requirement, Timing
from actors.inverter.profile_points import (
    MAX_ADDRESS,
    MAX_READ_REGISTERS,
    Bit,
    Block,
    Condition,
    Part,
    Point,
    PointType,
    PollClass,
    Severity,
    WordOrder,
    refuse,
)
from actors.inverter.profile_write import (
    Effect,
    Operand,
    Precondition,
    Sequence,
    Step,
    WriteSpec,
)
from actors.inverter.sunspec_profile import SunSpecProfile

__all__ = [
    "GRID_POINTS",
    "MAX_ADDRESS",
    "MAX_READ_REGISTERS",
    "REQUIRED_POINTS",
    "VITAL_POINTS",
    "AnyProfile",
    "Bit",
    "Block",
    "Condition",
    "Effect",
    "Identity",
    "Operand",
    "Plausibility",
    "Point",
    "PointType",
    "PollClass",
    "Precondition",
    "Profile",
    "Requirement",
    "Sequence",
    "Severity",
    "Step",
    "Timing",
    "WordOrder",
    "WriteSpec",
]

VITAL_POINTS = (
    "soc_pct",
    "battery_temperature_c",
    "battery_power_w",
    "battery_voltage_v",
    "battery_current_a",
    "max_charge_w",
    "max_discharge_w",
)
"""What safety decides on: where a profile has the points, they are read in safety blocks."""

GRID_POINTS = ("grid_frequency_hz", "grid_voltage_v", "grid_power_w")
"""What safety also decides on where a profile has it: read with the rest of the poll, and told with the next vitals."""

REQUIRED_POINTS = (
    "soc_pct",
    "battery_temperature_c",
    "battery_power_w",
    "max_charge_w",
    "max_discharge_w",
)
"""Vitals without which a battery can be neither watched nor commanded."""

MAX_UNIT = 255
MIN_SLOW_S, MAX_SLOW_S = 0.1, 86_400.0

_TYPE_NAMES = frozenset(kind.value for kind in PointType)


class Profile(Part, frozen=True, kw_only=True, dict=True, tag_field="kind", tag="registers"):
    """Everything that the gateway knows of a kind of device whose registers stand where they stand."""

    name: str
    title: str
    identity: Identity
    timing: Timing
    blocks: tuple[Block, ...]
    write: WriteSpec
    unit_id: int = 1
    """The Modbus unit that usually answers; a device's own configuration may override it."""
    max_registers: int = MAX_READ_REGISTERS
    """The longest read that the device answers; longer blocks are refused."""
    word_order: WordOrder = WordOrder.BIG
    """Which word of a value of several registers comes first."""
    slow_s: float = 30.0
    """How often slow blocks are read."""
    sentinels: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    """By type name: raw values, as unsigned words, that mean "not available"."""
    vitals: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """By vital: the points of all battery units that make it; without it the point of the vital's own name."""
    plausibility: Plausibility = Plausibility()
    """What makes a value invalid that its range and sentinels do not: docs/plausibility.md."""
    login: str = ""
    """Which login a person must arrange where the device answers that permission is denied."""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a profile whose parts do not fit together, telling all that does not."""
        homes = self.homes
        faults = [
            *self._reading_faults(homes),
            *self._vital_faults(homes),
            *self._grid_faults(homes),
            *self._writing_faults(homes),
            *self._plausibility_faults(homes),
        ]
        faults += [
            f"sentinels: {kind!r} is not a type; use one of {', '.join(sorted(_TYPE_NAMES))}"
            for kind in sorted(set(self.sentinels) - _TYPE_NAMES)
        ]
        if not 0 <= self.unit_id <= MAX_UNIT:
            faults.append(f"unit_id = {self.unit_id} is not allowed: expected 0 to {MAX_UNIT}")
        if not MIN_SLOW_S <= self.slow_s <= MAX_SLOW_S:
            faults.append(
                f"slow_s = {self.slow_s} is not allowed: expected {MIN_SLOW_S} to {MAX_SLOW_S}"
            )
        if faults:
            refuse("\n".join(faults))

    @functools.cached_property
    def memo(self) -> dict[object, Any]:
        """What others have worked out from this profile, once for all devices that share it."""
        return {}

    @functools.cached_property
    def homes(self) -> dict[str, Block]:
        """The block of every point, by the point's name.

        Raises:
            ValueError: a point stands twice.
        """
        homes: dict[str, Block] = {}
        for block in self.blocks:
            for point in block.points:
                if point.name in homes:
                    refuse(
                        f"point {point.name} is in block {homes[point.name].name} and in block {block.name}"
                    )
                homes[point.name] = block
        return homes

    @functools.cached_property
    def points(self) -> dict[str, Point]:
        """Every point, by name."""
        return {point.name: point for block in self.blocks for point in block.points}

    def vital_points(self) -> dict[str, tuple[str, ...]]:
        """Return by vital the names of the points that make it; a vital that the device does not have is left out."""
        known = self.points
        usual = {name: (name,) for name in VITAL_POINTS if name in known}
        return {
            name: (usual | self.vitals)[name]
            for name in VITAL_POINTS
            if name in usual | self.vitals
        }

    def grid_points(self) -> tuple[str, ...]:
        """Return what the device tells of the grid, of all that safety decides on."""
        return tuple(name for name in GRID_POINTS if name in self.points)

    def _reading_faults(self, homes: dict[str, Block]) -> Iterator[str]:
        for block in self.blocks:
            if block.count > self.max_registers:
                yield f"block {block.name}: count = {block.count} is above max_registers = {self.max_registers}"
            yield from self._condition_faults(f"block {block.name}", block.only_if, homes)
            for point in block.points:
                yield from self._condition_faults(f"point {point.name}", point.only_if, homes)

    def _condition_faults(
        self, place: str, condition: Condition | None, homes: dict[str, Block]
    ) -> Iterator[str]:
        if condition is None:
            return
        if condition.point not in homes:
            yield f"{place}: only_if names {condition.point!r}, which is not a point of any block"
        elif self._circular(condition, homes):
            yield f"{place}: only_if {condition.point}: whether that is read depends on this, so neither ever is"
        elif condition.not_empty == self._is_number(condition.point, homes):
            what = "a number" if condition.not_empty else "a string"
            yield f"{place}: only_if: {condition.point} is {what}; not_empty is for strings, the others for numbers"

    @staticmethod
    def _circular(condition: Condition, homes: dict[str, Block]) -> bool:
        """Return whether a condition depends on a block that depends on itself."""
        seen: set[str] = set()
        outer: Condition | None = condition
        while outer is not None and outer.point in homes:
            block = homes[outer.point]
            if block.name in seen:
                return True
            seen.add(block.name)
            outer = block.only_if
        return False

    def _vital_faults(self, homes: dict[str, Block]) -> Iterator[str]:
        """Tell what safety would miss or hear late."""
        for name in self.vitals:
            if name not in VITAL_POINTS:
                yield f"vitals: {name!r} is not a vital; use one of {', '.join(VITAL_POINTS)}"
        vitals = self.vital_points()
        for name in REQUIRED_POINTS:
            if name not in vitals:
                yield f"point {name} is missing: without it the battery cannot be watched"
        needed = [(f"vitals.{vital}", name) for vital, names in vitals.items() for name in names]
        for key, name in (*needed, ("write.forced_point", self.write.forced_point)):
            if name not in homes:
                yield f"{key} = {name!r} is not a point of any block"
            elif not self._is_number(name, homes):
                yield f"{key} = {name!r} is not a number"
            elif homes[name].poll_class is not PollClass.SAFETY:
                yield f'point {name} is in block {homes[name].name}: put it into a block with class = "safety"'

    def _grid_faults(self, homes: dict[str, Block]) -> Iterator[str]:
        """Tell what of the grid would be too old, or no number."""
        for name in GRID_POINTS:
            if name not in homes:
                continue
            if not self._is_number(name, homes):
                yield f"point {name} is not a number"
            elif homes[name].poll_class not in {PollClass.SAFETY, PollClass.FAST}:
                yield (
                    f"point {name} is in block {homes[name].name}: put it into a block that is read in every"
                    ' poll, with class = "fast"'
                )

    def _writing_faults(self, homes: dict[str, Block]) -> Iterator[str]:
        named = [("write.requires", requirement.point) for requirement in self.write.requires]
        named += [("write.watched", name) for name in self.write.watched]
        for key, name in named:
            if name not in homes:
                yield f"{key}: {name!r} is not a point of any block"
            elif not self._is_number(name, homes):
                yield f"{key}: {name!r} is not a number"
        if self.word_order is WordOrder.BIG:
            return
        for sequence, steps in self.write.sequences():
            for step in steps:
                if step.type.registers > 1 and step.word_order is None:
                    yield (
                        f"write.{sequence.value}, step {step.name}: word_order is missing: the profile's is little,"
                        " so say which this step writes"
                    )

    def _plausibility_faults(self, homes: dict[str, Block]) -> Iterator[str]:
        try:
            self.plausibility.require_points(
                [name for name in homes if self._is_number(name, homes)]
            )
        except ValueError as error:
            yield str(error)

    @staticmethod
    def _is_number(name: str, homes: dict[str, Block]) -> bool:
        """Return whether a point is one that samples hold: neither a string nor a power of ten for others."""
        block = homes[name]
        point = next(point for point in block.points if point.name == name)
        return point.type is not PointType.STR and name not in block.scales()


AnyProfile: TypeAlias = Profile | SunSpecProfile
"""Every kind of profile that a device may have; `kind` tells them apart."""
