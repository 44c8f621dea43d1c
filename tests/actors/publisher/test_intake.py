from __future__ import annotations

import pytest

from actors.messages import SafetyEvent, SpoolAck, SpoolResume
from actors.publisher.intake import ACK_EVERY, ACK_S, ASK_S, Intake, Judgement
from actors.unacked import LEAST_WINDOW

EPOCH = 5


def _event(seq: int, prior_seq: int | None = None) -> SafetyEvent:
    return SafetyEvent(
        device_id="b1",
        kind="began",
        rule="r",
        detail="",
        wall_ns=seq,
        mono_ns=seq,
        seq=seq,
        prior_seq=seq - 1 if prior_seq is None else prior_seq,
    )


class Desk:
    """An intake that takes what it may, and a clock."""

    def __init__(self) -> None:
        self.intake = Intake()
        self.now_s = 100.0

    def give(self, *seqs: int, epoch: int = EPOCH) -> list[Judgement]:
        found = []
        for seq in seqs:
            found.append(self.intake.judge("s", _event(seq), epoch))
            if found[-1] is Judgement.TAKE:
                self.intake.take("s", _event(seq), epoch)
        return found

    def acks(self, *, asking: bool = True) -> list[SpoolAck]:
        return [told.ack for told in self.intake.acks(self.now_s, asking=asking)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_nothing_is_acknowledged_before_a_commit(desk: Desk) -> None:
    desk.give(1, 2)
    assert desk.acks() == []

    desk.intake.committed()

    assert desk.acks() == [SpoolAck(epoch=EPOCH, seq=2)]
    assert desk.acks() == []


def test_few_are_acknowledged_now_and_then_and_many_at_once(desk: Desk) -> None:
    desk.give(1)
    desk.intake.committed()
    desk.acks()
    desk.give(2)
    desk.intake.committed()
    assert desk.acks() == []
    desk.give(*range(3, 3 + ACK_EVERY))
    desk.intake.committed()
    assert len(desk.acks()) == 1
    desk.give(3 + ACK_EVERY)
    desk.intake.committed()

    desk.now_s += ACK_S

    assert desk.acks() == [SpoolAck(epoch=EPOCH, seq=3 + ACK_EVERY)]


def test_after_a_gap_nothing_is_taken_and_its_sender_is_asked_now_and_then(desk: Desk) -> None:
    assert desk.give(1, 3, 4) == [Judgement.TAKE, Judgement.AFTER_GAP, Judgement.AFTER_GAP]
    assert desk.acks() == [SpoolAck(epoch=EPOCH, seq=0, again=1)]
    assert all(ack.again is None for ack in desk.acks())

    desk.now_s += ASK_S

    assert desk.acks() == [SpoolAck(epoch=EPOCH, seq=0, again=1)]
    assert desk.give(2, 3) == [Judgement.TAKE, Judgement.TAKE]


def test_without_room_nobody_is_asked(desk: Desk) -> None:
    desk.give(1, 3)

    assert all(ack.again is None for ack in desk.acks(asking=False))
    assert [ack.again for ack in desk.acks()] == [1]


def test_a_sender_that_does_not_begin_at_its_beginning_is_asked_for_what_it_has(desk: Desk) -> None:
    assert desk.give(57) == [Judgement.AFTER_GAP]
    assert desk.acks() == [SpoolAck(epoch=EPOCH, seq=0, again=0)]

    lost = desk.intake.resume("s", SpoolResume(epoch=EPOCH, first_seq=51, prior_seq=50, lost=3))

    assert lost == 3
    assert desk.give(*range(51, 58)) == [Judgement.TAKE] * 7


def test_a_loss_that_is_told_again_is_not_counted_again(desk: Desk) -> None:
    first = SpoolResume(epoch=EPOCH, first_seq=51, prior_seq=50, lost=3)
    more = SpoolResume(epoch=EPOCH, first_seq=61, prior_seq=60, lost=13)

    counted = [desk.intake.resume("s", each) for each in (first, first, more)]

    assert counted == [3, 0, 10]


def test_what_was_taken_is_repeated_not_new(desk: Desk) -> None:
    assert desk.give(1, 2, 1, 2) == [Judgement.TAKE] * 2 + [Judgement.REPEATED] * 2


def test_a_new_incarnation_begins_anew_and_the_last_words_of_the_old_are_taken(desk: Desk) -> None:
    desk.give(1, 2)

    assert desk.give(1, epoch=EPOCH + 1) == [Judgement.TAKE]
    assert desk.give(3) == [Judgement.TAKE]
    desk.intake.committed()
    assert desk.acks() == [SpoolAck(epoch=EPOCH + 1, seq=1)]


def test_numbers_may_have_gaps_where_each_names_the_one_before(desk: Desk) -> None:
    judged = []
    for seq, prior_seq in ((4, 0), (9, 4), (11, 9)):
        event = _event(seq, prior_seq)
        judged.append(desk.intake.judge("s", event, EPOCH))
        desk.intake.take("s", event, EPOCH)

    assert judged == [Judgement.TAKE] * 3


def test_a_sender_is_acknowledged_as_soon_as_its_window_may_be_full_however_soon_that_is(
    desk: Desk,
) -> None:
    for first in range(1, 5 * LEAST_WINDOW, LEAST_WINDOW):
        last = first + LEAST_WINDOW - 1
        desk.give(*range(first, last + 1))
        desk.intake.committed()
        assert desk.acks() == [SpoolAck(epoch=EPOCH, seq=last)]


def test_hundreds_of_senders_that_begin_together_are_not_told_all_at_once_for_ever() -> None:
    intake = Intake()
    told = []
    for second in range(60):
        for tick in range(5):
            for number in range(300):
                if number % 5 == tick or second == 0:
                    seq = 5 * second + tick + 1
                    intake.judge(f"s{number}", _event(seq, 0), EPOCH)
                    intake.take(f"s{number}", _event(seq, 0), EPOCH)
            intake.committed()
            told.append(len(list(intake.acks(second + tick / 5))))

    later = told[100:]
    assert told[0] == 300
    assert max(later) < 50
    assert sum(later) < 300 * len(later) / 5 / (ACK_S * 0.7)
