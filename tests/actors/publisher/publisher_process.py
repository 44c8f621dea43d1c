"""A process of its own around a PublisherActor: frames come on standard input, what it sends leaves on standard output.

Run as `python -m tests.actors.publisher.publisher_process STATE_DIR EPOCH`.
"""

from __future__ import annotations

import os
import select
import sys

import msgspec

from actors.messages import CODEC
from actors.publisher.actor import PublisherActor
from actors.publisher.config import PublisherConfig
from supervision.actor import StopReason
from supervision.clock import Clock, SystemClock
from supervision.envelope import Frame, FrameReader, Header, Lane, pack
from tests.actors.fakes import RecordingContext

TICK_S = 0.05


class PipeContext(RecordingContext):
    """Sends frames to standard output."""

    def __init__(self, epoch: int, clock: Clock) -> None:
        super().__init__("publisher", epoch, clock)

    def send(
        self,
        message: msgspec.Struct,
        *receivers: str,
        lane: Lane = Lane.TELEMETRY,
        ttl_s: float | None = None,
        trace: str = "",
    ) -> None:
        del lane, ttl_s, trace
        header = Header(receiver=receivers[0], sender=self.name, epoch=self.epoch)
        os.write(1, pack(Frame(header, CODEC.encode(message))))


def main(state_dir: str, epoch: int) -> None:
    """Serve until the input ends."""
    clock = SystemClock()
    actor = PublisherActor(PublisherConfig(site_id="S", state_dir=state_dir, commit_messages=20))
    actor.on_start(PipeContext(epoch, clock))
    reader = FrameReader()
    tick_due_s = 0.0
    while True:
        if select.select([0], [], [], TICK_S)[0]:
            data = os.read(0, 1 << 16)
            if not data:
                break
            for frame in reader.feed(data):
                actor.on_message(CODEC.decode(frame.body), frame.header)
        if clock.monotonic_s() >= tick_due_s:
            tick_due_s = clock.monotonic_s() + TICK_S
            actor.on_tick()
    actor.on_stop(StopReason.SHUTDOWN)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
