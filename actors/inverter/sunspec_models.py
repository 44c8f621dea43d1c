"""The SunSpec information models that this gateway knows, as data: which register holds what.

`sunspec_models.json` is an extract of the model definitions that the SunSpec Alliance maintains and the package
pysunspec2 ships (docs/adr/0010); nothing of that package is needed at run time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec

HEADER = 2
"""Words before a model's data: its number and its length."""
INVERTERS = (111, 112, 113, 101, 102, 103)
"""The six ways to report an inverter: one, split and three phases, in floating point and in scaled integers."""
INVERTER = "inverter"
"""What stands for any of them where a profile names a model."""

_FILE = Path(__file__).with_name("sunspec_models.json")


class ModelPoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a model."""

    name: str
    type: str
    """SunSpec's: `uint16`, `sunssf`, `acc32`, `enum16`, ..."""
    size: int
    """In registers."""
    sf: str = ""
    """The point that holds its power of ten."""
    units: str = ""
    writable: bool = False
    mandatory: bool = False
    symbols: dict[str, int] = {}
    """Numbers of an enumeration or bits of a bitfield, by name."""


class ModelGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points that belong together; those of a model's own groups follow its points."""

    name: str
    repeated: bool = False
    """Whether it stands there as often as the model's length has room for it."""
    points: tuple[ModelPoint, ...]
    groups: tuple[ModelGroup, ...] = ()

    @property
    def size(self) -> int:
        """Words of one of it, without groups that are repeated."""
        inner = sum(group.size for group in self.groups if not group.repeated)
        return sum(point.size for point in self.points) + inner


class Extract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    package: str
    version: str
    licence: str
    about: str
    models: dict[int, ModelGroup]


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """One point where a device has it."""

    point: ModelPoint
    path: str
    """Its name within the model: `W`, `module.3.DCW`, `PFWInj.PF`."""
    offset: int
    """In words from the model's first, which holds its number."""


_DECODER = msgspec.json.Decoder(Extract)


@functools.cache
def known_models() -> dict[int, ModelGroup]:
    """Return the models by number."""
    return _DECODER.decode(_FILE.read_bytes()).models


def layout(model: ModelGroup, length: int) -> tuple[Placed, ...]:
    """Return the points of a `model` that tells `length` words of data; those beyond its end are left out."""
    end = HEADER + length
    return tuple(each for each in _walk(model, "", 0, end) if each.offset + each.point.size <= end)


def _walk(group: ModelGroup, prefix: str, offset: int, end: int) -> Iterator[Placed]:
    for point in group.points:
        yield Placed(point=point, path=prefix + point.name, offset=offset)
        offset += point.size
    for inner in group.groups:
        times = (end - offset) // inner.size if inner.repeated else 1
        for number in range(1, times + 1):
            own = f"{prefix}{inner.name}." + (f"{number}." if inner.repeated else "")
            yield from _walk(inner, own, offset, end)
            offset += inner.size
