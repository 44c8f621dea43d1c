"""Frames survive any cutting of the stream, and nothing else passes for a frame."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision.codec import Codec, MalformedMessageError
from supervision.envelope import (
    MAX_FRAME_BYTES,
    BrokenLinkError,
    Frame,
    FrameReader,
    Header,
    Lane,
    pack,
)
from tests.supervision.toys import CODEC, Did, Do

HEADERS = st.builds(
    Header,
    receiver=st.text(max_size=20),
    sender=st.text(max_size=20),
    epoch=st.integers(0, 2**63 - 1),
    lane=st.sampled_from(Lane),
    deadline_ns=st.integers(0, 2**63 - 1),
    trace=st.text(max_size=60),
)
DEEP = b"\x91" * 50_000 + b"\xc0"
"""Arrays in arrays, deeper than a decoder recurses."""
GOOD = ["receiver", "sender", 1, 0, 0, ""]
FRAMES = st.builds(Frame, HEADERS, st.binary(max_size=300))


@given(frames=st.lists(FRAMES, max_size=8), cut=st.integers(1, 50))
def test_frames_arrive_whole_however_the_stream_is_cut(frames: list[Frame], cut: int) -> None:
    stream = b"".join(pack(frame) for frame in frames)
    reader = FrameReader()
    arrived = []
    for start in range(0, len(stream), cut):
        arrived += reader.feed(stream[start : start + cut])
    assert arrived == frames


@given(st.binary(max_size=200))
def test_nonsense_breaks_the_link_or_waits_for_more_but_never_raises_anything_else(
    data: bytes,
) -> None:
    with contextlib.suppress(BrokenLinkError):
        FrameReader().feed(data)


def test_a_frame_beyond_the_limit_is_refused_by_name() -> None:
    frame = Frame(Header(receiver="api", sender="a", epoch=1), bytes(MAX_FRAME_BYTES))
    with pytest.raises(ValueError, match="frame to api has"):
        pack(frame)


def test_a_header_beyond_the_limit_is_refused() -> None:
    frame = Frame(Header(receiver="api", sender="a", epoch=1, trace="x" * 70_000), b"")
    with pytest.raises(ValueError, match="header of a frame has"):
        pack(frame)


def framed(header: bytes) -> bytes:
    return len(header).to_bytes(4, "big") + len(header).to_bytes(2, "big") + header


@given(st.integers(0, 5), st.one_of(st.none(), st.lists(st.booleans()), st.binary()))
def test_a_header_with_a_field_of_another_type_breaks_the_link(field: int, value: object) -> None:
    header = msgspec.msgpack.encode([*GOOD[:field], value, *GOOD[field + 1 :]])
    with pytest.raises(BrokenLinkError, match="header does not decode"):
        FrameReader().feed(framed(header))


@pytest.mark.parametrize(
    "header",
    [
        b"\x97" + msgspec.msgpack.encode(GOOD)[1:] + DEEP,
        msgspec.msgpack.encode(GOOD).replace(b"sender", b"\xff" * 6),
        msgspec.msgpack.encode(GOOD[:2]),
        b"",
    ],
    ids=["deep", "not text", "short", "empty"],
)
def test_a_header_that_is_none_breaks_the_link(header: bytes) -> None:
    with pytest.raises(BrokenLinkError, match="header does not decode"):
        FrameReader().feed(framed(header))


def test_an_impossible_length_breaks_the_link() -> None:
    with pytest.raises(BrokenLinkError, match="impossible"):
        FrameReader().feed(b"\xff\xff\xff\xff\x00\x01")


@given(
    st.builds(Do, st.text(), st.text())
    | st.builds(Did, st.text(), st.text(), st.integers(0, 2**62))
)
def test_a_message_survives_the_codec(message: Do | Did) -> None:
    assert CODEC.decode(CODEC.encode(message)) == message


def test_a_message_nested_deeper_than_the_stack_is_malformed() -> None:
    with pytest.raises(MalformedMessageError):
        CODEC.decode(b"\x94\xa2do\xa1x\xa1y" + DEEP)


@given(st.binary(max_size=100))
def test_nonsense_is_a_malformed_message_and_never_anything_else(body: bytes) -> None:
    with contextlib.suppress(MalformedMessageError):
        CODEC.decode(body)


def test_a_message_of_another_union_is_malformed() -> None:
    with pytest.raises(MalformedMessageError):
        Codec(Do | None).decode(CODEC.encode(Did("a", "b")))
