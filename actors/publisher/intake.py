"""What has arrived from each sender of numbered messages, what is durable of it, and what is missing.

Each message names the one before it, so a gap shows at once: it is not taken, and the sender is asked to send again
from there. What comes twice is not taken twice. A sender whose first message here is not its first at all is asked for
what it still has: it may have sent that to an earlier incarnation.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Final, NamedTuple

from actors.messages import SafetyEvent, Sample, SpoolAck, SpoolResume
from actors.unacked import LEAST_WINDOW

ACK_EVERY: Final = LEAST_WINDOW
"""So many durable messages of a sender are acknowledged at once: it may have no more than that under way ..."""
ACK_S: Final = 3.0
"""... and fewer after so long: an acknowledgement costs the control cell as much as a message."""
_SPREAD: Final = 0.3
"""Each time is shorter by up to so much of it: hundreds of senders would else be told all at once, time and again."""
_GOLDEN: Final = 0.618034
"""Multiples of it, less their whole part, are evenly spread however many they are."""
ASK_S: Final = 1.0
"""A sender is asked again at most this often."""


class Judgement(enum.Enum):
    """What to do with a message."""

    TAKE = "take"
    REPEATED = "repeated"
    """It was taken before."""
    AFTER_GAP = "after_gap"
    """Something before it is missing."""


class Told(NamedTuple):
    """An acknowledgement and whom to send it to."""

    sender: str
    ack: SpoolAck


class _Stream:
    """The messages of one incarnation of one sender."""

    def __init__(self, epoch: int, taken: int) -> None:
        self.epoch = epoch
        self.taken = taken
        self.durable = taken
        self.unacked = 0
        """Durable messages that were not acknowledged."""
        self.pending = 0
        """Messages taken since the last commit."""
        self.ack_due_s = float("-inf")
        self.asked_s = float("-inf")
        self.gap = False
        self.lost = 0
        """What the sender last said that it had lost."""


class Intake:
    """The streams of all senders. No clock, no I/O."""

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}
        self._dirty: set[str] = set()
        self._unacked: set[str] = set()
        self._told = 0

    def judge(self, sender: str, message: Sample | SafetyEvent, epoch: int) -> Judgement:
        """Return what to do with `message`; a gap is remembered until it is filled."""
        stream = self._streams.get(sender)
        if stream is None or epoch > stream.epoch:
            stream = self._streams[sender] = _Stream(epoch, 0)
        if epoch < stream.epoch:
            return Judgement.TAKE  # the last words of an earlier incarnation
        if message.seq <= stream.taken:
            self._unacked.add(sender)  # the sender does not know yet
            return Judgement.REPEATED
        if message.prior_seq not in {stream.taken, 0}:
            stream.gap = True
            self._unacked.add(sender)
            return Judgement.AFTER_GAP
        return Judgement.TAKE

    def take(self, sender: str, message: Sample | SafetyEvent, epoch: int) -> None:
        """Count `message` as taken: it will be durable with the next commit."""
        stream = self._streams[sender]
        if epoch == stream.epoch and message.seq:
            stream.taken = message.seq
            stream.gap = False
            stream.pending += 1
            self._dirty.add(sender)

    def refuse(self, sender: str) -> None:
        """Have the sender asked again for what it sent last: it could not be taken."""
        self._streams[sender].gap = True
        self._unacked.add(sender)

    def resume(self, sender: str, resume: SpoolResume) -> int:
        """Take note of where a sender begins again; return how many messages are newly known to be lost."""
        stream = self._streams.get(sender)
        if stream is None or resume.epoch > stream.epoch:
            stream = self._streams[sender] = _Stream(resume.epoch, 0)
        if resume.epoch < stream.epoch:
            return 0
        if resume.prior_seq <= stream.taken:
            return 0
        known, stream.lost = stream.lost, resume.lost
        lost = resume.lost - known if resume.lost >= known else resume.lost
        stream.taken = resume.prior_seq
        if not stream.pending:
            stream.durable = stream.taken
        return lost

    def committed(self) -> None:
        """Count everything that was taken as durable."""
        for sender in self._dirty:
            stream = self._streams[sender]
            stream.durable = stream.taken
            stream.unacked += stream.pending
            stream.pending = 0
        self._unacked |= self._dirty
        self._dirty.clear()

    def acks(self, now_s: float, *, asking: bool = True) -> Iterator[Told]:
        """Yield what is to be told now; without `asking` nobody is asked to send again, for want of room."""
        for sender in list(self._unacked):
            stream = self._streams[sender]
            ask = asking and stream.gap and now_s >= stream.asked_s + ASK_S
            if ask:
                stream.asked_s = now_s
            elif stream.unacked < ACK_EVERY and now_s < stream.ack_due_s:
                continue
            self._told += 1
            stream.ack_due_s = now_s + ACK_S * (1.0 - _SPREAD * (self._told * _GOLDEN % 1.0))
            stream.unacked = 0
            if not stream.gap:
                self._unacked.discard(sender)
            again = stream.taken if ask else None
            yield Told(sender, SpoolAck(epoch=stream.epoch, seq=stream.durable, again=again))
