"""What a message travels in: a small routing header and an opaque body.

A router reads the header only. On a link a frame is `u32 length | u16 header length | header | body`, the header
a msgpack array and the body whatever the site's codec made of the message.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence

import msgspec

MAX_FRAME_BYTES = 32 << 20
"""A reader takes a larger frame for a broken link. The description of a cell of hundreds of devices fits."""

MAX_BODY_BYTES = 1 << 20
"""A larger message of an actor is a dead letter."""

MAX_TRACE_CHARS = 512
"""A message with a longer trace context is a dead letter; `traceparent` has 55 characters."""

_MAX_HEADER_BYTES = (1 << 16) - 1

_PREFIX = struct.Struct(">IH")


class Lane(enum.IntEnum):
    """In what order a mailbox serves frames and what it does when it is full."""

    CONTROL = 0
    """Served first, never dropped for a well-behaved sender."""
    LATEST = 1
    """Only the newest frame of each sender is kept."""
    TELEMETRY = 2
    """Oldest frames are dropped, and counted, when the lane is full."""


class Header(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Who sent a frame to whom, and until when it means anything."""

    receiver: str
    sender: str
    epoch: int
    """The sender's incarnation: a revoked epoch is not heard any more."""
    lane: Lane = Lane.TELEMETRY
    deadline_ns: int = 0
    """Monotonic nanoseconds after which a command must not be carried out; 0 means no deadline."""
    trace: str = ""
    """W3C `traceparent`, or empty."""
    also: tuple[str, ...] = ()
    """Further receivers: what goes to many actors of other cells crosses a link once."""

    @property
    def receivers(self) -> tuple[str, ...]:
        """Everybody it is for."""
        return (self.receiver, *self.also)


class Frame(msgspec.Struct, frozen=True):
    """A header and the encoded message."""

    header: Header
    body: bytes


def addressed(frame: Frame, receivers: Sequence[str]) -> Frame:
    """Return `frame` for these of its receivers only."""
    if len(receivers) == 1 + len(frame.header.also):
        return frame
    header = msgspec.structs.replace(frame.header, receiver=receivers[0], also=tuple(receivers[1:]))
    return Frame(header, frame.body)


class BrokenLinkError(Exception):
    """The bytes on a link are not frames; nothing after them can be trusted."""


_header_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(Header)


def is_oversized(frame: Frame) -> bool:
    """Return whether `frame` is more than an actor may send."""
    return len(frame.body) > MAX_BODY_BYTES or len(frame.header.trace) > MAX_TRACE_CHARS


def pack(frame: Frame) -> bytes:
    """Return the bytes of `frame` as they go over a link.

    Raises:
        ValueError: the frame is larger than `MAX_FRAME_BYTES`, or its header than a header may be.
    """
    header = _header_encoder.encode(frame.header)
    length = len(header) + len(frame.body)
    if len(header) > _MAX_HEADER_BYTES:
        msg = f"header of a frame has {len(header)} bytes, limit {_MAX_HEADER_BYTES}"
        raise ValueError(msg)
    if length > MAX_FRAME_BYTES:
        msg = f"frame to {frame.header.receiver} has {length} bytes, limit {MAX_FRAME_BYTES}"
        raise ValueError(msg)
    return _PREFIX.pack(length, len(header)) + header + frame.body


class FrameReader:
    """Cuts a stream of bytes into frames; feed it whatever a socket returns."""

    def __init__(self) -> None:
        """Start with an empty stream."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Add `data` and return the frames that are now complete.

        Raises:
            BrokenLinkError: a length is out of bounds or a header does not decode.
        """
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        start = 0
        while len(buffer) - start >= _PREFIX.size:
            length, header_length = _PREFIX.unpack_from(buffer, start)
            if length > MAX_FRAME_BYTES or header_length > length:
                msg = f"frame length {length} with header length {header_length} is impossible"
                raise BrokenLinkError(msg)
            end = start + _PREFIX.size + length
            if len(buffer) < end:
                break
            frames.append(_cut(buffer, start + _PREFIX.size, header_length, end))
            start = end
        del buffer[:start]
        return frames


def _cut(buffer: bytearray, start: int, header_length: int, end: int) -> Frame:
    with memoryview(buffer) as view:
        body_start = start + header_length
        try:
            header = _header_decoder.decode(view[start:body_start])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            msg = f"frame header does not decode: {error}"
            raise BrokenLinkError(msg) from error
        return Frame(header, bytes(view[body_start:end]))
