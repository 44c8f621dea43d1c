"""PublisherActor: takes what happened at the site, stores it, forwards it, and tells how that goes.

It keeps samples, safety events, lifecycle events, and of the anomaly scores those that are anomalous or end an
anomaly. A sample whose schema is not known yet waits in memory while its device is asked.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Final

import msgspec

from actors.messages import (
    API,
    AnomalyScore,
    DescribeDevice,
    DeviceSchema,
    SafetyEvent,
    Sample,
)
from actors.publisher.config import PublisherConfig
from actors.publisher.encode import (
    encode_anomaly,
    encode_lifecycle,
    encode_safety_event,
    encode_sample,
)
from actors.publisher.file_sink import FileSink
from actors.publisher.outbox import Outbox
from actors.schemas import SchemaBook
from supervision.actor import Actor, ActorContext, StopReason
from supervision.envelope import Header
from supervision.events import Lifecycle

STATUS_S: Final = 1.0
_MB: Final = 1 << 20


def build(config: bytes) -> Actor:
    """Return a PublisherActor for the msgpack of a `PublisherConfig`."""
    return PublisherActor(msgspec.msgpack.decode(config, type=PublisherConfig))


class PublisherActor(Actor):
    """A thin shell around the `Outbox`."""

    def __init__(self, config: PublisherConfig) -> None:
        self._config = config
        self._schemas = SchemaBook()
        self._held: deque[Sample] = deque()
        self._anomalous: set[str] = set()
        self._status_due_s = 0.0

    def on_start(self, context: ActorContext) -> None:
        """Open spool and sink; a fault of either is told and retried, not raised."""
        sink = FileSink(
            Path(self._config.state_dir) / "published",
            context.clock,
            max_bytes=self._config.file_max_mb * _MB,
            keep_bytes=self._config.file_keep_mb * _MB,
        )
        self._context = context
        self._outbox = Outbox(self._config, sink, context.clock)
        self._outbox.commit()

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - a member of the site's union
        """Store what is to be published."""
        site_id = self._config.site_id
        match message:
            case Sample():
                self._on_sample(message, header)
            case DeviceSchema():
                self._on_schema(message)
            case SafetyEvent():
                self._outbox.accept(encode_safety_event(message, header.epoch, site_id))
            case AnomalyScore():
                self._on_anomaly(message, header)
            case Lifecycle():
                self._outbox.accept(encode_lifecycle(message, site_id))
            case _:
                pass  # meant for everyone, and nothing to publish

    def on_tick(self) -> None:
        """Commit, deliver, and once a second tell how it stands."""
        if self._context.fenced:
            return  # the next incarnation has the files
        self._outbox.turn()
        now_s = self._context.clock.monotonic_s()
        if now_s >= self._status_due_s:
            self._status_due_s = now_s + STATUS_S
            self._context.send(self._outbox.status(), API)

    def on_stop(self, reason: StopReason) -> None:
        """Make durable and deliver what can be."""
        self._outbox.close()

    def _on_sample(self, sample: Sample, header: Header) -> None:
        schema = self._schemas.schema_of(sample)
        if schema is not None:
            self._outbox.accept(encode_sample(sample, schema, self._config.site_id))
            return
        self._hold(sample)
        if self._schemas.should_ask(sample.device_id, self._context.clock.monotonic_s()):
            self._context.send(DescribeDevice(device_id=sample.device_id), header.sender)

    def _hold(self, sample: Sample) -> None:
        self._held.append(sample)
        if len(self._held) > self._config.held_samples:
            self._held.popleft()
            self._outbox.dropped += 1

    def _on_schema(self, schema: DeviceSchema) -> None:
        """Store the samples that can be explained now."""
        self._schemas.learn(schema)
        held, self._held = self._held, deque()
        for sample in held:
            known = self._schemas.schema_of(sample)
            if known is None:
                self._held.append(sample)
            else:
                self._outbox.accept(encode_sample(sample, known, self._config.site_id))

    def _on_anomaly(self, score: AnomalyScore, header: Header) -> None:
        was_anomalous = score.device_id in self._anomalous
        if not score.anomalous and not was_anomalous:
            return
        (self._anomalous.add if score.anomalous else self._anomalous.discard)(score.device_id)
        self._outbox.accept(encode_anomaly(score, header.epoch, self._config.site_id))
