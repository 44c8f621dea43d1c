"""Traces: the context that travels with messages, and the spans that actors hand over instead of exporting them.

A poll decides once whether it is traced; commands and trips always are. What is not traced carries an empty context,
and so costs nothing from there on. A context is a W3C `traceparent`; actors pass it on as `trace` of what they send. A
span goes to PublisherActor as a message, because only a cell that may fail talks to a collector.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from actors.messages import PUBLISHER, Attribute, Span
from supervision.clock import Clock
from supervision.envelope import Lane

_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_bits = random.SystemRandom().getrandbits


class Sender(Protocol):
    """What a tracer needs of an `ActorContext`."""

    @property
    def clock(self) -> Clock:
        """The clocks to use."""
        ...

    def send(self, message: Span, *receivers: str, lane: Lane = Lane.TELEMETRY) -> None:
        """Hand a span over; never blocks."""
        ...


class Ids(NamedTuple):
    """What a context says."""

    trace_id: int
    span_id: int


def ids_of(context: str) -> Ids | None:
    """Return the ids in a `traceparent`, or None for what is none: it may have come from anywhere."""
    found = _FORM.fullmatch(context)
    return Ids(int(found[1], 16), int(found[2], 16)) if found else None


class Tracer:
    """Begins and ends the spans of one actor."""

    def __init__(self, sender: Sender, *, on: bool, ratio: float = 0.0) -> None:
        """Trace commands if `on`, and `ratio` (0 to 1) of all polls with them."""
        self._sender = sender
        self._on = on
        self._ratio = ratio if on else 0.0

    def perhaps(self) -> str:
        """Return the context of a new trace for the chosen share of calls, else nothing."""
        return self.begin() if random.random() < self._ratio else ""  # noqa: S311 - a sample, not a secret

    def begin(self, parent: str = "") -> str:
        """Return the context of a new span under `parent`, or of a new trace; nothing while tracing is off."""
        if not self._on:
            return ""
        ids = ids_of(parent) if parent else None
        trace_id = ids.trace_id if ids else _bits(128) | 1
        return f"00-{trace_id:032x}-{_bits(64) | 1:016x}-01"

    def follow(self, parent: str) -> str:
        """Return the context of a new span under `parent`; nothing under nothing."""
        return self.begin(parent) if parent else ""

    def end(
        self,
        context: str,
        name: str,
        *,
        parent: str = "",
        began_mono_ns: int,
        device_id: str = "",
        attributes: Mapping[str, Attribute] | None = None,
        fault: str = "",
    ) -> None:
        """Hand over the span of `context`, which began at `began_mono_ns` and ends now; nothing is none."""
        if not context:
            return
        clock = self._sender.clock
        end_ns = clock.wall_ns()
        span = Span(
            context=context,
            parent=parent,
            name=name,
            device_id=device_id,
            start_wall_ns=end_ns - max(0, clock.monotonic_ns() - began_mono_ns),
            end_wall_ns=end_ns,
            attributes=dict(attributes or {}),
            fault=fault,
        )
        self._sender.send(span, PUBLISHER)
