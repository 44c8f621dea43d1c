"""A device behind a gateway that passes RTU frames through TCP: nothing numbers them, so doubt ends the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from actors.inverter.framing import Framing
from actors.inverter.link import ModbusLink
from actors.messages import LinkState, WriteResult
from tests.actors.inverter.linked import CHARGE, POWER, READ, Heard, connect, misbehave, write
from tests.actors.inverter.rtu_peer import RtuPeer, rtu_peer, serial_frame
from tests.actors.inverter.scripted_peer import SILENT, Reply, Request


@pytest.fixture
def serial() -> Iterator[RtuPeer]:
    """A scripted device that speaks serial frames."""
    with rtu_peer() as device:
        yield device


@pytest.fixture
def link(serial: RtuPeer, heard: Heard) -> ModbusLink:
    """A link that has identified it."""
    made = connect(serial, heard, framing=Framing.RTU)
    heard.until(LinkState.ONLINE)
    return made


def test_it_is_read_and_written(serial: RtuPeer, link: ModbusLink, heard: Heard) -> None:
    link.submit(READ, write(1, POWER, CHARGE))
    assert heard.words() == [500]
    assert heard.outcome(1).result is WriteResult.VERIFIED
    assert serial.writes == [(47247, (0, 1000)), (47100, (1,))]


def test_its_exceptions_are_understood(serial: RtuPeer, link: ModbusLink, heard: Heard) -> None:
    misbehave(serial, 37004, lambda request: Reply(serial_frame(request.unit, b"\x83\x02")))
    link.submit(READ)
    assert "no such register" in heard.failure()
    assert serial.connections == 1


def flipped(request: Request) -> Reply:
    data = bytearray(serial_frame(request.unit, b"\x03\x02\x01\xf4"))
    data[3] ^= 1
    return Reply(bytes(data))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (flipped, "the checksum is wrong"),
        (lambda r: Reply(serial_frame(r.unit + 1, b"\x03\x02\x00\x01")), "a frame of unit 2 came"),
        (lambda r: Reply(serial_frame(r.unit, b"\x03\x04\x00\x01\x00\x02")), "has 2 registers"),
        (lambda r: Reply(serial_frame(r.unit, b"\x03\x02\x00\x01") * 2), "7 bytes too many"),
        (lambda r: Reply(serial_frame(r.unit, b"\x03\x02\x00\x01")[:-1]), "no answer within"),
        (lambda _: SILENT, "no answer within"),
    ],
    ids=["damaged", "unit", "count", "doubled", "short", "silent"],
)
def test_what_is_not_the_answer_ends_the_connection_and_is_no_value(
    serial: RtuPeer,
    link: ModbusLink,
    heard: Heard,
    reply: Callable[[Request], Reply],
    reason: str,
) -> None:
    misbehave(serial, 37004, reply)
    link.submit(READ)
    assert reason in heard.failure()
    assert reason in heard.until(LinkState.OFFLINE).reason
    assert serial.wait_for(lambda: serial.ended == 1)


@pytest.mark.usefixtures("link")
def test_what_nobody_asked_for_ends_the_connection(serial: RtuPeer, heard: Heard) -> None:
    serial.send(serial_frame(1, b"\x03\x02\x00\x01"))
    assert "nobody had asked for" in heard.until(LinkState.OFFLINE).reason
    heard.until(LinkState.ONLINE, times=2)


def test_units_behind_one_serial_gateway_share_its_connection(
    serial: RtuPeer, link: ModbusLink, heard: Heard
) -> None:
    made = serial.connections  # one, but on a machine that was too slow for the first try
    other = connect(serial, heard, framing=Framing.RTU, unit_id=2)
    heard.until(LinkState.ONLINE, times=2)
    for each in (link, other):
        each.submit(READ)
    heard.wait_for(lambda: len(heard.parts()) == 2)
    assert serial.connections == made


def test_closing_a_link_amid_its_request_ends_a_connection_on_which_nothing_is_numbered(
    serial: RtuPeer, link: ModbusLink, heard: Heard
) -> None:
    connect(serial, heard, framing=Framing.RTU, unit_id=2, timeout_s=5.0)
    heard.until(LinkState.ONLINE, times=2)
    misbehave(serial, 37004, lambda _: SILENT)
    link.submit(READ)
    assert serial.wait_for(lambda: serial.requests[-1].address == 37004)
    link.close()
    assert serial.wait_for(lambda: serial.connections == 2)
