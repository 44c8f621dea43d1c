"""Frames are cut out of a stream however it arrives, and what is none is told."""

from __future__ import annotations

import contextlib
import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from actors.inverter.framing import (
    Arrived,
    Framer,
    Framing,
    NoFrameError,
    RtuFramer,
    TcpFramer,
    framer,
)

PDU = b"\x03\x04\x00\x01\x00\x02"
ANSWERS = st.builds(
    Arrived,
    st.integers(0, 0xFFFF),
    st.integers(0, 255),
    st.binary(min_size=1, max_size=253),
)


def in_pieces(subject: Framer, data: bytes, ends: list[int]) -> list[Arrived]:
    """Feed `data` cut at `ends`."""
    places = [0, *sorted(end % (len(data) + 1) for end in ends), len(data)]
    frames: list[Arrived] = []
    for begin, end in itertools.pairwise(places):
        frames += subject.feed(data[begin:end])
    return frames


@given(st.lists(ANSWERS, min_size=1, max_size=5), st.lists(st.integers(0, 2000), max_size=6))
def test_frames_that_are_split_and_merged_are_the_same_frames(
    answers: list[Arrived], ends: list[int]
) -> None:
    packer = TcpFramer()
    data = b"".join(packer.pack(each.transaction or 0, each.unit, each.pdu) for each in answers)
    assert in_pieces(TcpFramer(), data, ends) == answers


@pytest.mark.parametrize(
    ("protocol", "length"), [(1, 6), (0, 0), (0, 1), (0, 255), (0x4854, 0x5450)]
)
def test_what_cannot_be_a_header_is_no_frame(protocol: int, length: int) -> None:
    with pytest.raises(NoFrameError, match=f"protocol {protocol} and length {length}"):
        TcpFramer().feed(struct.pack(">HHHB", 1, protocol, length, 1))


@given(st.binary(max_size=600), st.sampled_from(Framing))
def test_nonsense_is_frames_or_no_frame_and_never_anything_else(
    data: bytes, framing: Framing
) -> None:
    with contextlib.suppress(NoFrameError):
        assert all(frame.pdu for frame in framer(framing).feed(data))


@given(st.lists(st.integers(0, 20), max_size=4))
def test_a_serial_frame_is_complete_however_it_is_split(ends: list[int]) -> None:
    data = RtuFramer().pack(0, 17, PDU)
    assert in_pieces(RtuFramer(), data, ends) == [Arrived(None, 17, PDU)]


@pytest.mark.parametrize(
    "pdu",
    [PDU, b"\x83\x02", b"\x06\xb7\xfc\x00\x01", b"\x10\xb8\x8f\x00\x02", b"\x03\xfa" + bytes(250)],
)
def test_a_serial_frame_ends_where_its_function_says(pdu: bytes) -> None:
    assert RtuFramer().feed(RtuFramer().pack(0, 1, pdu)) == [Arrived(None, 1, pdu)]


def damaged() -> bytes:
    data = bytearray(RtuFramer().pack(0, 17, PDU))
    data[4] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (damaged(), "the checksum is wrong"),
        (RtuFramer().pack(0, 17, PDU) + b"\x00", "1 bytes too many"),
        (b"\x11\x2b\x0e", "function 43 was not asked for"),
    ],
)
def test_a_serial_frame_that_is_not_whole_and_alone_is_none(data: bytes, message: str) -> None:
    with pytest.raises(NoFrameError, match=message):
        RtuFramer().feed(data)


def test_requests_are_framed_as_pymodbus_frames_them() -> None:
    decoder = DecodePDU(is_server=False)
    request = struct.pack(">BHH", 3, 37000, 12)
    assert TcpFramer().pack(7, 17, request) == FramerSocket(decoder).encode(request, 17, 7)
    assert RtuFramer().pack(7, 17, request) == FramerRTU(decoder).encode(request, 17, 0)
