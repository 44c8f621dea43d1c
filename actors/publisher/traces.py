"""The publisher's part in traces: spans that come from all actors, and those of what it publishes itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from actors.messages import Span
from actors.publisher.record import Record
from actors.publisher.sinks import Delivery, Sink
from actors.publisher.tracing_config import TracingConfig
from actors.tracing import Tracer
from supervision.clock import Clock
from supervision.envelope import Lane

if TYPE_CHECKING:
    from actors.publisher.span_export import SpanExport

_log = structlog.get_logger()


class Traces:
    """Where spans go; without an endpoint nowhere, and the SDK is not even imported."""

    def __init__(self, config: TracingConfig, site_id: str, clock: Clock) -> None:
        self.clock = clock
        self._export = _open(config, site_id) if config.endpoint else None

    @property
    def on(self) -> bool:
        """Whether spans are exported."""
        return self._export is not None

    @property
    def counts(self) -> tuple[int, int]:
        """Spans that the collector took, and spans that were dropped."""
        return (self._export.exported, self._export.dropped) if self._export else (0, 0)

    def take(self, span: Span) -> None:
        """Export `span` when there is time."""
        if self._export is not None:
            self._export.offer(span)

    def send(self, message: Span, *_receivers: str, lane: Lane = Lane.TELEMETRY) -> None:
        """Take the publisher's own span: its tracer need not send it through the mailbox."""
        del lane
        self.take(message)

    def close(self) -> None:
        """Take no more; nobody waits for what is left."""
        if self._export is not None:
            self._export.close()


class TracedSink:
    """A sink that ends the trace of each record that it has delivered."""

    def __init__(self, sink: Sink, traces: Traces) -> None:
        self._sink = sink
        self._clock = traces.clock
        self._tracer = Tracer(traces, on=traces.on)

    @property
    def name(self) -> str:
        """What kind of sink it is."""
        return self._sink.name

    def send(self, batch: Sequence[Record]) -> Delivery:
        """Send `batch`, as the sink behind it does.

        Raises:
            SinkError: as there.
        """
        began_ns = self._clock.monotonic_ns()
        delivery = self._sink.send(batch)
        for index in delivery.acknowledged:
            record = batch[index]
            if record.trace:
                self._tracer.end(
                    self._tracer.begin(record.trace),
                    "publish",
                    parent=record.trace,
                    began_mono_ns=began_ns,
                    device_id=record.device_id,
                    attributes={"sink": self._sink.name, "batch": len(batch)},
                )
        return delivery

    def close(self) -> None:
        """Release what is open."""
        self._sink.close()


def _open(config: TracingConfig, site_id: str) -> SpanExport | None:
    from actors.publisher.otlp import make_exporter  # noqa: PLC0415 - the SDK, for who traces
    from actors.publisher.span_export import SpanExport  # noqa: PLC0415 - as above

    try:
        exporter = make_exporter(config)
    except Exception as error:  # noqa: BLE001 - isolation boundary: whatever the exporter lacks costs traces, not telemetry
        _log.error("no traces: the exporter cannot be made", reason=str(error) or repr(error))
        return None
    return SpanExport(exporter, site_id=site_id, capacity=config.queue)
