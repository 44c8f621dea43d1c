"""Every set-point that ends is answered for itself, and a breach that coincides with its end before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.messages import Ruling, SafetyState, WriteReport, WriteResult
from actors.safety.latch import list_latches
from tests.actors.safety.measured import DEVICE, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which the device is in its normal state."""
    made = World(tmp_path)
    made.open_up()
    return made


def report_write(world: World, seq: int, result: WriteResult = WriteResult.UNVERIFIED) -> None:
    world.tell(WriteReport(device_id=DEVICE, seq=seq, safe=False, result=result, power_w=0.0))


def test_the_end_of_each_lease_is_answered_also_right_after_another(world: World) -> None:
    for power_w in (300.0, 400.0):
        assert world.ask(power_w, ttl_s=0.05).ruling is Ruling.ALLOWED
        world.tick(0.06)
        world.verify()

    assert [command.rule for command in world.safe_commands] == ["lease", "lease"]
    assert "400 W" in world.safe_commands[1].reason


def test_each_failed_write_ends_its_own_set_point(world: World) -> None:
    for number in (1, 2):
        assert world.ask(1000.0).ruling is Ruling.ALLOWED
        report_write(world, world.approved[-1].seq)
        assert [command.rule for command in world.safe_commands] == ["write"] * number
        world.verify()


def test_a_doubt_that_crosses_with_a_renewal_counts(world: World) -> None:
    world.ask(1000.0)
    while len(world.approved) < 3:
        world.measure(battery_power_w=0.0, forced=True)

    report_write(world, world.approved[0].seq)

    assert [command.rule for command in world.safe_commands] == ["write"]


@pytest.mark.parametrize("power_w", [1500.0, 3000.0])
def test_a_doubt_of_the_set_point_before_does_not_end_the_present_one(
    world: World, power_w: float
) -> None:
    world.ask(3000.0)
    if power_w < 3000.0:
        world.measure(max_charge_w=power_w)  # lowered for the same request
    else:
        world.ask(power_w)
    assert world.approved[-1].power_w == power_w

    report_write(world, world.approved[0].seq)

    assert world.safe_commands == []


def test_each_set_point_that_is_denied_is_ended_and_never_renewed(world: World) -> None:
    world.ask(1000.0)
    world.measure(soc_pct=99.0)
    world.verify()
    assert world.ask(-1000.0).ruling is Ruling.ALLOWED
    approved, commands = len(world.approved), len(world.safe_commands)

    for _ in range(5):
        world.measure(soc_pct=None)

    assert len(world.safe_commands) == commands + 1
    assert len(world.approved) == approved
    assert world.status.setpoint_w == 0.0


def test_what_is_denied_is_not_renewed_although_it_still_holds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.ask(2000.0)
    # Today it is always withdrawn before: the renewal must not rely on that.
    monkeypatch.setattr(world.actor, "_end_of_lease", lambda _device, _now_ns: {})

    for _ in range(40):
        world.measure(soc_pct=99.0)

    assert len(world.approved) == 1


def test_a_breach_at_the_end_of_a_lease_carries_the_rule_of_the_breach(world: World) -> None:
    world.ask(1000.0, ttl_s=0.15)
    world.measure()

    world.measure(soc_pct=99.0, battery_power_w=1000.0, forced=True)

    assert [command.rule for command in world.safe_commands] == ["soc_max"]


def test_a_trip_at_the_end_of_a_lease_carries_the_rule_of_the_trip(world: World) -> None:
    world.ask(1000.0, ttl_s=0.15)
    world.measure()

    world.measure(battery_temperature_c=60.0, battery_power_w=1000.0, forced=True)

    assert world.safe_commands[0].rule == "trip_hot"
    assert world.status.state is SafetyState.TRIPPED


def warm(world: World, measurements: int) -> None:
    """Rise by 12 K a minute."""
    for number in range(measurements):
        world.measure(battery_temperature_c=25.0 + 0.02 * number)


def measurements_until_trip(state_dir: Path) -> int:
    twin = World(state_dir)
    twin.open_up()
    for number in range(1000):
        twin.measure(battery_temperature_c=25.0 + 0.02 * number)
        if twin.events("tripped"):
            return number + 1
    raise AssertionError("it never trips")


def test_a_trip_that_a_request_uncovers_is_latched_journaled_and_told(
    world: World, tmp_path: Path
) -> None:
    warm(world, measurements_until_trip(tmp_path / "twin") - 1)
    assert world.events("tripped") == []

    world.clock.advance(0.15)  # the delay of the rule ends before the next measurement
    answer = world.ask(500.0)

    assert answer.ruling is Ruling.DENIED
    assert world.events("tripped") == ["trip_heating"]
    assert world.status.state is SafetyState.TRIPPED
    assert world.safe_commands[-1].rule == "trip_heating"
    assert list_latches(tmp_path)[DEVICE].rule == "trip_heating"


def descent(world: World) -> list[tuple[float, float]]:
    """Measure ten times a second until a safe command; return what was approved, and after how many seconds."""
    began_s, seen = world.clock.monotonic_s(), len(world.approved)
    steps: list[tuple[float, float]] = []
    commands = len(world.safe_commands)
    power_w = world.approved[-1].power_w
    while len(world.safe_commands) == commands and world.clock.monotonic_s() < began_s + 20:
        world.measure(battery_power_w=power_w, forced=True)
        world.tick(0.0)
        for approved in world.approved[seen:]:
            power_w = approved.power_w
            if power_w != (steps[-1][1] if steps else world.approved[seen - 1].power_w):
                steps.append((round(world.clock.monotonic_s() - began_s, 1), power_w))
        seen = len(world.approved)
    steps.append((round(world.clock.monotonic_s() - began_s, 1), 0.0))
    return steps


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_set_point_that_nobody_renews_is_led_to_0_and_then_made_safe(
    world: World, sign: float
) -> None:
    world.ask(sign * 2000.0, ttl_s=2.0)

    assert descent(world) == [
        (2.0, sign * 1500.0),
        (3.0, sign * 1000.0),
        (4.0, sign * 500.0),
        (5.0, 0.0),
    ]
    assert [command.rule for command in world.safe_commands] == ["lease"]
    assert world.safe_commands[0].reason == f"the set-point of {sign * 2000:g} W has ended"


def test_a_descent_begins_at_what_was_possible_of_the_request(world: World) -> None:
    world.ask(3000.0, ttl_s=2.0)
    world.measure(max_charge_w=1000.0)
    assert world.approved[-1].power_w == 1000.0

    assert descent(world) == [(1.9, 500.0), (2.9, 0.0)]


def test_a_breach_and_a_new_request_do_not_wait_for_a_descent(world: World) -> None:
    world.ask(2000.0, ttl_s=1.0)
    while world.approved[-1].power_w != 1500.0:
        world.measure(battery_power_w=2000.0, forced=True)
    assert world.ask(-300.0).ruling is Ruling.ALLOWED
    assert world.approved[-1].power_w == -300.0

    world.ask(2000.0, ttl_s=1.0)
    while world.approved[-1].power_w != 1500.0:
        world.measure(battery_power_w=2000.0, forced=True)
    world.measure(battery_power_w=1500.0, forced=True, soc_pct=98.0)
    assert [command.rule for command in world.safe_commands] == ["soc_max"]


def test_without_measurements_a_descent_ends_with_the_lease(world: World) -> None:
    world.ask(5000.0, ttl_s=0.1)
    world.measure(battery_power_w=2000.0, forced=True)
    for _ in range(51):
        world.tick()

    assert world.safe_commands[0].rule in {"lease", "stale"}
