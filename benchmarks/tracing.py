"""What tracing costs the control cell for each sample, when the sample is not traced and when it is.

The steps are those of a poll: the decision whether it is traced, the context of the evaluation under it, and the ends
of both. The peer is the SDK's own tracer, which samples nothing.
"""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from actors.messages import CODEC, Span
from actors.tracing import Tracer
from benchmarks.figures import Figure, figure, repeat_us
from supervision.clock import SystemClock
from supervision.envelope import Lane

LIMIT_US = 5.0


class _Sender:
    """Encodes as a real one, and sends to nobody."""

    clock = SystemClock()

    def send(self, message: Span, *_receivers: str, lane: Lane = Lane.TELEMETRY) -> None:
        del lane
        CODEC.encode(message)


def run() -> list[Figure]:
    """Measure; about two seconds."""
    off, on = Tracer(_Sender(), on=True, ratio=0.0), Tracer(_Sender(), on=True, ratio=1.0)
    peer = TracerProvider(sampler=ALWAYS_OFF).get_tracer("peer")

    def by_sdk() -> None:
        with peer.start_as_current_span("poll"), peer.start_as_current_span("evaluate"):
            pass

    return [
        figure(
            "a sample that is not traced", "us", repeat_us(lambda: _poll(off)), p99_limit=LIMIT_US
        ),
        figure("a sample that is", "us", repeat_us(lambda: _poll(on))),
        figure("peer: the SDK's tracer, sampling nothing", "us", repeat_us(by_sdk)),
    ]


def _poll(tracer: Tracer) -> None:
    poll = tracer.perhaps()
    evaluation = tracer.follow(poll)
    tracer.end(evaluation, "evaluate", parent=poll, began_mono_ns=0)
    tracer.end(poll, "poll", began_mono_ns=0)
