"""What a profile says of SunSpec devices: which values it wants under which names, and how it commands.

Where those values stand is not in it: the device tells its chain of models when it is asked, and `sunspec` compiles an
ordinary profile from both. docs/profiles.md explains the keys of ordinary profiles.
"""

from __future__ import annotations

import math
import re

import msgspec

from actors.inverter.plausibility import Plausibility
from actors.inverter.profile_device import Timing
from actors.inverter.profile_points import (
    MAX_ADDRESS,
    MAX_READ_REGISTERS,
    Part,
    refuse,
    require_between,
)
from actors.inverter.profile_write import Effect
from actors.inverter.sunspec_models import INVERTER, known_models

IMMEDIATE, STORAGE = 704, 124
"""The models by which a battery can be commanded: watts of the whole device, and percent of its charging power."""
_CONTROLS = frozenset({IMMEDIATE, STORAGE})
_SECONDS_OF_A_WORD = 0xFFFE


class Quantity(Part, frozen=True, kw_only=True):
    """A value under a canonical name, and where it may be found.

    A source is `MODEL.POINT`; the first whose points all are there and hold a value is taken. `A + B` is the sum of two
    points, `A | B` one with a high and a low extreme; both are for vitals, and of the second A bears the name.
    """

    name: str
    sources: tuple[str, ...] = msgspec.field(name="from", default=())
    without_pv: tuple[str, ...] = ()
    """Further sources, good for it only where the device shows no PV of its own."""
    flip: tuple[str, ...] = ()
    """The points whose sign is opposite to ours."""
    each: str = ""
    """The name where there are several, with `{n}` for their number; without it only the first is named."""
    unit: str = ""
    """If the models' own is not the usual one."""
    low: float = -math.inf
    high: float = math.inf
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse sources that no device can have."""
        for source in (*self.sources, *self.without_pv, *self.flip):
            for part in parts_of(source):
                model = part.partition(".")[0]
                if model != INVERTER and (not model.isdigit() or int(model) not in known_models()):
                    refuse(
                        f"point {self.name}: {part!r} does not begin with the number of a known model"
                    )


class Modules(Part, frozen=True, kw_only=True):
    """Which modules of model 160 are a battery's, by regular expressions for their names; the others are PV."""

    charge: str
    """Found as `160.charge`."""
    discharge: str
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no regular expression."""
        for key, pattern in (("charge", self.charge), ("discharge", self.discharge)):
            require_pattern(f"modules: {key}", pattern)


class SunSpecWrite(Part, frozen=True, kw_only=True):
    """How to command a battery by the SunSpec models, and what ends a command."""

    prefer: tuple[int, ...] = (IMMEDIATE, STORAGE)
    """The first of these models that the device has, with a timer that ends it, is used."""
    with_pv: tuple[int, ...] = (STORAGE,)
    """Those that command the battery itself even where the same inverter carries PV."""
    negative_rates: str = ""
    """Manufacturers whose devices are forced by model 124 only if the rate of the other direction is negative."""
    deadman_min: int
    deadman_max_min: int
    renew_s: float
    effect: Effect | None = None
    """What measured power must do after a set-point, as in other profiles."""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a command that nothing ends."""
        for model in (*self.prefer, *self.with_pv):
            if model not in _CONTROLS:
                refuse(f"write: {model} is not a model for commands; use 704 or 124")
        if not 1 <= self.deadman_min <= self.deadman_max_min:
            refuse(f"write: deadman_min = {self.deadman_min} must be 1 to {self.deadman_max_min}")
        require_between("write: deadman_max_min", self.deadman_max_min, 1, _SECONDS_OF_A_WORD // 60)
        if not 0 < self.renew_s <= self.deadman_min * 60 / 2:
            refuse(
                f"write: renew_s = {self.renew_s} must be above 0 and at most half the countdown,"
                f" {self.deadman_min * 30}"
            )
        require_pattern("write: negative_rates", self.negative_rates)


class SunSpecProfile(Part, frozen=True, kw_only=True, tag_field="kind", tag="sunspec"):
    """A kind of device that tells itself where its registers stand."""

    name: str
    title: str
    timing: Timing
    quantities: tuple[Quantity, ...]
    write: SunSpecWrite
    modules: Modules
    manufacturer_pattern: str = ".*"
    model_pattern: str = ".*"
    bases: tuple[int, ...] = (40000, 0, 50000)
    """Where the word `SunS` is looked for, in this order."""
    unit_id: int = 1
    max_registers: int = MAX_READ_REGISTERS
    """The longest read that the device answers."""
    slow_s: float = 30.0
    sentinels: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    """Raw values that mean "not available" beside SunSpec's own, by type."""
    plausibility: Plausibility = Plausibility()
    """Checks that name a point which a device does not have are left out for it."""
    login: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse a profile by which no device can be recognised."""
        require_pattern("manufacturer_pattern", self.manufacturer_pattern)
        require_pattern("model_pattern", self.model_pattern)
        require_between("max_registers", self.max_registers, 2, MAX_READ_REGISTERS)
        require_between("unit_id", self.unit_id, 0, 255)
        require_between("slow_s", self.slow_s, 0.1, 86_400)
        if not self.bases:
            refuse("bases is empty: expected addresses such as 40000")
        for base in self.bases:
            require_between("bases", base, 0, MAX_ADDRESS)
        names = [quantity.name for quantity in self.quantities]
        for name in names:
            if names.count(name) > 1:
                refuse(f"point {name} stands twice")


def parts_of(source: str) -> list[str]:
    """Return the points that a source consists of."""
    return [part.strip() for part in re.split(r"[+|]", source)]


def require_pattern(key: str, pattern: str) -> None:
    """Refuse a `pattern` that is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        refuse(f"{key} = {pattern!r} is not a regular expression: {error}")
