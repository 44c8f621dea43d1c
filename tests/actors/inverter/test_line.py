"""Patience with a busy device, reads in parts, and writes that show late."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inverter.cuts import Cuts
from actors.inverter.jobs import BlockRef, PollJob, RegisterWords
from actors.inverter.profile import Block, Point, PointType, PollClass
from actors.messages import LinkState, WriteResult
from supervision.clock import NS_PER_S
from tests.actors.inverter.driven import PROFILE
from tests.actors.inverter.linked import CHARGE, READ, STOP, Heard, connect, misbehave, write
from tests.actors.inverter.scripted_peer import Reply, Request, ScriptedPeer, exception

POLL = PollJob(1, tuple(BlockRef(number, 37000 + number, 1) for number in range(4)), ())


def busy(peer: ScriptedPeer, times: int) -> Callable[[Request], Reply]:
    """Say so often that the device is busy, then answer."""
    left = itertools.count(times, -1)
    return lambda request: exception(request, 6) if next(left) > 0 else peer.answer(request)


@pytest.mark.parametrize("code", [5, 6])
def test_a_busy_device_is_asked_again(peer: ScriptedPeer, heard: Heard, code: int) -> None:
    link = connect(peer, heard)
    heard.until(LinkState.ONLINE)
    first = iter((True,))
    misbehave(
        peer,
        37004,
        lambda request: exception(request, code) if next(first, False) else peer.answer(request),
    )
    link.submit(READ)
    assert heard.words() == [500]
    assert link.errors["busy"] == 1


def test_a_poll_has_only_so_much_patience_with_a_busy_device(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, busy_retries=2)
    heard.until(LinkState.ONLINE)
    before = len(peer.requests)
    peer.script = lambda request: exception(request, 6)
    link.submit(POLL)
    assert all("device busy" in str(answer.error) for answer in heard.poll()[0].answers)
    assert len(peer.requests) - before == len(POLL.safety) + 2
    assert link.errors["busy"] == len(POLL.safety) + 2


def test_the_next_poll_is_patient_again(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, busy_retries=1)
    heard.until(LinkState.ONLINE)
    peer.script = lambda request: exception(request, 6)
    link.submit(READ)
    heard.poll()
    misbehave(peer, 37004, busy(peer, 1))
    link.submit(PollJob(2, READ.safety, ()))
    heard.wait_for(lambda: len(heard.parts()) == 2)
    assert list(heard.parts()[1].answers[0].words or ()) == [500]


def test_the_pauses_for_a_busy_device_grow(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, busy_retries=2, busy_delay_s=0.03)
    heard.until(LinkState.ONLINE)
    times: list[float] = []

    def script(request: Request) -> Reply:
        times.append(time.monotonic())
        return exception(request, 6)

    peer.script = script
    link.submit(READ)
    heard.poll()
    first, second = (later - earlier for earlier, later in itertools.pairwise(times))
    assert first >= 0.028
    assert second >= 0.058


def test_a_write_to_a_busy_device_is_tried_again(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard)
    heard.until(LinkState.ONLINE)
    misbehave(peer, 47100, busy(peer, 1))
    link.submit(write(1, CHARGE))
    assert heard.outcome(1).result is WriteResult.VERIFIED
    assert peer.writes == [(47100, (1,))] * 2


def test_a_write_to_a_busy_device_is_not_tried_again_after_its_lease(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, busy_delay_s=0.1)
    heard.until(LinkState.ONLINE)
    misbehave(peer, 47100, busy(peer, 9))
    link.submit(write(1, CHARGE, expires_ns=time.monotonic_ns() + NS_PER_S // 20))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.REJECTED
    assert "its lease ended" in outcome.detail
    assert len(peer.writes) == 1


def test_a_safe_command_does_not_wait_for_the_pause_of_a_busy_device(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, busy_delay_s=10.0)
    heard.until(LinkState.ONLINE)
    misbehave(peer, 37004, lambda request: exception(request, 6))
    link.submit(READ)
    assert peer.wait_for(lambda: peer.requests[-1].address == 37004)
    link.submit(write(1, STOP, safe=True))
    assert heard.outcome(1).result is WriteResult.VERIFIED


def shows_late(peer: ScriptedPeer, address: int, old: int, times: int) -> None:
    """Let a register read as `old` so often."""
    left = itertools.count(times, -1)

    def script(request: Request) -> Reply | None:
        if request.address != address or request.written or next(left) <= 0:
            return None
        now, peer.registers[address] = peer.registers.get(address, 0), old
        reply = peer.answer(request)
        peer.registers[address] = now
        return reply

    peer.script = script


def test_what_is_shown_late_is_read_again(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, readback_s=5.0)
    heard.until(LinkState.ONLINE)
    shows_late(peer, 47100, 0, 2)
    link.submit(write(1, CHARGE))
    assert heard.outcome(1).result is WriteResult.VERIFIED


def test_what_is_not_shown_in_time_is_unverified(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, readback_s=0.05)
    heard.until(LinkState.ONLINE)
    shows_late(peer, 47100, 0, 99)
    link.submit(write(1, CHARGE))
    outcome = heard.outcome(1)
    assert outcome.result is WriteResult.UNVERIFIED
    assert "charge reads [0] at 47100, expected [1]" in outcome.detail


def test_a_safe_command_ends_the_waiting_for_what_is_shown_late(
    peer: ScriptedPeer, heard: Heard
) -> None:
    link = connect(peer, heard, readback_s=60.0)
    heard.until(LinkState.ONLINE)
    shows_late(peer, 47100, 9, 2)
    link.submit(write(1, CHARGE))
    assert peer.wait_for(lambda: len(peer.writes) == 1 and not peer.requests[-1].written)
    link.submit(write(2, STOP, safe=True))
    assert heard.outcome(1).result is WriteResult.UNVERIFIED
    assert heard.outcome(2).result is WriteResult.VERIFIED


def test_a_step_is_followed_by_its_silence(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard)
    heard.until(LinkState.ONLINE)
    times: list[float] = []
    peer.script = lambda _: times.append(time.monotonic())
    link.submit(write(1, msgspec.structs.replace(STOP, settle_s=0.05), CHARGE))
    heard.outcome(1)
    assert times[1] - times[0] >= 0.048


def test_a_safe_command_does_not_wait_for_a_silence(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard)
    heard.until(LinkState.ONLINE)
    link.submit(write(1, msgspec.structs.replace(CHARGE, settle_s=60.0), STOP))
    assert peer.wait_for(lambda: len(peer.writes) == 1)
    link.submit(write(2, STOP, safe=True))
    assert heard.outcome(2).result is WriteResult.VERIFIED
    assert "overtaken by a safe command after 1 of 2 writes" in heard.outcome(1).detail


@pytest.mark.parametrize(("shown", "result"), [(998, "verified"), (997, "unverified")])
def test_what_is_read_back_may_differ_by_the_tolerance(
    peer: ScriptedPeer, heard: Heard, shown: int, result: str
) -> None:
    link = connect(peer, heard)
    heard.until(LinkState.ONLINE)
    shows_late(peer, 47246, shown, 99)
    link.submit(write(1, RegisterWords("power", 47246, (1000,), tolerance=2)))
    assert heard.outcome(1).result is WriteResult(result)


def test_a_device_that_reads_less_at_once_is_read_in_parts(
    peer: ScriptedPeer, heard: Heard
) -> None:
    peer.put(37000, *range(100, 123))
    link = connect(peer, heard, max_registers=10)
    heard.until(LinkState.ONLINE)
    link.submit(PollJob(1, (BlockRef(0, 37000, 23),), ()))
    assert heard.words() == list(range(100, 123))
    counts = [request.words[0] for request in peer.requests]
    assert max(counts) <= 10
    assert sum(counts[-3:]) == 23


def test_one_part_that_is_refused_fails_its_block(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, max_registers=10)
    heard.until(LinkState.ONLINE)
    peer.script = lambda request: exception(request, 2) if request.address > 37000 else None
    link.submit(PollJob(1, (BlockRef(0, 37000, 23),), ()))
    assert "no such register" in heard.failure()


KINDS = (PointType.U16, PointType.I32, PointType.U64)


@given(st.lists(st.sampled_from(KINDS), min_size=1, max_size=30), st.integers(1, 12))
def test_no_part_cuts_through_a_value_or_is_longer_than_it_must(
    kinds: list[PointType], longest: int
) -> None:
    points: list[Point] = []
    end = 1000
    for number, kind in enumerate(kinds):
        points.append(Point(name=f"p{number}", address=end, type=kind))
        end += points[-1].count
    block = Block(
        name="b", address=1000, count=end - 1000, poll_class=PollClass.FAST, points=tuple(points)
    )
    profile = msgspec.structs.replace(PROFILE, blocks=(*PROFILE.blocks, block))
    parts = Cuts(profile, longest).parts(1000, block.count)
    assert parts[0][0] == 1000
    assert all(start + length == after for (start, length), (after, _) in itertools.pairwise(parts))
    assert sum(length for _, length in parts) == block.count
    begins = {point.address for point in points}
    assert {start for start, _ in parts} <= begins
    assert all(length <= max(longest, 4) for _, length in parts)


def test_a_value_is_not_read_apart_from_its_power_of_ten() -> None:
    points = (
        Point(name="value", address=1000, type=PointType.U16, scale_point="scale"),
        Point(name="other", address=1001, type=PointType.U16),
        Point(name="scale", address=1002, type=PointType.I16),
        Point(name="last", address=1003, type=PointType.U16),
    )
    block = Block(name="b", address=1000, count=4, poll_class=PollClass.FAST, points=points)
    profile = msgspec.structs.replace(PROFILE, blocks=(*PROFILE.blocks, block))
    assert Cuts(profile, 3).parts(1000, 4) == [(1000, 3), (1003, 1)]
    assert Cuts(profile, 2).parts(1000, 4) == [(1000, 3), (1003, 1)]


def test_errors_are_counted_by_kind(peer: ScriptedPeer, heard: Heard) -> None:
    link = connect(peer, heard, timeout_s=0.05)
    heard.until(LinkState.ONLINE)
    codes = {37000: 1, 37001: 3, 37002: 4, 37003: 0x80}
    peer.script = lambda request: exception(request, codes[request.address])
    link.submit(POLL)
    heard.poll()
    peer.script = lambda _: Reply()
    link.submit(PollJob(2, READ.safety, ()))
    heard.until(LinkState.OFFLINE)
    peer.script = lambda _: None
    heard.until(LinkState.ONLINE, times=2)
    peer.hang_up()
    heard.until(LinkState.OFFLINE, times=2)
    counted = {kind: count for kind, count in link.errors.items() if count}
    assert counted == {
        "illegal_address": 1,
        "illegal_value": 1,
        "device_failure": 1,
        "permission": 1,
        "timeout": 1,
        "lost": 1,
    }
