"""In what order an incarnation is fed, and what becomes of frames when it ends."""

from __future__ import annotations

import threading
from typing import Any

from supervision.actor import StopReason
from supervision.clock import ManualClock
from supervision.envelope import Frame, Header, Lane
from supervision.mailbox import Acceptance, Bell, Mailbox, OwnEvent, StopOrder, Tick
from supervision.spec import MailboxSpec


def frame(lane: Lane = Lane.CONTROL, sender: str = "a") -> Frame:
    return Frame(Header(receiver="r", sender=sender, epoch=1, lane=lane), b"")


def box(clock: ManualClock, *, tick_when_idle: bool = False, **spec: int) -> Mailbox:
    return Mailbox(
        MailboxSpec(**spec),
        clock,
        tick_s=1.0,
        tick_when_idle=tick_when_idle,
        wait=clock.advance,
    )


def kinds(mailbox: Mailbox, count: int) -> list[Any]:
    return [type(mailbox.get().message) for _ in range(count)]


def test_commands_and_urgent_events_ring_as_such_and_nothing_else_does() -> None:
    rung: list[bool] = []
    mailbox = Mailbox(MailboxSpec(), ManualClock(), tick_s=1.0, ring=rung.append)
    for lane in Lane:
        mailbox.deliver(frame(lane))
    mailbox.post("part", urgent=True)
    mailbox.post("rest")
    assert rung == [True, False, False, True, False]


def test_an_idle_mailbox_ticks_at_its_period() -> None:
    clock = ManualClock(start_s=0.0)
    mailbox = box(clock)
    assert kinds(mailbox, 3) == [Tick, Tick, Tick]
    assert clock.monotonic_s() == 3.0


def test_a_tick_comes_when_the_actor_asked_for_it_and_once_only() -> None:
    clock = ManualClock(start_s=0.0)
    mailbox = box(clock)
    mailbox.wake_at(300_000_000)
    assert kinds(mailbox, 1) == [Tick]
    assert clock.monotonic_s() == 0.3
    assert kinds(mailbox, 1) == [Tick]
    assert clock.monotonic_s() == 1.0


def test_a_wish_beyond_the_next_regular_tick_changes_nothing() -> None:
    clock = ManualClock(start_s=0.0)
    mailbox = box(clock)
    mailbox.wake_at(5_000_000_000)
    kinds(mailbox, 1)
    assert clock.monotonic_s() == 1.0


def test_a_tick_that_waits_for_idleness_is_put_off_by_work_but_not_for_ever() -> None:
    clock = ManualClock(start_s=0.0)
    mailbox = box(clock, tick_when_idle=True)
    seen: list[Any] = []
    while Tick not in seen:
        mailbox.deliver(frame())
        seen += kinds(mailbox, 1)
        clock.advance(0.5)
    assert 4.0 <= clock.monotonic_s() <= 6.0


def test_work_does_not_put_off_a_tick_that_was_asked_for() -> None:
    clock = ManualClock(start_s=0.0)
    mailbox = box(clock, tick_when_idle=True)
    mailbox.wake_at(600_000_000)
    mailbox.deliver(frame())
    assert kinds(mailbox, 2) == [Frame, Tick]
    assert clock.monotonic_s() == 0.6


def test_ticks_that_were_missed_are_not_made_up_for() -> None:
    clock = ManualClock(start_s=0.0)
    mailbox = box(clock)
    clock.advance(5.5)
    assert kinds(mailbox, 2) == [Tick, Tick]
    assert clock.monotonic_s() == 6.0


def test_the_order_to_stop_is_served_before_everything_else() -> None:
    clock = ManualClock()
    mailbox = box(clock)
    mailbox.deliver(frame())
    mailbox.post("own", urgent=True)
    clock.advance(10.0)
    mailbox.order_stop(StopReason.SHUTDOWN)
    assert kinds(mailbox, 4) == [StopOrder, Tick, OwnEvent, Frame]


def test_the_tick_comes_also_while_frames_keep_coming() -> None:
    clock = ManualClock()
    mailbox = box(clock)
    for _ in range(200):
        mailbox.deliver(frame())
    clock.advance(1.0)
    assert kinds(mailbox, 1) == [Tick]


def test_own_events_and_frames_take_turns() -> None:
    mailbox = box(ManualClock())
    for _ in range(2):
        mailbox.post("own")
        mailbox.deliver(frame())
    assert kinds(mailbox, 4) in ([Frame, OwnEvent] * 2, [OwnEvent, Frame] * 2)


def test_a_flooding_sender_is_told_so() -> None:
    mailbox = box(ManualClock(), control_per_sender=1)
    assert mailbox.deliver(frame()) is Acceptance.TAKEN
    assert mailbox.deliver(frame()) is Acceptance.FLOODED
    assert mailbox.deliver(frame(sender="b")) is Acceptance.TAKEN
    assert (mailbox.waiting, mailbox.dropped) == (2, 1)


def test_a_closed_mailbox_returns_what_nobody_will_serve_and_takes_no_more() -> None:
    mailbox = box(ManualClock())
    mailbox.deliver(frame())
    mailbox.post("own")
    assert mailbox.close() == [frame()]
    assert mailbox.deliver(frame()) is Acceptance.CLOSED
    assert not mailbox.post("own")
    assert mailbox.empty()


def test_a_frame_wakes_a_waiting_thread() -> None:
    from supervision.clock import SystemClock

    mailbox = Mailbox(MailboxSpec(), SystemClock(), tick_s=60.0)
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(mailbox.get().message))
    thread.start()
    mailbox.deliver(frame())
    thread.join(10.0)
    assert got == [frame()]


def test_a_bell_that_rings_twice_wakes_once_and_is_silent_again() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    bell.sleep(60.0)
    assert bell._gate.locked()
