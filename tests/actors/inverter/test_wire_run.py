"""Reads that follow one another on a wire without waking the reader in between."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from actors.inverter.errors import DeviceError, RequestTimeoutError, StaleFrameError
from actors.inverter.jobs import BlockRef
from actors.inverter.wire import Wire
from tests.actors.inverter.scripted_peer import (
    SILENT,
    Reply,
    Request,
    ScriptedPeer,
    exception,
    frame,
)
from tests.actors.inverter.test_wire import ask


class Blocks:
    """A run over some registers; wants a pause after each answer in `pauses`."""

    def __init__(self, *addresses: int, pauses: int = 0) -> None:
        self.left = [BlockRef(0, address, 1) for address in addresses]
        self.found: list[list[int]] = []
        self.pauses = pauses

    @property
    def next(self) -> BlockRef:
        return self.left[0]

    def took(self, words: Sequence[int]) -> bool:
        self.found.append(list(words))
        del self.left[0]
        return bool(self.left) and len(self.found) != self.pauses


def read(peer: ScriptedPeer, blocks: Blocks) -> None:
    ask(peer, lambda wire: wire.read_run(1, blocks, 0.1))


def test_a_run_asks_for_one_after_the_other(peer: ScriptedPeer) -> None:
    blocks = Blocks(37000, 37004, 37005)
    read(peer, blocks)
    assert blocks.found == [[2], [500], [0]]
    assert [request.transaction for request in peer.requests] == [1, 2, 3]


def test_a_run_that_pauses_goes_on_where_it_was(peer: ScriptedPeer) -> None:
    blocks = Blocks(37000, 37004, pauses=1)

    async def use(wire: Wire) -> None:
        await wire.read_run(1, blocks, 0.1)
        assert blocks.found == [[2]]
        await wire.read_run(1, blocks, 0.1)

    ask(peer, use)
    assert blocks.found == [[2], [500]]


def test_an_exception_ends_a_run_before_what_it_is_about(peer: ScriptedPeer) -> None:
    peer.script = lambda r: exception(r, 2) if r.address == 37004 else peer.answer(r)
    blocks = Blocks(37000, 37004, 37005)
    with pytest.raises(DeviceError, match="37004"):
        read(peer, blocks)
    assert (blocks.found, blocks.next.address) == ([[2]], 37004)


def test_each_request_of_a_run_has_a_time_of_its_own(peer: ScriptedPeer) -> None:
    def script(request: Request) -> Reply:
        peer.wait_for(lambda: False, 0.06)
        return peer.answer(request) if len(peer.requests) < 4 else SILENT

    peer.script = script
    blocks = Blocks(37000, 37004, 37005, 37006)
    with pytest.raises(RequestTimeoutError, match="read of 1 registers at 37006: no answer within"):
        read(peer, blocks)
    assert blocks.found == [[2], [500], [0]]


def test_an_answer_of_another_length_is_not_taken(peer: ScriptedPeer) -> None:
    peer.script = lambda r: Reply(frame(r.transaction, r.unit, b"\x03\x04\x00\x01\x00\x02"))
    blocks = Blocks(37000, 37004)
    with pytest.raises(StaleFrameError, match="the answer has 2 registers"):
        read(peer, blocks)
    assert blocks.found == []


def test_a_doubled_answer_is_not_taken_for_the_next(peer: ScriptedPeer) -> None:
    peer.script = lambda request: Reply(peer.answer(request).data * 2)
    blocks = Blocks(37000, 37004, 37005)
    read(peer, blocks)
    assert blocks.found == [[2], [500], [0]]


def test_what_a_run_does_not_expect_reaches_its_reader(peer: ScriptedPeer) -> None:
    class Broken(Blocks):
        def took(self, words: Sequence[int]) -> bool:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        read(peer, Broken(37000))
