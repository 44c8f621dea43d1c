"""What is delivered in a cell, what goes to the link, and what becomes a dead letter."""

from __future__ import annotations

import pytest

from supervision.clock import ManualClock
from supervision.envelope import MAX_BODY_BYTES, Frame, Header, Lane
from supervision.events import ROOT
from supervision.mailbox import Mailbox
from supervision.postoffice import DeadLetter, PostOffice
from supervision.spec import MailboxSpec


class Office:
    def __init__(self) -> None:
        self.linked: list[Frame] = []
        self.link_takes = True
        self.office = PostOffice(["here", "later", "there"], self.to_link, local=["here", "later"])
        self.box = Mailbox(MailboxSpec(control_per_sender=1), ManualClock(), tick_s=1.0)
        self.office.open("here", self.box)

    def to_link(self, frame: Frame) -> bool:
        self.linked.append(frame)
        return self.link_takes

    def send(self, receiver: str) -> None:
        self.office.dispatch(
            Frame(Header(receiver=receiver, sender="me", epoch=1, lane=Lane.CONTROL), b"")
        )

    def reasons(self) -> list[str]:
        return [letter.reason for letter in self.office.take_dead()]


def test_a_local_receiver_gets_its_frame_and_others_go_to_the_link() -> None:
    office = Office()
    for receiver in ("here", "there", ROOT):
        office.send(receiver)
    assert office.box.waiting == 1
    assert [frame.header.receiver for frame in office.linked] == ["there", ROOT]
    assert office.office.dead_letters == 0


def test_a_frame_for_a_local_actor_that_has_not_started_yet_does_not_go_round_by_root() -> None:
    """Root would send it straight back, and so on without end."""
    office = Office()
    office.send("later")
    assert office.linked == []
    assert office.reasons() == ["the receiver is not running"]


@pytest.mark.parametrize(
    "frame",
    [
        Frame(Header(receiver="there", sender="me", epoch=1), bytes(MAX_BODY_BYTES + 1)),
        Frame(Header(receiver="there", sender="me", epoch=1, trace="x" * 1000), b""),
    ],
    ids=["body", "trace"],
)
def test_an_oversized_message_is_a_dead_letter_and_never_reaches_the_link(frame: Frame) -> None:
    office = Office()
    office.office.dispatch(frame)
    assert office.linked == []
    assert office.reasons() == ["larger than a message may be"]


def test_each_way_to_fail_is_a_dead_letter_with_its_reason() -> None:
    office = Office()
    office.send("nowhere")
    office.send("here")
    office.send("here")
    office.link_takes = False
    office.send("there")
    assert office.reasons() == [
        "no such address",
        "the sender floods the receiver",
        "the sender floods the link",
    ]


def test_frames_left_in_a_closing_mailbox_become_dead_letters() -> None:
    office = Office()
    office.send("here")
    office.office.close("here", office.box)
    office.send("here")
    assert office.reasons() == [
        "the receiver ended before serving it",
        "the receiver is not running",
    ]


def test_a_receiver_that_ends_while_a_frame_is_on_its_way_is_told() -> None:
    office = Office()
    office.box.close()
    office.send("here")
    assert office.office.take_dead() == {DeadLetter("me", "here", "the receiver has ended"): 1}


def test_closing_an_old_incarnation_does_not_close_the_new_one() -> None:
    office = Office()
    old, office.box = office.box, Mailbox(MailboxSpec(), ManualClock(), tick_s=1.0)
    office.office.open("here", office.box)
    office.office.close("here", old)
    office.send("here")
    assert office.box.waiting == 1


def test_a_frame_for_several_actors_crosses_the_link_once_and_each_miss_is_counted() -> None:
    office = Office()
    header = Header(receiver="here", sender="me", epoch=1, also=("there", "later", "nowhere"))
    office.office.dispatch(Frame(header, b"x"))
    assert [frame.header.receivers for frame in office.linked] == [("there",)]
    assert office.box.waiting == 1
    assert set(office.reasons()) == {"the receiver is not running", "no such address"}
