"""The registers of a simulated SunSpec device: a chain of models, laid out from the models' own definitions.

Nothing here is shared with the gateway's reading of the same models.
"""

from __future__ import annotations

import functools
import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bessai.simulator.registers import EncodingError, Value

MARK = (0x5375, 0x6E53)
"""`SunS`."""
END = (0xFFFF, 0)
DEFAULT_BASE = 40_000
MODULES = 4
"""Of model 160: two PV strings, the battery charging, the battery discharging."""
STRINGS = 1
"""Of model 803."""

_REPEATED = {160: MODULES, 803: STRINGS}
_FILE = Path(__file__).with_name("sunspec_models.json")
_FORMATS = {
    "uint16": ">H",
    "enum16": ">H",
    "count": ">H",
    "bitfield16": ">H",
    "int16": ">h",
    "sunssf": ">h",
    "uint32": ">I",
    "acc32": ">I",
    "bitfield32": ">I",
    "int32": ">i",
    "uint64": ">Q",
    "float32": ">f",
}

SCALES: dict[str, int] = {
    "A_SF": -2,
    "AMax_SF": -1,
    "CellV_SF": -3,
    "ChaState_SF": -2,
    "DCA_SF": -2,
    "DCV_SF": -1,
    "Hz_SF": -2,
    "InBatV_SF": -1,
    "InOutWRte_SF": -2,
    "ModTmp_SF": -1,
    "PF_SF": -2,
    "Pct_SF": -1,
    "SoC_SF": -1,
    "Tmp_SF": -1,
    "V_SF": -1,
    "WHRtg_SF": 1,
    "WH_SF": 1,
    "WRtg_SF": 1,
}
"""Powers of ten of this device, by the name of the point that tells them; 0 for the others."""


class SunSpecPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One point at its registers. A physical value is the raw number times ten to the power `exponent`."""

    name: str
    """Model and path: `802.SoC`, `160.module.3.DCW`."""
    address: int
    count: int
    type: str
    exponent: int = 0
    writable: bool = False
    symbols: dict[str, int] = {}

    @property
    def end(self) -> int:
        """The first address after the point."""
        return self.address + self.count

    def encode(self, value: Value) -> tuple[int, ...]:
        """Return the words of `value`.

        Raises:
            EncodingError: the value does not fit.
        """
        if self.type == "string":
            data = str(value).encode("ascii", "replace")[: 2 * self.count]
            return _words(data.ljust(2 * self.count, b"\0"))
        if isinstance(value, str):
            msg = f"{self.name} ({self.address}) holds a number, not the text {value!r}"
            raise EncodingError(msg)
        raw = value / pow(10.0, self.exponent)
        try:
            packed = struct.pack(_FORMATS[self.type], raw if self.type == "float32" else round(raw))
        except (struct.error, OverflowError, ValueError) as error:
            msg = f"{self.name}={value} does not fit register {self.address} ({self.type})"
            raise EncodingError(msg) from error
        return _words(packed)

    def decode(self, words: Iterable[int]) -> Value:
        """Return the physical value of `words`; a mark for "not implemented" is decoded like any other number."""
        data = b"".join(word.to_bytes(2, "big") for word in words)
        if self.type == "string":
            return data.split(b"\0", 1)[0].decode("ascii", "replace")
        number: float = struct.unpack(_FORMATS[self.type], data)[0]
        if self.exponent > 0:
            return number * pow(10.0, self.exponent)
        return number / pow(10.0, -self.exponent) if self.exponent else number

    def invalid_words(self) -> tuple[int, ...]:
        """Return SunSpec's mark for "not implemented": the lowest number of a signed type, NaN, zeros, or all ones."""
        match self.type:
            case "int16" | "int32" | "sunssf":
                return (0x8000, *(0 for _ in range(self.count - 1)))
            case "float32":
                return (0x7FC0, 0)
            case "string" | "acc32":
                return (0,) * self.count
            case "pad":
                return (0x8000,) * self.count
            case _:
                return (0xFFFF,) * self.count


class SunSpecMap(msgspec.Struct, frozen=True):
    """The chain of one device."""

    base: int
    models: tuple[int, ...]
    points: tuple[SunSpecPoint, ...]
    """Every point of every model, in order of address."""
    fixed: dict[int, int]
    """What is no point: the mark and the end of the chain."""

    @property
    def end(self) -> int:
        """The first address after the chain."""
        return self.points[-1].end + len(END)


def chain(models: Iterable[int], base: int = DEFAULT_BASE) -> SunSpecMap:
    """Return the registers of `models`, in this order, from `base` on.

    Raises:
        KeyError: a model is not known.
        ValueError: a model stands twice.
    """
    numbers = tuple(models)
    if len(set(numbers)) < len(numbers):
        msg = f"models {numbers} hold one twice; a simulated device has each once"
        raise ValueError(msg)
    fixed = {base: MARK[0], base + 1: MARK[1]}
    points: list[SunSpecPoint] = []
    address = base + len(MARK)
    for number in numbers:
        own = tuple(_placed(number, address))
        points += own
        address = own[-1].end
    return SunSpecMap(base, numbers, tuple(points), fixed | {address: END[0], address + 1: END[1]})


def headers(registers: SunSpecMap) -> dict[str, Value]:
    """Return what tells where models end and how they are scaled, by point name."""
    values: dict[str, Value] = {}
    for number in registers.models:
        own = [point for point in registers.points if point.name.startswith(f"{number}.")]
        values[f"{number}.ID"] = number
        values[f"{number}.L"] = own[-1].end - own[0].address - 2
        for point in own:
            if point.type == "sunssf":
                values[point.name] = scale_of(number, point.name.rpartition(".")[2])
    return values


def scale_of(model: int, name: str) -> int:
    """Return the power of ten that the point `name` of `model` holds."""
    if (model, name) == (701, "Hz_SF"):
        return -3
    if (model, name) == (103, "W_SF"):
        return 1  # so that a scale above 0 is met too
    return SCALES.get(name, 0)


def _placed(number: int, address: int) -> Iterator[SunSpecPoint]:
    for path, point in _walk(_definitions()[str(number)], "", number):
        yield SunSpecPoint(
            name=f"{number}.{path}",
            address=address,
            count=point["size"],
            type=point["type"],
            exponent=scale_of(number, point["sf"]) if "sf" in point else 0,
            writable=bool(point.get("writable")),
            symbols=point.get("symbols", {}),
        )
        address += point["size"]


def _walk(group: dict[str, Any], prefix: str, number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for point in group["points"]:
        yield prefix + point["name"], point
    for inner in group.get("groups", []):
        if not inner.get("repeated"):
            yield from _walk(inner, f"{prefix}{inner['name']}.", number)
            continue
        for each in range(1, _REPEATED[number] + 1):
            yield from _walk(inner, f"{prefix}{inner['name']}.{each}.", number)


@functools.cache
def _definitions() -> dict[str, Any]:
    models: dict[str, Any] = json.loads(_FILE.read_bytes())["models"]
    return models


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // 2}H", data)
