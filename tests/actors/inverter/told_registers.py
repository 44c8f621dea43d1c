"""A SunSpec device that is nothing but its registers, for tests of how it is recognised."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

from actors.inverter.errors import device_error
from actors.inverter.sunspec_models import HEADER, known_models, layout

SUNS = [0x5375, 0x6E53]
END = [0xFFFF, 0]

_FORMATS = {
    "int16": ">h",
    "sunssf": ">h",
    "uint32": ">I",
    "acc32": ">I",
    "bitfield32": ">I",
    "int32": ">i",
    "uint64": ">Q",
    "float32": ">f",
}
_MISSING = {
    "int16": "8000",
    "sunssf": "8000",
    "uint32": "ffffffff",
    "bitfield32": "ffffffff",
    "int32": "80000000",
    "uint64": "ffffffffffffffff",
    "float32": "7fc00000",
    "acc32": "00000000",
}


class ToldRegisters:
    """Registers by address; whatever else is read answers exception 2."""

    def __init__(self, words: Iterable[int], base: int = 40000) -> None:
        self.words = dict(enumerate(words, base))
        self.reads: list[tuple[int, int]] = []
        self.longest = 125
        self.exception = 2

    async def read(self, address: int, count: int) -> list[int]:
        self.reads.append((address, count))
        assert count <= self.longest
        asked = range(address, address + count)
        if not all(each in self.words for each in asked):
            raise device_error(self.exception, f"reading {count} registers from {address}")
        return [self.words[each] for each in asked]


def model(number: int, values: Mapping[str, float | str], length: int = 0) -> list[int]:
    """Return the words of a model: raw numbers by path, everything else not implemented."""
    length = length or known_models()[number].size - HEADER
    words: list[int] = []
    for placed in layout(known_models()[number], length):
        data = _packed(placed.point.type, placed.point.size, values.get(placed.path))
        words += struct.unpack(f">{placed.point.size}H", data)
    return [number, length, *words[HEADER:]]


def common(manufacturer: str = "Maker", name: str = "Storage 5") -> list[int]:
    return model(1, {"Mn": manufacturer, "Md": name, "Vr": "1.2", "SN": "S-1"})


def device(*models: list[int], base: int = 40000, end: Iterable[int] = END) -> ToldRegisters:
    words = [word for each in models for word in each]
    return ToldRegisters([*SUNS, *words, *end], base)


def _packed(kind: str, size: int, value: float | str | None) -> bytes:
    if kind == "string":
        return str(value or "").encode().ljust(2 * size, b"\0")
    if value is None:
        return bytes.fromhex(_MISSING.get(kind, "ffff"))
    assert not isinstance(value, str)
    return struct.pack(_FORMATS.get(kind, ">H"), value if kind == "float32" else int(value))
