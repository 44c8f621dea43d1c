"""Actors that take the place of all others in a fleet run: they count what the control cell delivers.

What they keep does not grow with time: sinks that answer later and later would be measured along.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec

from actors.messages import PUBLISHER, DeviceState, LinkState, Sample, SpoolResume
from actors.publisher.intake import Intake, Judgement
from supervision.actor import Actor, ActorContext
from supervision.clock import NS_PER_S
from supervision.envelope import Header

_KEEP = 20_000
_WRITE_S = 1.0


class Picks(msgspec.Struct):
    """Up to `_KEEP` of all the numbers given, each as likely as any other, however many come."""

    given: int = 0
    kept: list[float] = []
    worst: float = 0.0

    def add(self, number: float) -> None:
        """Keep `number`, or not."""
        self.given += 1
        self.worst = max(self.worst, number)
        if len(self.kept) < _KEEP:
            self.kept.append(number)
        elif (place := random.randrange(self.given)) < _KEEP:
            self.kept[place] = number

    def with_worst(self) -> list[float]:
        """Return those kept, and the largest of all if it may not be among them."""
        return [*self.kept, self.worst] if self.given > _KEEP else self.kept


class Cycles(msgspec.Struct, array_like=True):
    """When the polls of one device ended."""

    first_ns: int
    last_ns: int
    count: int = 1


class Tally(msgspec.Struct, kw_only=True):
    """What one sink has counted so far."""

    samples: int = 0
    values: int = 0
    """Values of those samples that were numbers."""
    delays_ms: Picks = msgspec.field(default_factory=Picks)
    """From a poll's last answer to its sample here."""
    polls: dict[str, int] = {}
    skipped: dict[str, int] = {}
    failed: dict[str, int] = {}
    online: dict[str, bool] = {}
    reasons: dict[str, str] = {}
    polls_ms: Picks = msgspec.field(default_factory=Picks)
    """How long polls took, from their first question to their last answer, one of each device every two seconds."""
    cycles: dict[str, Cycles] = {}


class Sink(Actor):
    """Writes its tally to a file once a second; begins anew when the file `<file>.reset` appears."""

    def __init__(self, path: Path) -> None:
        """Count into `path`."""
        self._path = path
        self._tally = Tally()
        self._intake = Intake()
        self._write_due_s = 0.0
        self._context: ActorContext

    def on_start(self, context: ActorContext) -> None:
        """Begin."""
        self._context = context

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - as in Actor
        """Count samples and states; what comes to the publisher is acknowledged as the publisher does it."""
        match message:
            case Sample():
                if self._is_new(message, header):
                    self._count(message)
            case SpoolResume():
                self._intake.resume(header.sender, message)
            case DeviceState():
                self._note(message)
            case _:
                pass

    def on_tick(self) -> None:
        """Acknowledge as often as the publisher does, and write the tally now and then."""
        now_s = self._context.clock.monotonic_s()
        self._intake.committed()
        for sender, ack in self._intake.acks(now_s):
            self._context.send(ack, sender)
        if now_s >= self._write_due_s:
            self._write_due_s = now_s + _WRITE_S
            self._write()

    def _write(self) -> None:
        reset = self._path.with_suffix(".reset")
        if reset.exists():
            self._tally = Tally(online=self._tally.online, reasons=self._tally.reasons)
            reset.unlink()
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.msgpack.encode(self._tally))
        fresh.rename(self._path)

    def _is_new(self, sample: Sample, header: Header) -> bool:
        if self._context.name != PUBLISHER:
            return True
        new = self._intake.judge(header.sender, sample, sample.epoch) is Judgement.TAKE
        if new:
            self._intake.take(header.sender, sample, sample.epoch)
        return new

    def _count(self, sample: Sample) -> None:
        tally = self._tally
        tally.samples += 1
        tally.values += len(sample.values) - sample.values.count(None)
        cycles = tally.cycles.get(sample.device_id)
        if cycles is None:
            tally.cycles[sample.device_id] = Cycles(sample.mono_ns, sample.mono_ns)
        else:
            cycles.last_ns = sample.mono_ns
            cycles.count += 1
        delay_ns = self._context.clock.monotonic_ns() - sample.mono_ns
        tally.delays_ms.add(delay_ns / NS_PER_S * 1000)

    def _note(self, state: DeviceState) -> None:
        tally, device = self._tally, state.device_id
        tally.online[device] = state.link is LinkState.ONLINE
        tally.reasons[device] = state.reason
        tally.polls[device] = state.polls
        tally.skipped[device] = state.skipped_polls
        tally.failed[device] = state.failed_requests
        if state.poll_s:
            tally.polls_ms.add(state.poll_s * 1000)


def build(path: bytes) -> Sink:
    """Return a sink that counts into the file `path`."""
    return Sink(Path(path.decode()))
