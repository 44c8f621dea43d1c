"""Exports spans to an OpenTelemetry collector, from a thread that nobody waits for.

A collector that is dead, slow or hangs costs spans, which are counted, and nothing else: the queue is bounded, the
oldest spans go first, and the thread is a daemon that is never joined, because the SDK's own flush and shutdown wait
for a dead collector far longer than a cell may take to stop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from actors.messages import Span
from actors.tracing import ids_of

BATCH: Final = 256
"""Spans of one request to the collector."""

_log = structlog.get_logger()


class SpanExport:
    """Takes spans as they come and exports them in batches."""

    def __init__(self, exporter: SpanExporter, *, site_id: str, capacity: int) -> None:
        """Start the thread; at most `capacity` spans wait."""
        self._exporter = exporter
        self._resource = Resource({"service.name": "bessai-edge-gateway", "site.id": site_id})
        self._waiting: deque[Span] = deque()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._closed = False
        self._failing = False
        self.exported = 0
        """Spans that the collector took."""
        self.dropped = 0
        """Spans that nobody will see: the queue was full, or the collector did not take them."""
        threading.Thread(target=self._run, name="span-export", daemon=True).start()

    def offer(self, span: Span) -> None:
        """Queue `span`; the oldest one goes if there is no room."""
        with self._changed:
            if len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(span)
            self._changed.notify()

    def close(self) -> None:
        """Take no more; what waits may still go, if the process lives long enough."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while batch := self._next_batch():
            readable = [each for span in batch if (each := self._readable(span)) is not None]
            taken = len(readable) if self._export(readable) else 0
            with self._changed:
                self.exported += taken
                self.dropped += len(batch) - taken

    def _next_batch(self) -> list[Span]:
        """Return what waits, as soon as anything does; nothing once closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _export(self, spans: Sequence[ReadableSpan]) -> bool:
        try:
            well = self._exporter.export(spans) is SpanExportResult.SUCCESS
            why = "the collector did not take them in time"
        except Exception as error:  # noqa: BLE001 - isolation boundary: whatever the exporter raises costs spans, and is told
            well, why = False, repr(error)
        if well is self._failing:
            self._failing = not well
            if well:
                _log.info("spans exported again", dropped=self.dropped)
            else:
                _log.warning("spans not exported", reason=why)
        return well

    def _readable(self, span: Span) -> ReadableSpan | None:
        """Return `span` as the SDK knows them, or None if its context is none."""
        context, parent = _context(span.context), _context(span.parent)
        if context is None:
            return None
        about = {"device.id": span.device_id} if span.device_id else {}
        return ReadableSpan(
            name=span.name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes={**about, **span.attributes},
            links=[Link(each) for link in span.links if (each := _context(link)) is not None],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.fault) if span.fault else Status(StatusCode.UNSET),
            start_time=span.start_wall_ns,
            end_time=span.end_wall_ns,
        )


def _context(context: str) -> SpanContext | None:
    ids = ids_of(context)
    if ids is None:
        return None
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(ids.trace_id, ids.span_id, is_remote=True, trace_flags=sampled)
