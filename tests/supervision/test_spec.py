"""A specification that cannot be supervised is refused by field, value and what is expected."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from supervision.spec import Backoff, CellSpec, ChildSpec, Intensity, MailboxSpec, SpecError, load

CHILD = ChildSpec(name="a", factory="tests.supervision.toys:build")


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Backoff(initial_s=-1), "backoff.initial_s"),
        (lambda: Backoff(factor=0.5), "backoff.factor"),
        (lambda: Backoff(jitter=1.0), "backoff.jitter"),
        (lambda: Intensity(max_restarts=-1), "intensity.max_restarts"),
        (lambda: Intensity(window_s=0), "intensity.window_s"),
        (lambda: MailboxSpec(control_per_sender=0), "mailbox.control_per_sender"),
        (lambda: MailboxSpec(telemetry=0), "mailbox.telemetry"),
        (lambda: ChildSpec(name="@a", factory="m:f"), "name"),
        (lambda: ChildSpec(name="a", factory="m"), "factory"),
        (lambda: ChildSpec(name="a", factory="m:f", tick_s=2.0), "tick_s"),
        (lambda: ChildSpec(name="a", factory="m:f", start_s=0), "start_s"),
        (lambda: ChildSpec(name="a", factory="m:f", shutdown_s=0), "shutdown_s"),
        (lambda: CellSpec(name="", children=(CHILD,), codec="m:c"), "cell name"),
        (lambda: CellSpec(name="c", children=(), codec="m:c"), "children"),
        (lambda: CellSpec(name="c", children=(CHILD,), codec="m:c", beat_s=9), "beat_s"),
        (
            lambda: CellSpec(name="c", children=(CHILD,), codec="m:c", memory_limit_mb=0),
            "memory_limit_mb",
        ),
        (
            lambda: CellSpec(name="c", children=(CHILD,), codec="m:c", trim_s=0),
            "trim_s",
        ),
        (
            lambda: CellSpec(
                name="c", children=(msgspec.structs.replace(CHILD, shared="x"),), codec="m:c"
            ),
            f"{CHILD.name}.shared",
        ),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], object], field: str) -> None:
    with pytest.raises(SpecError, match=rf"^{field} = .* is not allowed: expected "):
        make()


def test_a_cell_crosses_to_another_process_unchanged() -> None:
    cell = CellSpec(name="c", children=(CHILD,), codec="m:c", environment={"A": "1"})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(cell), type=CellSpec) == cell


@pytest.mark.parametrize("reference", ["no_such_module:x", "tests.supervision.toys:no_such"])
def test_a_reference_to_nothing_is_named(reference: str) -> None:
    with pytest.raises(SpecError, match=f"{reference}.*cannot be loaded"):
        load(reference)


def test_a_pooled_actor_may_tick_less_often_than_it_must_make_progress() -> None:
    assert ChildSpec(name="a", factory="m:f", pooled=True, tick_s=2.0, liveness_s=1.0).tick_s == 2.0
    with pytest.raises(SpecError, match="tick_s"):
        ChildSpec(name="a", factory="m:f", pooled=True, tick_s=0.0)
