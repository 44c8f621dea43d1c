"""What is asked is what pymodbus would ask, and only the answer is an answer."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from actors.inverter.errors import (
    KINDS,
    ConnectError,
    ConnectionLostError,
    DeviceError,
    LinkClosedError,
    LinkError,
    RequestTimeoutError,
    StaleFrameError,
)
from actors.inverter.wire import Address, Wire
from tests.actors.inverter.scripted_peer import (
    DROP,
    SILENT,
    Reply,
    Request,
    ScriptedPeer,
    frame,
)

_T = TypeVar("_T")


class Lost:
    """Counts how often a wire told that it ended by itself."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


def ask(peer: ScriptedPeer, use: Callable[[Wire], Awaitable[_T]], lost: Lost | None = None) -> _T:
    """Use a wire to the peer."""

    async def run() -> _T:
        wire = Wire(Address(host="127.0.0.1", port=peer.port), lost or Lost())
        await wire.open(5.0)
        try:
            return await use(wire)
        finally:
            wire.end(LinkClosedError("the test is over"))
            await asyncio.sleep(0)

    return asyncio.run(run())


def read(count: int = 2) -> Callable[[Wire], Awaitable[list[int]]]:
    return lambda wire: wire.read(1, 37000, count, 0.1)


def raw(peer: ScriptedPeer, pdu: bytes) -> None:
    """Let the peer answer everything with `pdu`, framed as it should be."""
    peer.script = lambda request: Reply(frame(request.transaction, request.unit, pdu))


def test_requests_are_those_of_pymodbus(peer: ScriptedPeer) -> None:
    async def use(wire: Wire) -> None:
        await wire.read(17, 37000, 12, 1.0)
        await wire.write(17, 47100, (1,), 1.0)
        await wire.write(17, 47247, (0, 1000), 1.0)

    ask(peer, use)
    assert [struct.pack(">BHH", *r[2:4], r.words[0]) for r in peer.requests[:2]] == [
        b"\x03" + ReadHoldingRegistersRequest(address=37000, count=12).encode(),
        b"\x06" + WriteSingleRegisterRequest(address=47100, registers=[1]).encode(),
    ]
    many = WriteMultipleRegistersRequest(address=47247, registers=[0, 1000]).encode()
    assert many == struct.pack(">HHBHH", 47247, 2, 4, *peer.requests[2].words)


@pytest.mark.parametrize(
    ("pdu", "message"),
    [
        (b"\x03", "the answer has 0 registers"),
        (b"\x03\x04", "the answer has 0 registers"),
        (b"\x03\x04\x00\x01", "the answer has 1 registers"),
        (b"\x03\x02\x00\x01\x00\x02", "the answer has 2 registers"),
        (b"\x03\x04\x00\x01\x00\x02\x00\x03", "the answer has 3 registers"),
        (b"\x03\x04\x00\x01\x00", "the answer has 1.5 registers"),
        (b"\x04\x04\x00\x01\x00\x02", "function 4 instead of 3"),
        (b"\x86\x02", "function 134 instead of 3"),
        (b"\x83", "function 131 instead of 3"),
        (b"\x83\x02\x00", "function 131 instead of 3"),
        (b"\x00" * 253, "function 0 instead of 3"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:4].hex(),
)
def test_an_answer_that_is_not_to_the_request_ends_the_wire(
    peer: ScriptedPeer, pdu: bytes, message: str
) -> None:
    raw(peer, pdu)
    lost = Lost()
    with pytest.raises(StaleFrameError, match=f"read of 2 registers at 37000: .*{message}"):
        ask(peer, read(), lost)
    assert lost.times == 1


@pytest.mark.parametrize("pdu", [b"\x10\xb8\x8f\x00\x01", b"\x10\xb8\x90\x00\x02", b"\x10"])
def test_a_write_that_echoes_something_else_is_told_with_its_words(
    peer: ScriptedPeer, pdu: bytes
) -> None:
    raw(peer, pdu)
    with pytest.raises(StaleFrameError, match=r"write of \[0, 1000\] at 47247: the answer echoes"):
        ask(peer, lambda wire: wire.write(1, 47247, (0, 1000), 0.1))


def test_an_answer_in_single_bytes_is_an_answer(peer: ScriptedPeer) -> None:
    peer.dribble_s = 0.0005
    assert ask(peer, lambda wire: wire.read(1, 37000, 2, 5.0)) == [2, 0]


def test_a_doubled_answer_is_taken_once(peer: ScriptedPeer) -> None:
    peer.script = lambda request: Reply(peer.answer(request).data * 2)

    async def use(wire: Wire) -> list[list[int]]:
        return [await wire.read(1, address, 1, 0.5) for address in (37000, 37004, 37005)]

    assert ask(peer, use) == [[2], [500], [0]]


def test_the_answer_to_a_request_that_timed_out_is_dropped(peer: ScriptedPeer) -> None:
    late: list[bytes] = []

    def script(request: Request) -> Reply:
        answer = peer.answer(request).data
        if request.address == 37000:
            late.append(answer)
            return SILENT
        return Reply(b"".join(late) + answer)

    peer.script = script

    async def use(wire: Wire) -> list[int]:
        with pytest.raises(RequestTimeoutError):
            await wire.read(1, 37000, 1, 0.05)
        return await wire.read(1, 37004, 1, 0.5)

    assert ask(peer, use) == [500]


def test_an_old_frame_instead_of_the_answer_is_told_as_such(peer: ScriptedPeer) -> None:
    peer.script = lambda r: Reply(frame(r.transaction - 1, r.unit, b"\x03\x04\x00\x01\x00\x02"))
    with pytest.raises(StaleFrameError, match="a frame of transaction 0 came instead of 1"):
        ask(peer, read())


def test_unit_zero_is_answered_by_whoever_is_there(peer: ScriptedPeer) -> None:
    peer.script = lambda r: Reply(frame(r.transaction, 1, b"\x03\x02\x00\x09"))
    assert ask(peer, lambda wire: wire.read(0, 37000, 1, 0.5)) == [9]


def test_what_is_no_modbus_ends_the_wire(peer: ScriptedPeer) -> None:
    peer.script = lambda _: Reply(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(StaleFrameError, match="not Modbus TCP"):
        ask(peer, read())


@pytest.mark.parametrize("cut", [0, 3, 7, 9])
def test_a_connection_that_ends_within_a_frame_is_lost(peer: ScriptedPeer, cut: int) -> None:
    def script(request: Request) -> Reply:
        peer.send(peer.answer(request).data[:cut])
        return DROP

    peer.script = script
    with pytest.raises(ConnectionLostError, match=r"127\.0\.0\.1:\d+ closed the connection"):
        ask(peer, read())


def test_a_wire_that_ended_says_why_to_whoever_asks_next(peer: ScriptedPeer) -> None:
    async def use(wire: Wire) -> list[int]:
        wire.end(LinkClosedError("enough"))
        return await wire.read(1, 37000, 1, 0.1)

    with pytest.raises(LinkClosedError, match="enough"):
        ask(peer, use)


def test_a_short_patience_after_a_long_one_is_kept(peer: ScriptedPeer) -> None:
    async def use(wire: Wire) -> None:
        await wire.read(1, 37000, 1, 60.0)
        peer.script = lambda _: SILENT
        await wire.read(1, 37000, 1, 0.05)

    with pytest.raises(RequestTimeoutError, match=r"no answer within 0.05 s"):
        ask(peer, use)


def test_a_long_patience_after_a_short_one_is_kept(peer: ScriptedPeer) -> None:
    def script(request: Request) -> Reply:
        if len(peer.requests) == 2:
            peer.wait_for(lambda: False, 0.15)
        return peer.answer(request)

    peer.script = script

    async def use(wire: Wire) -> list[int]:
        await wire.read(1, 37000, 1, 0.1)
        return await wire.read(1, 37000, 1, 5.0)

    assert ask(peer, use) == [2]


def test_a_name_that_nobody_knows_is_told() -> None:
    wire = Wire(Address(host="no.such.name.invalid", port=502), Lost())
    with pytest.raises(ConnectError, match=r"cannot connect to no\.such\.name\.invalid:502: "):
        asyncio.run(wire.open(5.0))


def kinds_of(error: type[LinkError]) -> set[str]:
    return {error.kind}.union(*(kinds_of(each) for each in error.__subclasses__()))


def test_every_kind_of_error_is_counted() -> None:
    assert kinds_of(LinkError) == set(KINDS)
    assert all(
        "kind" in vars(each) for each in (*LinkError.__subclasses__(),) if each is not DeviceError
    )
