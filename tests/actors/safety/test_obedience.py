"""What safety makes of a device that follows somebody else, or nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.messages import (
    API,
    LEASE_ENDED,
    PUBLISHER,
    ForeignAction,
    ForeignWrite,
    SafetyEvent,
    WriteReport,
    WriteResult,
)
from tests.actors.safety.measured import DEVICE, World

CHANGED = ForeignWrite(
    device_id=DEVICE,
    register=47082,
    name="discharge_cutoff_soc_pct",
    old=5.0,
    new=0.0,
    action=ForeignAction.TOLD,
    detail="discharge_cutoff_soc_pct (register 47082) reads 0, expected 5",
    mono_ns=1,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which the device is in its normal state."""
    made = World(tmp_path)
    made.open_up()
    return made


def events(world: World) -> list[SafetyEvent]:
    return world.context.messages(SafetyEvent, PUBLISHER)


def test_a_foreign_write_is_kept_as_an_event_and_told_to_publisher_and_api(world: World) -> None:
    world.tell(CHANGED)
    (event,) = events(world)
    assert (event.kind, event.rule) == ("foreign_write", "discharge_cutoff_soc_pct")
    assert "register 47082) reads 0, expected 5; told" in event.detail
    assert world.context.messages(SafetyEvent, API) == [event]


def test_a_foreign_write_is_believed_of_the_devices_own_actor_only(world: World) -> None:
    world.tell(CHANGED, "dispatcher")
    assert events(world) == []


@pytest.mark.parametrize("result", [r for r in WriteResult if r is not WriteResult.VERIFIED])
def test_a_set_point_without_effect_is_withdrawn_and_its_figures_are_kept(
    world: World, result: WriteResult
) -> None:
    world.ask(1000.0)
    seq, detail = world.approved[-1].seq, "no effect: battery power 0 W"
    world.tell(
        WriteReport(
            device_id=DEVICE, seq=seq, safe=False, result=result, power_w=1000.0, detail=detail
        )
    )
    assert world.safe_commands[-1].rule == "write"
    (event,) = events(world)
    assert (event.kind, event.rule) == (result.value, "write")
    assert detail in event.detail


def test_a_set_point_that_ends_by_itself_wants_the_fail_safe_mode(world: World) -> None:
    world.ask(500.0, ttl_s=1.0)
    for _ in range(11):
        world.measure(battery_power_w=500.0, forced=True)
    assert world.safe_commands[-1].rule == LEASE_ENDED
