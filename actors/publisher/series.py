"""Samples of one device, column by column: like values stand together, so they shrink to a byte or so each.

A column whose values are all multiples of a power of ten, as what registers hold is, is kept as whole numbers and their
differences; any other as it is. Both give back exactly what was stored.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec
import zstandard

_DECIMALS: Final = (0, 1, 2, 3)
_PLAIN: Final = -1
_LIMIT: Final = 1 << 50
"""Larger numbers are not exact as a float times a power of ten."""
_LIMIT_BYTES: Final = 64 << 20

Value = float | None


class Reading(NamedTuple):
    """One sample as the history keeps it: its good values by point."""

    epoch: int
    seq: int
    wall_ns: int
    values: dict[str, float]


class _Column(msgspec.Struct, array_like=True):
    decimals: int
    values: list[Value]


class _Series(msgspec.Struct, array_like=True):
    epochs: list[int]
    seqs: list[int]
    stamps: list[int]
    columns: dict[str, _Column]


class DamagedSeriesError(Exception):
    """The bytes are not what was packed."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Series)
_compressor = zstandard.ZstdCompressor(level=3)
_decompressor = zstandard.ZstdDecompressor()


def pack(readings: Sequence[Reading]) -> bytes:
    """Return `readings` as bytes with a checksum."""
    names = dict.fromkeys(name for reading in readings for name in reading.values)
    series = _Series(
        epochs=_differences([r.epoch for r in readings]),
        seqs=_differences([r.seq for r in readings]),
        stamps=_differences([r.wall_ns for r in readings]),
        columns={name: _column([r.values.get(name) for r in readings]) for name in names},
    )
    body = _compressor.compress(_encoder.encode(series))
    return zlib.crc32(body).to_bytes(4, "big") + body


def unpack(stored: bytes) -> list[Reading]:
    """Return what was packed.

    Raises:
        DamagedSeriesError: the bytes are something else.
    """
    series = _decoded(stored)
    stamps = accumulate(series.stamps)
    rows: list[dict[str, float]] = [{} for _ in series.stamps]
    for name, column in series.columns.items():
        for row, value in zip(rows, _values(column), strict=True):
            if value is not None:
                row[name] = value
    heads = zip(accumulate(series.epochs), accumulate(series.seqs), stamps, strict=True)
    return [Reading(*head, row) for head, row in zip(heads, rows, strict=True)]


def column(stored: bytes, name: str) -> list[tuple[int, float]]:
    """Return stamp and value of one point, where there is a value.

    Raises:
        DamagedSeriesError: the bytes are no series.
    """
    series = _decoded(stored)
    found = series.columns.get(name)
    if found is None:
        return []
    stamps = accumulate(series.stamps)
    return [
        (stamp, value)
        for stamp, value in zip(stamps, _values(found), strict=True)
        if value is not None
    ]


def _decoded(stored: bytes) -> _Series:
    crc, body = stored[:4], stored[4:]
    if zlib.crc32(body).to_bytes(4, "big") != crc:
        raise DamagedSeriesError("the checksum does not fit")
    try:
        return _decoder.decode(_decompressor.decompress(body, max_output_size=_LIMIT_BYTES))
    except (zstandard.ZstdError, msgspec.MsgspecError) as error:
        raise DamagedSeriesError(str(error)) from error


def _differences(numbers: Sequence[int]) -> list[int]:
    return [number - before for number, before in zip(numbers, [0, *numbers], strict=False)]


def _column(values: list[Value]) -> _Column:
    for decimals in _DECIMALS:
        whole = _whole(values, 10**decimals)
        if whole is not None:
            return _Column(decimals, whole)
    return _Column(_PLAIN, values)


def _whole(values: Iterable[Value], scale: int) -> list[Value] | None:
    """Return differences of whole numbers, or None if `values` are not exactly such over `scale`."""
    found: list[Value] = []
    before = 0
    for value in values:
        if value is None:
            found.append(None)
            continue
        if not abs(value) * scale < _LIMIT:
            return None
        number = round(value * scale)
        if number / scale != value or (number == 0 and str(value).startswith("-")):
            return None
        found.append(number - before)
        before = number
    return found


def _values(column: _Column) -> list[Value]:
    if column.decimals == _PLAIN:
        return column.values
    found: list[Value] = []
    scale, total = 10**column.decimals, 0
    for difference in column.values:
        if difference is None:
            found.append(None)
        else:
            total += int(difference)
            found.append(total / scale)
    return found
