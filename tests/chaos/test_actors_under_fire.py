"""Every actor suffers every fault, a limit is broken meanwhile, and the devices' record shows that it was kept."""

from __future__ import annotations

from typing import Any

import pytest

from bessai.testing import wait_for
from tests.chaos.conftest import CELLS, Arena

IN_TIME_S = {
    # the guard and the device's own actor: found hung after at most 1 s, then restarted
    "control": 3.0,
    # nothing else is on the way from a breach to the stop
    "elsewhere": 0.6,
}
ACTOR_FAULTS = ("raise", "hang 5", "construct 1", "spin 20", "exit", "start 1")
CELL_FAULTS = ("segfault", "eat 2000")
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]


def lives(arena: Arena) -> dict[str, Any]:
    """Return each actor's incarnation; the trainer's, who comes and goes on demand, left out."""
    return {name: actor["epoch"] for name, actor in arena.actors().items() if name != "trainer"}


def changed(arena: Arena, before: dict[str, Any], actor: str) -> bool:
    """Return whether `actor` runs in a new life."""
    now = arena.actors().get(actor, {})
    return now.get("state") == "running" and now.get("epoch") not in {before[actor], 0, None}


@pytest.mark.parametrize("actor", CELLS)  # varies fastest, so that none exceeds its intensity
@pytest.mark.parametrize("fault", ACTOR_FAULTS)
def test_a_broken_actor_comes_back_alone_and_no_limit_is_missed(
    calm: Arena, actor: str, fault: str
) -> None:
    """The faulty actor gets a new life, no other does, and a breach meanwhile is answered in time."""
    before = lives(calm)
    calm.gateway.order(actor, fault)
    breach = calm.site.break_soc_limit("d1")
    answered_s = calm.site.answer_s(breach)
    wait_for(f"a new life of {actor}", lambda: changed(calm, before, actor))
    after = lives(calm)
    assert answered_s < IN_TIME_S["control" if CELLS[actor] == "control" else "elsewhere"]
    assert {name for name in before if after[name] != before[name]} == {actor}


@pytest.mark.parametrize("actor", ["safety", "api", "detector", "dispatcher", "publisher"])
@pytest.mark.parametrize("fault", CELL_FAULTS)
def test_a_fault_that_takes_the_process_takes_its_cell_only(
    calm: Arena, actor: str, fault: str
) -> None:
    """A segfault or a memory glutton ends one cell; the others' actors keep their lives."""
    before = lives(calm)
    cell = CELLS[actor]
    members = {name for name in before if CELLS.get(name, "control") == cell}
    calm.gateway.order(actor, fault)
    breach = calm.site.break_soc_limit("d1")
    answered_s = calm.site.answer_s(breach)
    wait_for(
        f"new lives in {cell}",
        lambda: all(changed(calm, before, name) for name in members),
        timeout_s=30.0,
    )
    after = lives(calm)
    assert answered_s < IN_TIME_S["control" if cell == "control" else "elsewhere"]
    assert {name for name in before if after[name] != before[name]} == members


@pytest.mark.parametrize("receiver", ["safety", "inverter/d1"])
@pytest.mark.parametrize("actor", ["dispatcher", "detector", "watchdog"])
def test_a_flood_drowns_nobody(calm: Arena, actor: str, receiver: str) -> None:
    """Thousands of control and telemetry frames a tick do not keep the guard from its work."""
    before = lives(calm)
    calm.gateway.order(actor, f"flood {receiver} 3000")
    breach = calm.site.break_soc_limit("d1")
    assert calm.site.answer_s(breach) < IN_TIME_S["elsewhere"]
    assert lives(calm) == before


def test_control_loads_no_learning_no_http_server_and_no_cloud(calm: Arena) -> None:
    """The running control cell has none of the modules that may crash, grow or hang."""
    modules = calm.gateway.chaos_dir / "safety.modules"
    calm.gateway.order("safety", "modules")
    loaded = wait_for(
        "the list of modules", lambda: (modules.exists() and modules.read_text("utf-8")) or None
    )
    tops = {name.partition(".")[0] for name in str(loaded).split()}
    assert "pykka" in tops
    assert not tops & {
        "sklearn",
        "onnx",
        "onnxruntime",
        "numpy",
        "google",
        "grpc",
        "opentelemetry",
        "starlette",
        "uvicorn",
        "http",
    }
