"""Many records in one row: packed together and compressed where that makes them shorter.

A hundred similar messages shrink to about a fifth; a single short one does not shrink, and is kept as it is.
"""

from __future__ import annotations

import enum
import zlib
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import zstandard

from actors.publisher.record import Record

MAX_RECORDS: Final = 100
MAX_BYTES: Final = 1 << 20
"""So much of bodies a block holds; a larger record has one of its own."""
_LEVEL: Final = 3
_LIMIT_BYTES: Final = 64 << 20
"""No block decompresses to more: records are smaller than an actor's largest message."""
_CRC_BYTES: Final = 4


class Packing(enum.IntEnum):
    """How a block's bytes are to be read."""

    PLAIN = 0
    ZSTD = 1


class DamagedBlockError(Exception):
    """The bytes are not what was packed."""


class Block(NamedTuple):
    """A row's worth of records of one lane."""

    packing: Packing
    records: int
    wall_ns: int
    """Stamp of the first record."""
    body: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])
_compressor = zstandard.ZstdCompressor(level=_LEVEL)
_decompressor = zstandard.ZstdDecompressor()


def pack(records: Sequence[Record]) -> Block:
    """Return `records`, at least one, as a block."""
    plain = _encoder.encode(records)
    short = _compressor.compress(plain)
    wall_ns = records[0].wall_ns
    if len(short) < len(plain):
        return Block(Packing.ZSTD, len(records), wall_ns, short)
    return Block(Packing.PLAIN, len(records), wall_ns, plain)


def unpack(packing: int, body: bytes) -> list[Record]:
    """Return the records of a block.

    Raises:
        DamagedBlockError: the bytes are no block.
    """
    try:
        if packing == Packing.ZSTD:
            body = _decompressor.decompress(body, max_output_size=_LIMIT_BYTES)
        return _decoder.decode(body)
    except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DamagedBlockError(str(error)) from error


def cut(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Yield `records`, all of one lane, in runs that each make one block."""
    run: list[Record] = []
    size = 0
    for record in records:
        if run and (len(run) == MAX_RECORDS or size + len(record.body) > MAX_BYTES):
            yield run
            run, size = [], 0
        run.append(record)
        size += len(record.body)
    if run:
        yield run


def checksum(lane: int, block: Block) -> int:
    """Return the checksum over everything a row says, except which of its records are settled."""
    head = f"{lane} {int(block.packing)} {block.records} {block.wall_ns} ".encode()
    return zlib.crc32(block.body, zlib.crc32(head))


def encode_settled(row_id: int, settled: set[int], records: int) -> bytes:
    """Return the places of a block that need not be sent any more, with a checksum of their own."""
    bits = sum(1 << index for index in settled).to_bytes((records + 7) // 8, "little")
    return bits + zlib.crc32(bits, row_id & 0xFFFFFFFF).to_bytes(_CRC_BYTES, "little")


def decode_settled(row_id: int, stored: object) -> set[int]:
    """Return what `encode_settled` stored; nothing if it is damaged, so that records are sent again, not skipped."""
    if not isinstance(stored, bytes) or not stored:
        return set()
    bits, crc = stored[:-_CRC_BYTES], stored[-_CRC_BYTES:]
    if zlib.crc32(bits, row_id & 0xFFFFFFFF).to_bytes(_CRC_BYTES, "little") != crc:
        return set()
    number = int.from_bytes(bits, "little")
    return {index for index in range(len(bits) * 8) if number >> index & 1}
