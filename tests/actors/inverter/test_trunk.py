"""Several devices behind one connection: fair turns, and one device's trouble is not another's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from actors.inverter.jobs import BlockRef, PollJob
from actors.inverter.link import ModbusLink
from actors.messages import LinkState, WriteResult
from supervision.clock import NS_PER_S
from tests.actors.inverter.linked import READ, STOP, Heard, connect, listening, write
from tests.actors.inverter.scripted_peer import (
    SILENT,
    Reply,
    Request,
    ScriptedPeer,
    exception,
    frame,
)

UNITS = (1, 2, 3)


class Unit:
    """One of the devices behind the peer."""

    def __init__(self, peer: ScriptedPeer, heard: Heard, unit: int, **changes: object) -> None:
        self.heard = heard
        self.link: ModbusLink = connect(peer, heard, unit_id=unit, **changes)

    def online(self) -> Unit:
        self.heard.until(LinkState.ONLINE)
        return self


Join = Callable[..., dict[int, Unit]]


@pytest.fixture
def join(peer: ScriptedPeer) -> Iterator[Join]:
    """Connects to units behind the peer and waits until all are online."""
    ears = [listening() for _ in UNITS]
    heard = dict(zip(UNITS, (ear.__enter__() for ear in ears), strict=True))

    def connect_all(**changes: object) -> dict[int, Unit]:
        units = {unit: Unit(peer, heard[unit], unit, **changes) for unit in UNITS}
        return {number: unit.online() for number, unit in units.items()}

    yield connect_all
    for ear in ears:
        ear.__exit__(None, None, None)


def silence(peer: ScriptedPeer, *units: int) -> None:
    peer.script = lambda request: SILENT if request.unit in units else None


def hold(peer: ScriptedPeer, unit: int) -> threading.Event:
    """Let `unit` keep its answers until the event is set."""
    release = threading.Event()

    def script(request: Request) -> None:
        if request.unit == unit:
            release.wait(5.0)

    peer.script = script
    return release


def blocks(poll: int, count: int) -> PollJob:
    return PollJob(poll, tuple(BlockRef(number, 37004, 1) for number in range(count)), ())


def asked(peer: ScriptedPeer, unit: int) -> Callable[[], bool]:
    return lambda: (peer.requests[-1].unit, peer.requests[-1].address) == (unit, 37004)


def test_devices_with_the_same_address_share_one_connection(peer: ScriptedPeer, join: Join) -> None:
    for unit in join().values():
        unit.link.submit(READ)
        assert unit.heard.words() == [500]
    assert peer.connections == 1
    assert {request.unit for request in peer.requests} == set(UNITS)


def test_a_unit_that_does_not_answer_backs_off_alone(peer: ScriptedPeer, join: Join) -> None:
    units = join(timeout_s=0.05)
    silence(peer, 2)
    units[2].link.submit(READ)
    assert "no answer" in units[2].heard.until(LinkState.OFFLINE).reason
    for number in (1, 3):
        units[number].link.submit(READ)
        assert units[number].heard.words() == [500]
        assert LinkState.OFFLINE not in units[number].heard.states()
    silence(peer)
    units[2].heard.until(LinkState.ONLINE, times=2)
    assert peer.connections == 1


def test_a_unit_that_comes_back_is_identified_before_it_is_used(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join(timeout_s=0.05)
    silence(peer, 2)
    units[2].link.submit(READ)
    units[2].heard.until(LinkState.OFFLINE)
    peer.name("SUN2000-10KTL-M1", "SN0002")
    silence(peer)
    assert "'SN0002' answers" in units[2].heard.until(LinkState.REFUSED).reason


def test_the_late_answer_of_one_unit_is_not_taken_for_that_of_another(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join(timeout_s=0.05)
    late: list[Request] = []

    def script(request: Request) -> Reply | None:
        if request.unit == 2 and request.address == 37004:
            late.append(request)
            return SILENT
        if request.unit == 1 and late:
            stale = frame(late[0].transaction, request.unit, b"\x03\x02\x00\x01")
            return Reply(stale + peer.answer(request).data)
        return None

    peer.script = script
    units[2].link.submit(READ)
    units[2].heard.until(LinkState.OFFLINE)
    units[1].link.submit(READ)
    assert units[1].heard.words() == [500]


def test_a_connection_on_which_nobody_answers_is_made_again_once_for_all(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join(timeout_s=0.05)
    silence(peer, *UNITS)
    for unit in units.values():
        unit.link.submit(READ)
    assert peer.wait_for(lambda: peer.ended == 1)
    silence(peer)
    for unit in units.values():
        unit.heard.until(LinkState.ONLINE, times=2)
    assert peer.connections == 2


def test_a_lost_connection_is_made_again_once_for_all(peer: ScriptedPeer, join: Join) -> None:
    units = join()
    peer.hang_up()
    for unit in units.values():
        unit.heard.until(LinkState.ONLINE, times=2)
    assert peer.connections == 2


def test_an_exception_of_one_unit_is_an_answer(peer: ScriptedPeer, join: Join) -> None:
    units = join(busy_retries=0)
    peer.script = lambda request: exception(request, 6) if request.unit == 2 else None
    units[2].link.submit(READ)
    assert "busy" in units[2].heard.failure()
    assert LinkState.OFFLINE not in units[2].heard.states()


def test_units_take_turns(peer: ScriptedPeer, join: Join) -> None:
    units = join(timeout_s=5.0)
    release = hold(peer, 3)
    units[3].link.submit(READ)
    assert peer.wait_for(asked(peer, 3))
    before = len(peer.requests)
    units[1].link.submit(blocks(1, 5))
    units[2].link.submit(blocks(1, 5))
    synchronise(units)
    release.set()
    for unit in (units[1], units[2]):
        unit.heard.poll()
    order = [request.unit for request in peer.requests[before:]]
    assert order[:2] in ([1, 2], [2, 1])
    assert order == order[:2] * 5


def test_what_is_safe_goes_before_what_others_wait_for(peer: ScriptedPeer, join: Join) -> None:
    units = join(timeout_s=5.0, abandon_s=5.0)
    release = hold(peer, 3)
    units[3].link.submit(READ)
    assert peer.wait_for(asked(peer, 3))
    before = len(peer.requests)
    units[1].link.submit(blocks(1, 3))
    units[2].link.submit(write(1, STOP, safe=True))
    synchronise(units)
    release.set()
    assert units[2].heard.outcome(1).result is WriteResult.VERIFIED
    assert peer.requests[before].written == (47100, (0,))


def test_a_setpoint_of_one_unit_goes_before_the_reads_of_others(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join(timeout_s=5.0)
    release = hold(peer, 3)
    units[3].link.submit(READ)
    assert peer.wait_for(asked(peer, 3))
    before = len(peer.requests)
    units[1].link.submit(blocks(1, 3))
    synchronise(units)
    units[2].link.submit(write(1, STOP))
    synchronise(units)
    release.set()
    assert units[2].heard.outcome(1).result is WriteResult.VERIFIED
    assert peer.requests[before].written == (47100, (0,))


def test_what_is_safe_does_not_wait_for_the_slow_read_of_another_unit(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join(timeout_s=60.0, abandon_s=0.05)
    silence(peer, 1)
    units[1].link.submit(READ)
    assert peer.wait_for(asked(peer, 1))
    units[2].link.submit(write(1, STOP, safe=True))
    assert units[2].heard.outcome(1).result is WriteResult.VERIFIED
    assert "kept a safe command waiting" in units[1].heard.until(LinkState.OFFLINE).reason
    assert LinkState.OFFLINE not in units[2].heard.states()
    assert peer.connections == 1


def test_closing_one_link_leaves_the_connection_to_the_others(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join()
    units[1].link.close()
    units[2].link.submit(READ)
    assert units[2].heard.words() == [500]
    assert LinkState.OFFLINE not in units[2].heard.states()
    assert peer.connections == 1


def test_closing_a_link_amid_its_request_does_not_mix_up_answers(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join(timeout_s=5.0)
    release = hold(peer, 1)
    units[1].link.submit(READ)
    assert peer.wait_for(asked(peer, 1))
    units[1].link.close()
    units[2].link.submit(PollJob(1, (BlockRef(0, 37000, 1),), ()))
    release.set()
    assert units[2].heard.words() == [2]
    assert LinkState.OFFLINE not in units[2].heard.states()


def test_closing_a_link_that_waits_for_its_turn_passes_the_turn_on(
    peer: ScriptedPeer, join: Join
) -> None:
    units = join(timeout_s=5.0)
    release = hold(peer, 3)
    units[3].link.submit(READ)
    assert peer.wait_for(asked(peer, 3))
    units[1].link.submit(READ)
    synchronise(units)
    units[2].link.submit(READ)
    units[1].link.close()
    release.set()
    assert units[2].heard.words() == [500]


def test_the_last_link_takes_the_connection_along(peer: ScriptedPeer, join: Join) -> None:
    for unit in join().values():
        assert peer.ended == 0
        unit.link.close()
    assert peer.wait_for(lambda: peer.ended == 1)


def test_a_link_that_is_closed_while_it_connects_leaves_nothing_open(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, connect_delay_s=30.0)
    assert peer.wait_for(lambda: peer.connections == 1)
    link.close()
    assert peer.wait_for(lambda: peer.ended == 1)
    again = connect(peer, heard)
    heard.until(LinkState.ONLINE)
    assert again is not link


def test_nobody_asks_before_the_silence_after_connecting_is_over(
    peer: ScriptedPeer, join: Join
) -> None:
    began_s = time.monotonic()
    join(connect_delay_s=0.2)
    assert peer.connections == 1
    assert time.monotonic() - began_s >= 0.19


def test_the_gap_is_kept_between_units(join: Join) -> None:
    units = join(gap_s=0.03)
    for unit in units.values():
        unit.link.submit(READ)
    ends = sorted(unit.heard.poll()[-1].mono_ns for unit in units.values())
    assert ends[-1] - ends[0] >= 2 * 0.028 * NS_PER_S


def synchronise(units: dict[int, Unit]) -> None:
    """Wait until the loop has taken everything that was submitted, and tasks have looked at it."""
    loop = units[1].link._loop
    for _ in range(3):
        turned = threading.Event()
        loop.call(turned.set)
        assert turned.wait(5.0)
