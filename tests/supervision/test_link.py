"""Frames over a real socket pair: whole, bounded, never blocking."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest

from supervision.envelope import Frame, Header, Lane
from supervision.link import Link, LinkClosedError, Waker


@pytest.fixture
def pair() -> Iterator[tuple[Link, Link]]:
    ours, theirs = socket.socketpair()
    links = Link(ours, control_per_sender=2, telemetry=3000), Link(theirs)
    yield links
    for link in links:
        link.close()


def frame(body: bytes = b"", lane: Lane = Lane.TELEMETRY) -> Frame:
    return Frame(Header(receiver="r", sender="s", epoch=1, lane=lane), body)


def test_frames_cross_in_order(pair: tuple[Link, Link]) -> None:
    near, far = pair
    sent = [frame(bytes([n])) for n in range(3)]
    for each in sent:
        assert near.send(each)
    near.flush()
    assert far.receive() == sent
    assert far.receive() == []


def test_a_peer_that_does_not_read_blocks_nobody_and_loses_only_the_oldest_telemetry(
    pair: tuple[Link, Link],
) -> None:
    near, far = pair
    for n in range(5000):
        near.send(frame(n.to_bytes(2, "big") + bytes(1000)))
    near.flush()
    assert near.wants_to_write()
    assert near.interest() & selectors.EVENT_WRITE
    arrived: list[Frame] = []
    while near.wants_to_write() or not arrived or arrived[-1].body[:2] != (4999).to_bytes(2, "big"):
        near.flush()
        arrived += far.receive()
    assert near.dropped == 2000
    assert [f.body[:2] for f in arrived] == [n.to_bytes(2, "big") for n in range(2000, 5000)]


def test_a_flood_of_control_is_refused(pair: tuple[Link, Link]) -> None:
    near, _ = pair
    assert [near.send(frame(lane=Lane.CONTROL)) for _ in range(3)] == [True, True, False]


def test_a_closed_peer_is_told_when_reading_and_when_writing(pair: tuple[Link, Link]) -> None:
    near, far = pair
    far.close()
    with pytest.raises(LinkClosedError, match="closed the link"):
        near.receive()
    near.send(frame())
    with pytest.raises(LinkClosedError, match="cannot write"):
        near.flush()


def test_a_peer_that_sends_no_frames_is_not_listened_to(pair: tuple[Link, Link]) -> None:
    near, far = pair
    far.sock.send(b"\xff" * 20)
    with pytest.raises(LinkClosedError, match="impossible"):
        near.receive()


def test_a_reset_connection_is_a_closed_link() -> None:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    ours.close()
    with pytest.raises(LinkClosedError, match="cannot read"):
        link.receive()
    theirs.close()


def test_a_waker_ends_a_select_once() -> None:
    waker = Waker()
    with selectors.DefaultSelector() as selector:
        selector.register(waker, selectors.EVENT_READ)
        waker.wake()
        waker.wake()
        assert selector.select(0)
        waker.clear()
        assert not selector.select(0)
        waker.wake()
        assert selector.select(0)
    waker.close()
