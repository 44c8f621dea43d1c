"""PublisherActor: takes what happened at the site, stores it, forwards it, and tells how that goes.

It keeps samples, safety events, lifecycle events, and of the anomaly scores those that are anomalous or end an
anomaly. Numbered messages (samples, safety events) are acknowledged to their sender once they are durable; one that
cannot be taken now, for want of its schema or of room, is asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.messages import (
    API,
    SAFETY,
    AnomalyScore,
    DescribeDevice,
    DeviceSchema,
    PublisherStatus,
    SafetyEvent,
    Sample,
    SetpointAnswer,
    Span,
    SpoolResume,
)
from actors.publisher.command_desk import CommandDesk
from actors.publisher.command_source import CommandSource, Heard, open_source
from actors.publisher.config import PublisherConfig
from actors.publisher.encode import (
    encode_anomaly,
    encode_lifecycle,
    encode_safety_event,
    encode_sample,
)
from actors.publisher.explain import Explainer
from actors.publisher.history import History, HistoryThread
from actors.publisher.intake import Intake, Judgement
from actors.publisher.losses import Cause, Loss
from actors.publisher.open_sink import open_sink
from actors.publisher.outbox import Outbox
from actors.publisher.record import Record
from actors.publisher.traces import TracedSink, Traces
from supervision.actor import Actor, ActorContext, StopReason
from supervision.envelope import Header
from supervision.events import Lifecycle

STATUS_S: Final = 1.0
_MB: Final = 1 << 20


def build(config: bytes) -> Actor:
    """Return a PublisherActor for the msgpack of a `PublisherConfig`."""
    return PublisherActor(msgspec.msgpack.decode(config, type=PublisherConfig))


class PublisherActor(Actor):
    """A thin shell around the `Outbox` and the `Intake`."""

    def __init__(self, config: PublisherConfig) -> None:
        self._config = config
        self._explainer = Explainer()
        self._intake = Intake()
        self._anomalous: set[str] = set()
        self._commits = self._upstream_lost = 0
        self._status_due_s = 0.0
        self._history: History | None = None
        self._traces: Traces
        self._desk: CommandDesk | None = None
        self._source: CommandSource | None = None

    def on_start(self, context: ActorContext) -> None:
        """Open spool and sink; a fault of either is told and retried, not raised."""
        self._context = context
        self._traces = Traces(self._config.tracing, self._config.site_id, context.clock)
        sink = TracedSink(open_sink(self._config, context.clock), self._traces)
        self._outbox = Outbox(self._config, sink, context.clock)
        self._outbox.commit()
        if self._config.history_mb:
            path = Path(self._config.state_dir) / "history.db"
            quota_bytes = self._config.history_mb * _MB
            self._history = History(path, context.clock, quota_bytes=quota_bytes)
            self._history_thread = HistoryThread(self._history)
            context.on_fence(self._history_thread.abandon)
        self._listen(context)

    def _listen(self, context: ActorContext) -> None:
        """Take set-point requests from outside, where that is configured."""
        commands = self._config.commands
        if commands is None:
            return
        self._desk = CommandDesk(commands, self._config.site_id, self._config.state_dir, context)
        self._source = open_source(self._config, commands, context.post)
        context.on_fence(self._source.close)
        self._source.start()

    def on_event(self, event: Any) -> None:  # noqa: ANN401 - as Actor declares it
        """Judge a request from outside."""
        if isinstance(event, Heard) and self._desk is not None and not self._context.fenced:
            self._on_events(self._desk.hear(event.raw))

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - a member of the site's union
        """Store what is to be published."""
        if self._context.fenced:
            return  # the next incarnation has the files, and a second connection would endanger them
        match message:
            case Sample():
                self._on_sample(message, header)
            case SafetyEvent():
                self._on_safety_event(message, header)
            case SpoolResume():
                self._on_resume(message, header)
            case DeviceSchema():
                self._explainer.learn(message)
            case AnomalyScore():
                self._on_anomaly(message, header)
            case SetpointAnswer() if self._desk is not None and header.sender == SAFETY:
                self._on_events(self._desk.answer(message))
            case Span():
                self._traces.take(message)
            case Lifecycle():
                self._on_event(encode_lifecycle(message, self._config.site_id))
            case _:
                pass  # meant for everyone, and nothing to publish
        self._note_commits()

    def on_tick(self) -> None:
        """Commit, acknowledge, deliver, and once a second tell how it stands."""
        if self._context.fenced:
            return  # the next incarnation has the files
        if self._desk is not None:
            self._on_events(self._desk.overdue())
        self._outbox.turn()
        self._note_commits()
        now_s = self._context.clock.monotonic_s()
        for sender, ack in self._intake.acks(now_s, asking=self._outbox.has_room):
            self._context.send(ack, sender)
        if now_s >= self._status_due_s:
            self._status_due_s = now_s + STATUS_S
            self._context.send(self._status(), API)

    def on_stop(self, reason: StopReason) -> None:
        """Make durable and deliver what can be."""
        if self._source is not None:
            self._source.close()
        self._outbox.close()
        self._traces.close()
        if self._history is not None:
            self._history_thread.stop()

    def _on_sample(self, sample: Sample, header: Header) -> None:
        if self._intake.judge(header.sender, sample, sample.epoch) is not Judgement.TAKE:
            return
        schema = self._explainer.schema_of(sample)
        if schema is None or not self._outbox.has_room:
            self._intake.refuse(header.sender)
            if self._explainer.should_ask(sample, self._context.clock.monotonic_s()):
                self._context.send(DescribeDevice(device_id=sample.device_id), header.sender)
            return
        self._intake.take(header.sender, sample, sample.epoch)
        record = encode_sample(sample, schema, self._config.site_id)
        self._outbox.accept(record._replace(trace=header.trace) if header.trace else record)
        if self._history is not None:
            self._history.sample(sample, schema)

    def _on_safety_event(self, event: SafetyEvent, header: Header) -> None:
        if event.seq:
            if self._intake.judge(header.sender, event, header.epoch) is not Judgement.TAKE:
                return
            if not self._outbox.has_room:
                self._intake.refuse(header.sender)
                return
            self._intake.take(header.sender, event, header.epoch)
        self._on_event(encode_safety_event(event, header.epoch, self._config.site_id))

    def _on_resume(self, resume: SpoolResume, header: Header) -> None:
        lost = self._intake.resume(header.sender, resume)
        if lost:
            device = header.sender.partition("/")[2]
            kind = "sample" if device else "safety_event"
            now_ns = self._context.clock.wall_ns()
            seq = resume.prior_seq
            line = Loss(
                Cause.UPSTREAM.value, kind, device, resume.epoch, seq, seq, now_ns, now_ns, lost
            )
            self._upstream_lost += lost
            self._outbox.note_lost([line])

    def _on_anomaly(self, score: AnomalyScore, header: Header) -> None:
        was_anomalous = score.device_id in self._anomalous
        if not score.anomalous and not was_anomalous:
            return
        (self._anomalous.add if score.anomalous else self._anomalous.discard)(score.device_id)
        self._on_event(encode_anomaly(score, header.epoch, self._config.site_id))

    def _on_events(self, records: Iterable[Record]) -> None:
        for record in records:
            self._on_event(record)

    def _on_event(self, record: Record) -> None:
        self._outbox.accept(record)
        if self._history is not None:
            self._history.event(record)

    def _note_commits(self) -> None:
        """Whatever was taken before a commit is durable with it."""
        if self._outbox.commits != self._commits:
            self._commits = self._outbox.commits
            self._intake.committed()

    def _status(self) -> PublisherStatus:
        status = self._outbox.status()
        history = self._history.fault if self._history is not None else ""
        faults = (status.fault, f"the history cannot be written: {history}" if history else "")
        exported, dropped = self._traces.counts
        return msgspec.structs.replace(
            status,
            spans_exported=exported,
            spans_dropped=dropped,
            upstream_lost=self._upstream_lost,
            fault="; ".join(fault for fault in faults if fault),
        )
