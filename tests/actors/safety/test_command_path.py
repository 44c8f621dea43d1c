"""Requests, releases and resets as they meet SafetyActor, each from who may send it and from who may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.messages import (
    API,
    CLOUD,
    DISPATCHER,
    OPERATOR,
    PUBLISHER,
    Role,
    Ruling,
    SafetyState,
    SetpointAnswer,
    SetpointRequest,
)
from actors.safety.audit import AuditEntry, read_trail
from actors.safety.disk import Disk
from actors.safety.latch import list_latches
from supervision.actor import StopReason
from tests.actors.safety.measured import DEVICE, EPOCH, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which the device is in its normal state."""
    world = World(tmp_path)
    world.open_up()
    return world


@pytest.fixture
def tripped(world: World) -> World:
    """A world whose device is tripped, and cool again."""
    world.trip()
    world.cool_down()
    world.verify()
    world.cool_down()
    return world


def _trail(world: World) -> list[AuditEntry]:
    return read_trail(Path(world.config.state_dir))


def test_an_operator_goes_before_the_cloud_and_the_cloud_before_the_dispatcher(
    world: World,
) -> None:
    rulings = []
    for source in (DISPATCHER, CLOUD, OPERATOR, CLOUD, DISPATCHER, OPERATOR):
        answer = world.ask(1000.0, source=source)
        rulings.append((answer.ruling, answer.rule))

    denied = (Ruling.DENIED, "priority")
    allowed = (Ruling.ALLOWED, "")
    assert rulings == [allowed, allowed, allowed, denied, denied, allowed]


def test_the_refused_learns_who_holds_what_and_for_how_long(world: World) -> None:
    world.ask(1500.0, source=OPERATOR, ttl_s=30.0)
    world.measure()

    answer = world.ask(-1000.0)

    assert answer.detail == "operator holds 1500 W for 30 s more"


def test_a_lower_request_is_heard_again_when_the_higher_one_has_ended(world: World) -> None:
    world.ask(1500.0, source=OPERATOR, ttl_s=2.0)
    for _ in range(21):
        world.measure()

    assert world.ask(-1000.0).ruling is Ruling.ALLOWED


def test_a_higher_request_holds_on_while_safety_does_not_let_it_be_followed(world: World) -> None:
    world.ask(1500.0, source=OPERATOR)
    world.measure(soc_pct=99.0)
    world.verify()
    world.measure(soc_pct=50.0)

    assert world.status.setpoint_w == 0.0
    assert world.ask(-1000.0).rule == "priority"
    assert world.ask(1000.0, source=OPERATOR).ruling is Ruling.ALLOWED


def test_a_release_ends_what_was_commanded_and_lets_lower_ones_in(world: World) -> None:
    world.ask(1500.0, source=OPERATOR)

    assert world.release().ruling is Ruling.ALLOWED

    (command,) = world.safe_commands
    assert (command.rule, command.reason) == ("lease", "released by operator: done")
    world.verify()
    assert world.ask(-1000.0).ruling is Ruling.ALLOWED


def test_nobody_releases_what_somebody_else_holds(world: World) -> None:
    world.ask(1000.0)

    answer = world.release()

    assert (answer.ruling, answer.rule) == (Ruling.DENIED, "holder")
    assert answer.detail == f"operator does not hold {DEVICE}: dispatcher does"
    assert world.safe_commands == []


@pytest.mark.parametrize(
    ("source", "sender"),
    [
        (OPERATOR, DISPATCHER),
        (OPERATOR, PUBLISHER),
        (CLOUD, API),
        (CLOUD, DISPATCHER),
        (DISPATCHER, PUBLISHER),
        ("anybody", API),
    ],
)
def test_nobody_asks_in_the_name_of_another(world: World, source: str, sender: str) -> None:
    answer = world.ask(1000.0, source=source, sender=sender)

    assert (answer.ruling, answer.rule) == (Ruling.DENIED, "source")
    assert world.approved == []
    assert world.reset(sender=DISPATCHER).rule == "source"
    assert world.release(sender=DISPATCHER).rule == "source"


def test_requests_of_one_source_for_one_device_are_limited(tmp_path: Path) -> None:
    world = World(tmp_path, rules={"requests_per_minute": 3})
    world.open_up()

    rules = [world.ask(1000.0).rule for _ in range(4)]

    assert rules == ["", "", "", "rate"]
    assert world.ask(1000.0, source=OPERATOR).ruling is Ruling.ALLOWED


def test_a_reset_opens_the_device_after_as_many_good_measurements_as_a_start(
    tripped: World,
) -> None:
    answer = tripped.reset()

    assert (answer.done, answer.detail) == (True, "by ana: cooled down")
    assert tripped.events("reset") == ["trip"]
    assert list_latches(Path(tripped.config.state_dir)) == {}
    states = [tripped.status.state]
    tripped.cool_down()
    states.append(tripped.status.state)
    tripped.start()
    states.append(tripped.status.state)
    assert states == [SafetyState.STARTING, SafetyState.NORMAL, SafetyState.STARTING]


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ({"battery_temperature_c": 56.0}, "trip_hot: 56.0 degC"),
        ({"battery_temperature_c": None}, "input_battery_temperature_c: missing"),
    ],
)
def test_a_trip_is_not_reset_while_its_cause_holds_or_is_not_known(
    tripped: World, measured: dict[str, float | None], told: str
) -> None:
    tripped.measure(**measured)

    answer = tripped.reset()

    assert (answer.done, answer.rule) == (False, "cause")
    assert answer.detail.startswith(told)
    tripped.clock.advance(6.0)
    assert tripped.reset().detail.startswith("stale: measured 6.")
    assert tripped.status.state is SafetyState.TRIPPED


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"role": Role.VIEWER}, "role"),
        ({"reason": "  "}, "reason"),
        ({"operator": ""}, "operator"),
        ({"device_id": "inv-9"}, "device"),
        ({"seq": 1}, "sequence"),
        ({"mono_ns": 2**62}, "clock"),
        ({"mono_ns": 1}, "ttl"),
    ],
)
def test_a_reset_that_is_not_in_order_is_refused(
    tripped: World, changes: dict[str, Any], rule: str
) -> None:
    tripped.ask(0.0, source=OPERATOR)
    answer = tripped.reset(**changes)

    assert (answer.done, answer.rule) == (False, rule)
    assert tripped.status.state is SafetyState.TRIPPED


def test_a_device_is_not_reset_more_often_than_allowed(tripped: World) -> None:
    for _ in range(3):
        assert tripped.reset().done
        tripped.trip()
        tripped.cool_down()

    answer = tripped.reset()

    assert answer.rule == "resets_per_hour"
    tripped.clock.advance(3600.0)
    tripped.cool_down()
    assert tripped.reset().done


def test_what_operators_do_and_what_becomes_of_it_is_audited(tripped: World) -> None:
    tripped.reset(role=Role.VIEWER)
    tripped.reset()
    tripped.cool_down()
    tripped.verify()
    tripped.ask(-9000.0, source=OPERATOR)
    tripped.release()
    tripped.ask(1000.0)
    tripped.tick(0.3)

    told = [(entry.kind.value, entry.by, entry.rule) for entry in _trail(tripped)]
    assert told == [
        ("trip", "", "trip_hot"),
        ("reset_refused", "ana", "role"),
        ("reset", "ana", ""),
        ("setpoint", "ana", "power_limit"),
        ("release", "ana", ""),
    ]
    assert _trail(tripped)[1].role == "viewer"


class CountingDisk(Disk):
    """Counts how often somebody waited for it."""

    syncs = 0

    def sync(self, descriptor: int) -> None:
        self.syncs += 1
        super().sync(descriptor)


@pytest.mark.parametrize("power_w", [1000.0, -1e12])
def test_no_answer_on_a_set_point_or_a_refused_reset_waits_for_the_disk(
    tmp_path: Path, power_w: float
) -> None:
    disk = CountingDisk()
    world = World(tmp_path, disk=disk)
    world.open_up()
    before = disk.syncs

    world.ask(power_w, source=OPERATOR)
    world.reset()
    assert disk.syncs == before
    world.tick(0.3)

    assert disk.syncs > before
    kinds = [entry.kind.value for entry in _trail(world)]
    assert kinds == ["setpoint" if power_w == 1000.0 else "setpoint_refused", "reset_refused"]


def test_a_regular_stop_leaves_nothing_out_of_the_audit_log(world: World) -> None:
    world.ask(1000.0, source=OPERATOR)

    world.actor.on_stop(StopReason.SHUTDOWN)

    assert [entry.kind.value for entry in _trail(world)] == ["setpoint"]


def test_refused_resets_are_limited_like_other_orders_and_do_not_fill_the_disk(
    world: World,
) -> None:
    rules = [world.reset().rule for _ in range(65)]
    assert rules == ["not_latched"] * 60 + ["rate"] * 5
    world.tick(0.3)
    assert len(_trail(world)) == 60
    world.clock.advance(60.0)

    assert world.reset().rule == "not_latched"


def test_a_replayed_release_changes_nothing(world: World) -> None:
    world.ask(1500.0, source=OPERATOR)
    world.seq = 0

    answer = world.release()

    assert answer.ruling is Ruling.REPLAYED
    assert world.safe_commands == []
    assert world.status.setpoint_w == 1500.0


def test_an_order_of_an_earlier_incarnation_of_the_api_is_refused(world: World) -> None:
    world.ask(1500.0, source=OPERATOR)
    release = world.release()
    assert release.ruling is Ruling.ALLOWED
    world.context.sent.clear()

    world.seq += 1
    request = SetpointRequest(
        device_id=DEVICE,
        power_w=1000.0,
        ttl_s=60.0,
        mono_ns=world.clock.monotonic_ns(),
        seq=world.seq,
        source=OPERATOR,
        reason="late",
    )
    world.tell(request, API, EPOCH - 1)

    (answer,) = world.context.messages(SetpointAnswer)
    assert answer.ruling is Ruling.REPLAYED
