from __future__ import annotations

import collections
import itertools
from pathlib import Path

import msgspec
import pytest

from bessai.campaign.plan import REST_S, plan
from bessai.campaign.record import Campaign, read_campaign
from bessai.campaign.runner import save
from bessai.campaign.step import Force, Order, Physics, Signal, Step, Suffer, shifted, until_s
from bessai.simulator.faults import FaultKind

FIRST = [(0.039, "d3", "Physics"), (0.094, "d9", "Ask"), (0.176, "d4", "Force")]


@pytest.fixture(scope="module")
def long_plan() -> tuple[Step, ...]:
    """The default campaign."""
    return plan(20260101, steps=10_000, devices=20, pause_s=0.08)


def test_the_same_seed_gives_the_same_steps_always(long_plan: tuple[Step, ...]) -> None:
    assert plan(20260101, steps=10_000, devices=20, pause_s=0.08) == long_plan
    assert plan(2, steps=100, devices=20, pause_s=0.08) != long_plan[:100]


def test_the_first_steps_of_a_seed_are_those_it_was_published_with() -> None:
    """A change of the plan changes what a seed means: then this test, and the seeds in reports, go with it."""
    first = plan(1, steps=3, devices=10, pause_s=0.1)
    assert [(step.at_s, step.device, type(step.what).__name__) for step in first] == FIRST


def test_a_fewer_steps_are_the_beginning_of_more(long_plan: tuple[Step, ...]) -> None:
    assert plan(20260101, steps=100, devices=20, pause_s=0.08) == long_plan[:100]


def test_two_campaigns_hold_everything_that_can_go_wrong(long_plan: tuple[Step, ...]) -> None:
    whats = [step.what for step in (*long_plan, *plan(2, steps=10_000, devices=20, pause_s=0.08))]
    kinds = {what.fault.kind for what in whats if isinstance(what, Suffer)}
    orders = {
        (what.actor.partition("/")[0], what.order.partition(" ")[0])
        for what in whats
        if isinstance(what, Order)
    }
    signals = {(what.cell, what.stop_s > 0) for what in whats if isinstance(what, Signal)}

    assert kinds == set(FaultKind)
    for actor in ("safety", "inverter", "dispatcher", "api", "publisher", "detector"):
        for order in ("raise", "exit", "hang", "spin", "construct", "start"):
            assert (actor, order) in orders
    for cell in ("control", "dispatcher", "api", "publisher", "detector"):
        assert {(cell, False), (cell, True)} <= signals
    assert ("root", True) in signals


def test_every_device_is_forced_beyond_its_limits(long_plan: tuple[Step, ...]) -> None:
    for kind in (Force, Physics, Suffer):
        struck = {step.device for step in long_plan if isinstance(step.what, kind)}
        assert struck == {f"d{number}" for number in range(1, 21)}


def test_only_the_last_device_may_trip(long_plan: tuple[Step, ...]) -> None:
    hot = {
        step.device
        for step in long_plan
        if isinstance(step.what, Physics) and step.what.values["temperature_c"] >= 55.0
    }
    assert hot == {"d20"}


def test_no_part_of_the_gateway_suffers_more_often_than_supervision_forgives(
    long_plan: tuple[Step, ...],
) -> None:
    struck: dict[str, list[float]] = collections.defaultdict(list)
    for step in long_plan:
        if isinstance(step.what, Order):
            struck[step.what.actor].append(step.at_s)
        elif isinstance(step.what, Signal) and step.what.cell == "control":
            struck["the control cell"].append(step.at_s)
    for times in struck.values():
        gaps = [after - before for before, after in itertools.pairwise(times)]
        assert min(gaps, default=99.0) >= REST_S["actor"]
    control = struck["the control cell"]
    gaps = [after - before for before, after in itertools.pairwise(control)]
    assert min(gaps) >= REST_S["control cell"]


def test_a_campaign_is_replayed_from_its_file(tmp_path: Path, long_plan: tuple[Step, ...]) -> None:
    campaign = Campaign(seed="20260101", devices=20, steps=long_plan)
    save(campaign, tmp_path)
    assert read_campaign(tmp_path / "campaign.json") == campaign


def test_steps_of_two_seeds_follow_one_another() -> None:
    first = plan(1, steps=20, devices=3, pause_s=0.1)
    second = shifted(plan(2, steps=20, devices=3, pause_s=0.1), by_s=first[-1].at_s, first=20)
    both = (*first, *second)
    assert [step.number for step in both] == list(range(40))
    assert [step.at_s for step in both] == sorted(step.at_s for step in both)
    assert all(until_s(step) >= step.at_s for step in both)
    assert msgspec.json.decode(msgspec.json.encode(both), type=tuple[Step, ...]) == both
