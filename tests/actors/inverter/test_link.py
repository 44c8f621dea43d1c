"""A link against a device that misbehaves, on real sockets."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

from actors.inverter.io_loop import shared_loop
from actors.inverter.jobs import BlockRef, LinkCrashed, PollJob, RegisterWords, WriteJob
from actors.inverter.link import ModbusLink
from actors.messages import LinkState, WriteResult
from supervision.clock import NS_PER_S
from tests.actors.inverter.linked import (
    CHARGE,
    POWER,
    READ,
    STOP,
    Heard,
    connect,
    misbehave,
    write,
)
from tests.actors.inverter.scripted_peer import (
    DROP,
    SILENT,
    Reply,
    Request,
    ScriptedPeer,
    exception,
    frame,
)


@pytest.fixture
def link(peer: ScriptedPeer, heard: Heard) -> ModbusLink:
    """A link that has identified its device."""
    made = connect(peer, heard)
    heard.until(LinkState.ONLINE)
    return made


@pytest.mark.usefixtures("link")
def test_the_device_is_identified_before_anything_else(peer: ScriptedPeer, heard: Heard) -> None:
    assert [request.address for request in peer.requests] == [30000, 47000, 47089]
    event = heard.until(LinkState.ONLINE)
    assert (event.model, event.serial) == ("SUN2000-10KTL-M1", "SN0001")


def test_every_request_carries_the_unit_id(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, unit_id=17)
    heard.until(LinkState.ONLINE)
    link.submit(READ, write(1, STOP))
    heard.outcome(1)
    assert {request.unit for request in peer.requests} == {17}


def test_a_block_is_delivered_as_words(link: ModbusLink, heard: Heard) -> None:
    link.submit(READ)
    assert heard.words() == [500]


def test_the_safety_blocks_of_a_poll_are_delivered_before_the_rest_is_read(
    link: ModbusLink, heard: Heard
) -> None:
    blocks = [BlockRef(index, 37000, 2) for index in range(4)]
    link.submit(PollJob(5, tuple(blocks[:2]), tuple(blocks[2:])))
    first, second = heard.poll()
    assert [answer.block for answer in (*first.answers, *second.answers)] == [0, 1, 2, 3]
    assert [(part.poll, part.safety, part.last) for part in (first, second)] == [
        (5, True, False),
        (5, False, True),
    ]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (lambda r: Reply(frame(r.transaction + 1, r.unit, b"\x03\x02\x00\x01")), "transaction"),
        (lambda r: Reply(frame(0, r.unit, b"\x03\x02\x00\x01")), "transaction 0 "),
        (
            lambda r: Reply(frame(r.transaction, r.unit + 1, b"\x03\x02\x00\x01")),
            "unit 2 came instead of 1",
        ),
        (
            lambda r: Reply(frame(r.transaction, r.unit, b"\x03\x04\x00\x01\x00\x02")),
            "has 2 registers",
        ),
        (
            lambda r: Reply(frame(r.transaction, r.unit, b"\x04\x02\x00\x01")),
            "function 4 instead of 3",
        ),
        (
            lambda r: Reply(frame(r.transaction, r.unit, b"\x03\x02\x00\x01")[:-1]),
            "no answer within 0.2 s",
        ),
        (lambda _: SILENT, "no answer within 0.2 s"),
        (lambda _: DROP, "closed the connection"),
    ],
    ids=["late", "unnumbered", "unit", "count", "function", "short", "silent", "drop"],
)
def test_what_does_not_answer_the_request_ends_the_connection_and_is_no_value(
    peer: ScriptedPeer,
    link: ModbusLink,
    heard: Heard,
    reply: Callable[[Request], Reply],
    reason: str,
) -> None:
    misbehave(peer, 37004, reply)
    link.submit(READ)
    assert reason in heard.failure()
    assert reason in heard.until(LinkState.OFFLINE).reason


def test_a_lost_connection_fails_the_request_at_once_not_at_its_timeout(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, timeout_s=60.0)
    heard.until(LinkState.ONLINE)
    misbehave(peer, 37004, lambda _: DROP)
    link.submit(READ)
    assert heard.failure()


@pytest.mark.usefixtures("link")
def test_a_connection_lost_while_nothing_is_asked_is_noticed(
    peer: ScriptedPeer, heard: Heard
) -> None:
    peer.hang_up()
    lost = heard.until(LinkState.OFFLINE).reason
    assert "closed the connection" in lost
    assert heard.until(LinkState.ONLINE, times=2).reason == ""
    assert heard.until(LinkState.IDENTIFYING, times=2).reason == lost, "it is not back yet"


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        (2, "no such register"),
        (4, "device failure"),
        (6, "device busy"),
        (0x80, "a login is needed"),
    ],
)
def test_an_exception_fails_its_block_only(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard, code: int, meaning: str
) -> None:
    misbehave(peer, 37004, lambda request: exception(request, code))
    link.submit(PollJob(1, (BlockRef(0, 37004, 1), BlockRef(1, 37000, 2)), ()))
    failed, read = heard.poll()[0].answers
    assert meaning in str(failed.error)
    assert list(read.words or ()) == [2, 0]
    assert peer.connections == 1


def test_a_sequence_is_written_in_order_and_read_back(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    link.submit(write(1, POWER, CHARGE))
    assert heard.outcome(1).result is WriteResult.VERIFIED
    assert [(r.function, r.address, r.words) for r in peer.requests[3:]] == [
        (16, 47247, (0, 1000)),
        (6, 47100, (1,)),
        (3, 47247, (2,)),
        (3, 47100, (1,)),
    ]


def test_a_refused_write_ends_its_sequence(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    misbehave(peer, 47247, lambda request: exception(request, 3))
    link.submit(write(1, POWER, CHARGE))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.REJECTED
    assert "value out of range" in outcome.detail
    assert peer.writes == [POWER_WRITE]


POWER_WRITE = (47247, (0, 1000))


def test_a_write_that_reads_back_otherwise_is_unverified(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    peer.script = lambda r: (
        Reply(frame(r.transaction, r.unit, b"\x06\xb7\xfc\x00\x01")) if r.function == 6 else None
    )
    link.submit(write(1, CHARGE))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.UNVERIFIED
    assert "charge reads [0] at 47100, expected [1]" in outcome.detail


def test_a_write_that_echoes_something_else_is_unknown(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    peer.script = lambda r: (
        Reply(frame(r.transaction, r.unit, b"\x06\xb7\xfc\x00\x02")) if r.function == 6 else None
    )
    link.submit(write(1, CHARGE))
    assert heard.outcome(1).result is WriteResult.UNKNOWN


@pytest.mark.parametrize("reply", [SILENT, DROP])
def test_an_unanswered_write_is_unknown_and_never_sent_again(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard, reply: Reply
) -> None:
    misbehave(peer, 47100, lambda _: reply)
    link.submit(write(1, CHARGE))
    assert heard.outcome(1).result is WriteResult.UNKNOWN
    heard.until(LinkState.ONLINE, times=2)
    assert peer.writes == [(47100, (1,))]


def hold_first_read(peer: ScriptedPeer) -> threading.Event:
    """Let the device keep its answer to the next read of 37004 until the event is set."""
    release = threading.Event()

    def script(request: Request) -> None:
        if request.address == 37004:
            release.wait(5.0)

    peer.script = script
    return release


def test_a_safety_write_overtakes_the_rest_of_a_poll(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, timeout_s=5.0, abandon_s=5.0)
    heard.until(LinkState.ONLINE)
    release = hold_first_read(peer)
    rest = tuple(BlockRef(index, 37000, 2) for index in range(1, 6))
    link.submit(PollJob(1, (BlockRef(0, 37004, 1),), rest))
    assert peer.wait_for(lambda: peer.requests[-1].address == 37004)
    link.submit(write(1, STOP, safe=True))
    submitted = threading.Event()
    shared_loop().call(submitted.set)
    assert submitted.wait(5.0)
    release.set()
    heard.outcome(1)
    assert peer.requests[4].written == (47100, (0,))


def test_a_safety_write_does_not_wait_for_a_slow_read_for_ever(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, timeout_s=60.0, abandon_s=0.05)
    heard.until(LinkState.ONLINE)
    misbehave(peer, 37004, lambda _: SILENT)
    link.submit(READ)
    assert peer.wait_for(lambda: peer.requests[-1].address == 37004)
    link.submit(write(1, STOP, safe=True))
    assert heard.outcome(1).result is WriteResult.UNKNOWN
    assert "kept a safe command waiting" in heard.until(LinkState.OFFLINE).reason


def test_a_safety_write_drops_the_setpoints_that_wait_and_the_rest_of_the_one_that_runs(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, timeout_s=5.0, abandon_s=5.0)
    heard.until(LinkState.ONLINE)
    release = threading.Event()
    misbehave(peer, 47247, lambda request: peer.answer(request) if release.wait(5.0) else SILENT)
    link.submit(write(1, POWER, CHARGE))
    assert peer.wait_for(lambda: peer.requests[-1].address == 47247)
    link.submit(write(2, CHARGE), write(3, STOP, safe=True))
    assert "overtaken" in heard.outcome(2).detail
    release.set()
    assert heard.outcome(3).result is WriteResult.VERIFIED
    assert heard.outcome(1).result is WriteResult.UNVERIFIED
    assert peer.writes == [(47247, (0, 1000)), (47100, (0,))]


def test_a_newer_setpoint_replaces_one_that_waits(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    link.submit(write(1, CHARGE), write(2, POWER))
    assert heard.outcome(1).result is WriteResult.REJECTED
    heard.outcome(2)
    assert peer.writes == [POWER_WRITE]


def test_a_setpoint_whose_lease_ended_is_not_begun(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    link.submit(write(1, CHARGE, expires_ns=time.monotonic_ns() - NS_PER_S))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.REJECTED
    assert "its lease ended" in outcome.detail
    assert peer.writes == []


def test_the_gap_between_an_answer_and_the_next_request_is_kept(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, gap_s=0.03)
    heard.until(LinkState.ONLINE)
    link.submit(*(PollJob(number, (BlockRef(0, 37004, 1),), ()) for number in range(4)))
    heard.wait_for(lambda: len(heard.parts()) == 4)
    times = [part.mono_ns for part in heard.parts()]
    assert all(later - earlier >= 0.028 * NS_PER_S for earlier, later in itertools.pairwise(times))


def test_another_model_is_refused_and_nothing_is_written(peer: ScriptedPeer, heard: Heard) -> None:
    peer.name("SolarMax 5000", "X")
    link = connect(peer, heard)
    assert "model 'SolarMax 5000' answers" in heard.until(LinkState.REFUSED).reason
    link.submit(write(1, STOP, safe=True))
    assert heard.outcome(1).result is WriteResult.UNKNOWN
    assert peer.writes == []


@pytest.mark.parametrize(("address", "value"), [(47000, 1), (47089, 1)])
def test_a_device_without_what_the_profile_needs_is_refused(
    peer: ScriptedPeer, heard: Heard, address: int, value: int
) -> None:
    peer.put(address, value)
    connect(peer, heard)
    assert f"at {address} is {value}" in heard.until(LinkState.REFUSED).reason


def test_a_device_without_identity_registers_is_refused(peer: ScriptedPeer, heard: Heard) -> None:
    misbehave(peer, 30000, lambda request: exception(request, 2))
    connect(peer, heard)
    assert "has no identity registers" in heard.until(LinkState.REFUSED).reason


def test_a_busy_device_is_asked_again_later_not_refused(peer: ScriptedPeer, heard: Heard) -> None:
    peer.script = lambda request: exception(request, 6) if len(peer.requests) == 1 else None
    connect(peer, heard)
    heard.until(LinkState.ONLINE)
    assert LinkState.REFUSED not in heard.states()


@pytest.mark.usefixtures("link")
def test_another_serial_number_after_a_reconnect_is_refused(
    peer: ScriptedPeer, heard: Heard
) -> None:
    peer.name("SUN2000-10KTL-M1", "SN0002")
    peer.hang_up()
    assert "'SN0002' answers where 'SN0001' was before" in heard.until(LinkState.REFUSED).reason
    peer.name("SUN2000-10KTL-M1", "SN0001")
    heard.until(LinkState.ONLINE, times=2)


def test_a_refused_connection_is_told_and_tried_again(heard: Heard) -> None:
    peer = ScriptedPeer()
    peer.close()
    connect(peer, heard)
    assert "Connection refused" in heard.until(LinkState.OFFLINE, times=2).reason


def test_jobs_for_a_device_that_is_not_connected_are_answered_at_once(heard: Heard) -> None:
    peer = ScriptedPeer()
    peer.close()
    link = connect(peer, heard)
    heard.until(LinkState.OFFLINE)
    link.submit(READ, write(1, CHARGE), write(2, STOP, safe=True))
    assert heard.outcome(1).result is WriteResult.REJECTED
    assert heard.outcome(2).result is WriteResult.UNKNOWN
    assert heard.failure()


def test_a_closed_link_never_writes_again(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    link.close()
    link.submit(write(1, STOP, safe=True), READ)
    assert heard.outcome(1).result is WriteResult.UNKNOWN
    assert heard.failure()
    assert peer.writes == []


def test_closing_a_link_in_the_middle_of_a_sequence_stops_it(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, timeout_s=5.0)
    heard.until(LinkState.ONLINE)
    release = threading.Event()
    misbehave(peer, 47247, lambda request: peer.answer(request) if release.wait(5.0) else SILENT)
    link.submit(write(1, POWER, CHARGE))
    assert peer.wait_for(lambda: peer.requests[-1].address == 47247)
    link.close()
    release.set()
    closed = threading.Event()
    shared_loop().call(closed.set)
    assert closed.wait(5.0)
    assert peer.writes == [POWER_WRITE]


def test_a_stop_goes_on_after_a_refused_step_and_counts_by_its_read_back(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    misbehave(peer, 47247, lambda request: exception(request, 4))
    zero = RegisterWords("power", 47247, (0, 0))
    link.submit(WriteJob(number=1, safe=True, steps=(STOP, zero), checks=(STOP,)))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.VERIFIED
    assert "power: write of [0, 0] at 47247: device failure" in outcome.detail


def test_a_stop_that_the_device_refuses_is_rejected(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    peer.put(47100, 1)
    peer.script = lambda request: exception(request, 4) if request.written else None
    link.submit(write(1, STOP, safe=True))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.REJECTED
    assert "stop reads [1] at 47100, expected [0]" in outcome.detail


def test_a_write_that_cannot_be_read_back_is_unverified(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    peer.script = lambda request: exception(request, 6) if request.function == 3 else None
    link.submit(write(1, STOP, safe=True))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.UNVERIFIED
    assert "stop cannot be read back" in outcome.detail


def test_a_late_frame_before_the_right_answer_is_skipped(
    peer: ScriptedPeer, link: ModbusLink, heard: Heard
) -> None:
    def late_then_right(request: Request) -> Reply:
        stale = frame(request.transaction - 1, request.unit, b"\x03\x02\x00\x01")
        return Reply(stale + peer.answer(request).data)

    misbehave(peer, 37004, late_then_right)
    link.submit(READ)
    assert heard.words() == [500]


def test_an_error_that_a_link_does_not_know_is_delivered_not_swallowed(
    peer: ScriptedPeer, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("actors.inverter.line.recognise", boom)
    connect(peer, heard)
    heard.wait_for(lambda: LinkCrashed("ZeroDivisionError()") in heard.events)
