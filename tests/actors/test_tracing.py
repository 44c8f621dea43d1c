"""What carries a trace, what does not, and which spans are handed over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import PUBLISHER, Span
from actors.tracing import Ids, Tracer, ids_of
from supervision.clock import ManualClock
from supervision.envelope import Lane


class Sender:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sent: list[tuple[Span, tuple[str, ...]]] = []

    def send(self, message: Span, *receivers: str, lane: Lane = Lane.TELEMETRY) -> None:
        assert lane is Lane.TELEMETRY
        self.sent.append((message, receivers))


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_nothing_is_traced_while_tracing_is_off(sender: Sender) -> None:
    tracer = Tracer(sender, on=False, ratio=1.0)
    contexts = [
        tracer.perhaps(),
        tracer.begin(),
        tracer.follow("00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
    ]
    tracer.end(contexts[0], "poll", began_mono_ns=0)
    assert (contexts, sender.sent) == (["", "", ""], [])


def test_commands_are_traced_although_no_poll_is(sender: Sender) -> None:
    tracer = Tracer(sender, on=True, ratio=0.0)
    assert (tracer.perhaps(), tracer.follow("")) == ("", "")
    assert ids_of(tracer.begin()) is not None


def test_the_chosen_share_of_polls_is_traced(sender: Sender) -> None:
    tracer = Tracer(sender, on=True, ratio=0.3)
    traced = sum(bool(tracer.perhaps()) for _ in range(10_000))
    assert 2_500 < traced < 3_500


def test_a_span_under_another_is_of_its_trace(sender: Sender) -> None:
    tracer = Tracer(sender, on=True)
    parent = tracer.begin()
    child = tracer.follow(parent)
    outer, inner = ids_of(parent), ids_of(child)
    assert outer is not None
    assert inner is not None
    assert (outer.trace_id, outer.span_id != inner.span_id) == (inner.trace_id, True)


def test_a_span_ends_now_and_began_when_it_began(sender: Sender) -> None:
    tracer = Tracer(sender, on=True)
    began_ns = sender.clock.monotonic_ns()
    context = tracer.begin()
    sender.clock.advance(0.5)
    tracer.end(context, "write", began_mono_ns=began_ns, device_id="d1", fault="no answer")
    (span, receivers), *more = sender.sent
    assert (span.end_wall_ns - span.start_wall_ns, receivers, more) == (
        500_000_000,
        (PUBLISHER,),
        [],
    )


@given(st.text())
def test_what_is_no_context_begins_a_trace_of_its_own(strange: str) -> None:
    tracer = Tracer(Sender(), on=True)
    assert ids_of(tracer.begin(strange)) is not None


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
def test_a_context_says_its_ids(trace_id: int, span_id: int) -> None:
    assert ids_of(f"00-{trace_id:032x}-{span_id:016x}-01") == Ids(trace_id, span_id)


@pytest.mark.parametrize(
    "zero", ["00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-" + "1" * 32 + "-" + "0" * 16 + "-01"]
)
def test_ids_of_zero_are_none(zero: str) -> None:
    assert ids_of(zero) is None
