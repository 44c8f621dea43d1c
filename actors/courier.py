"""Sends numbered messages to PublisherActor until they are durable: the shell around `Unacked`.

    courier = Courier(context, max_bytes=1 << 19)
    courier.send(sample)            # in place of context.send(sample, PUBLISHER)
    courier.heard(ack)              # on a SpoolAck
    courier.tick()                  # in on_tick

A message is encoded once, and what is sent again is what was kept.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from actors.messages import CODEC, PUBLISHER, SafetyEvent, Sample, SpoolAck, SpoolResume
from actors.unacked import PATIENCE_NS, WINDOW, Unacked
from supervision.actor import ActorContext
from supervision.envelope import Lane

_Numbered = TypeVar("_Numbered", Sample, SafetyEvent)


class Courier:
    """One sender's way to the spool, keeping at most `max_bytes` of unacknowledged messages."""

    def __init__(
        self,
        context: ActorContext,
        *,
        max_bytes: int,
        window: int = WINDOW,
        patience_ns: int = PATIENCE_NS,
    ) -> None:
        self.unacked = Unacked(max_bytes=max_bytes, window=window, patience_ns=patience_ns)
        self._context = context

    def send(
        self, message: _Numbered, *also: str, lane: Lane = Lane.TELEMETRY, trace: str = ""
    ) -> None:
        """Send `message`, whose `seq` is above all before it, now or when those before it are through.

        To the receivers in `also` it goes now, and once, in their `lane`. What is sent later or again has lost its
        `trace`.
        """
        unacked = self.unacked
        message = msgspec.structs.replace(message, prior_seq=unacked.last_seq)
        now_ns = self._context.clock.monotonic_ns()
        body = CODEC.encode(message)
        spool = unacked.add(message.seq, body, now_ns)
        if spool and lane is Lane.TELEMETRY:
            also, spool = (PUBLISHER, *also), False  # the spool's lane: one frame for all
        if also:
            self._context.send_encoded(body, *also, lane=lane, trace=trace)
        if spool:
            self._context.send_encoded(body, PUBLISHER, trace=trace)
        self.tick()

    def heard(self, ack: SpoolAck) -> None:
        """Take note of what is durable, and go on from there."""
        if ack.epoch == self._context.epoch:
            now_ns = self._context.clock.monotonic_ns()
            self.unacked.acknowledge(ack.seq, ack.again, now_ns)
            self.tick()

    def tick(self) -> None:
        """Send what is due."""
        replay = self.unacked.due(self._context.clock.monotonic_ns())
        if replay.resume:
            first = replay.items[0]
            resume = SpoolResume(
                epoch=self._context.epoch,
                first_seq=first.seq,
                prior_seq=first.prior_seq,
                lost=self.unacked.untold,
            )
            self._context.send(resume, PUBLISHER)
        for item in replay.items:
            self._context.send_encoded(item.body, PUBLISHER)
