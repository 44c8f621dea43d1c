from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from actors.messages import (
    API,
    DISPATCHER,
    PUBLISHER,
    SAFETY,
    WATCHDOG,
    DescribeDevice,
    DeviceState,
    LinkState,
    Ruling,
    SafeCommand,
    SafetyEvent,
    SafetyProgress,
    SafetyState,
    SafetyStatus,
    SetpointAnswer,
    SetpointRequest,
    Vitals,
    WriteReport,
    WriteResult,
    inverter_address,
)
from actors.safety.actor import BREATH_NS, SafetyActor, build
from actors.safety.config import DeviceLimits, SafetyConfig
from actors.safety.disk import Disk
from actors.safety.latch import JOURNAL_NAME, list_latches
from actors.safety.offline import offline_reset
from supervision.clock import NS_PER_S, ManualClock
from supervision.envelope import Lane
from tests.actors.fakes import RecordingContext
from tests.actors.safety.measured import DEVICE, EPOCH, World, vitals

FULL_AND_CHARGING = {"soc_pct": 99.0, "battery_power_w": 2000.0}


class Unmoved(Disk):
    """Gives no file another name, until it does."""

    moves = False

    def rename(self, path: Path, to: Path) -> None:
        if not self.moves:
            raise OSError("read-only file system")
        super().rename(path, to)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world at its very start."""
    return World(tmp_path)


@pytest.fixture
def open_world(world: World) -> World:
    """A world in which the device is in its normal state."""
    world.open_up()
    return world


def test_every_incarnation_begins_by_commanding_each_device_to_safety(tmp_path: Path) -> None:
    world = World(tmp_path, "inv-1", "inv-2")

    commands = world.context.messages(SafeCommand)

    assert {command.device_id for command in commands} == {"inv-1", "inv-2"}
    assert world.status.state is SafetyState.STARTING
    assert world.status.mono_ns == 0


def test_the_first_measurement_of_an_incarnation_is_answered_with_a_safe_command(
    world: World,
) -> None:
    before = len(world.safe_commands)

    world.measure()
    world.measure()

    assert len(world.safe_commands) == before + 1


def test_nothing_is_approved_until_enough_good_measurements_and_a_verified_safe_state(
    world: World,
) -> None:
    rules = []
    for _ in range(3):
        world.measure()
        rules.append(world.ask(1000.0).rule)
    world.verify()

    assert rules == ["safe_command", "safe_command", "safe_command"]
    assert world.ask(1000.0).ruling is Ruling.ALLOWED


def test_a_verified_device_is_still_denied_while_starting(world: World) -> None:
    world.measure()
    world.verify()

    answer = world.ask(1000.0)

    assert (answer.ruling, answer.rule) == (Ruling.DENIED, "starting")
    assert world.events("refused") == []


def test_a_breach_is_answered_in_the_turn_of_the_measurement_that_shows_it(
    open_world: World,
) -> None:
    open_world.measure(**FULL_AND_CHARGING)

    (command,) = open_world.safe_commands
    first = open_world.context.sent[0]
    assert first.message is command
    assert (first.lane, first.ttl_s) == (Lane.CONTROL, None)
    assert command.rule == "soc_max"
    assert "charging at 2000 W; soc_max: 99.0 %" in command.reason


def test_an_unanswered_breach_is_repeated_every_second_and_not_faster(open_world: World) -> None:
    for _ in range(25):
        open_world.measure(**FULL_AND_CHARGING)

    assert len(open_world.safe_commands) == 3


@pytest.mark.parametrize("result", [WriteResult.REJECTED, WriteResult.UNKNOWN])
def test_a_safe_command_that_was_not_verified_is_repeated(
    open_world: World, result: WriteResult
) -> None:
    open_world.measure(**FULL_AND_CHARGING)
    open_world.verify(result)
    open_world.measure()

    open_world.tick(1.0)

    assert len(open_world.safe_commands) == 2


def test_a_verified_safe_command_is_not_repeated(open_world: World) -> None:
    open_world.measure(**FULL_AND_CHARGING)
    open_world.verify()

    for _ in range(20):
        open_world.measure(soc_pct=99.0)

    assert len(open_world.safe_commands) == 1


def test_an_allowed_request_becomes_a_lease_for_that_incarnation(open_world: World) -> None:
    answer = open_world.ask(2000.0)

    (approved,) = open_world.approved
    assert (answer.ruling, answer.power_w) == (Ruling.ALLOWED, 2000.0)
    assert (approved.power_w, approved.inverter_epoch) == (2000.0, EPOCH)
    assert approved.lease_until_mono_ns == open_world.clock.monotonic_ns() + 5 * NS_PER_S
    assert open_world.context.sent[0].lane is Lane.CONTROL
    assert open_world.context.sent[0].ttl_s == 5.0
    assert open_world.status.setpoint_w == 2000.0


def test_a_request_above_the_limits_is_clamped_and_the_asker_told(open_world: World) -> None:
    answer = open_world.ask(-9000.0)

    assert (answer.ruling, answer.power_w, answer.rule) == (
        Ruling.CLAMPED,
        -4000.0,
        "power_limit",
    )
    assert open_world.approved[0].power_w == -4000.0


def test_a_replayed_request_changes_nothing(open_world: World) -> None:
    open_world.ask(1000.0, seq=50)

    assert open_world.ask(3000.0, seq=50).ruling is Ruling.REPLAYED
    assert len(open_world.approved) == 1
    assert open_world.events("refused") == ["sequence"]


def test_a_request_for_an_unknown_device_is_denied(open_world: World) -> None:
    request = SetpointRequest(
        device_id="inv-9", power_w=0.0, ttl_s=1.0, mono_ns=0, seq=1, source="x", reason=""
    )

    open_world.tell(request, DISPATCHER)

    (sent,) = open_world.context.sent
    assert sent.receivers == (DISPATCHER,)
    assert isinstance(sent.message, SetpointAnswer)
    assert (sent.message.ruling, sent.message.rule) == (Ruling.DENIED, "device")


def test_the_same_refusal_is_an_event_only_now_and_then(open_world: World) -> None:
    open_world.measure(soc_pct=99.0)
    for _ in range(5):
        assert open_world.ask(1000.0).rule == "soc_max"
    assert open_world.events("refused") == ["soc_max"]

    open_world.clock.advance(4.0)
    open_world.measure(soc_pct=99.0)
    open_world.clock.advance(4.0)
    open_world.measure(soc_pct=99.0)
    open_world.clock.advance(2.0)
    open_world.ask(1000.0)

    assert open_world.events("refused") == ["soc_max", "soc_max"]


def test_a_lease_is_renewed_with_rising_sequence_while_measurements_are_fresh(
    open_world: World,
) -> None:
    open_world.ask(2000.0)
    for _ in range(60):
        open_world.measure(battery_power_w=2000.0, forced=True)

    leases = open_world.approved
    assert len(leases) == 3
    assert [a.seq for a in leases] == sorted({a.seq for a in leases})
    assert leases[1].lease_until_mono_ns - leases[0].lease_until_mono_ns == int(2.5 * NS_PER_S)
    assert open_world.safe_commands == []


def test_without_measurements_a_lease_is_not_renewed_and_ends_in_a_safe_command(
    open_world: World,
) -> None:
    open_world.ask(2000.0)

    for _ in range(51):
        open_world.tick()

    assert len(open_world.approved) == 1
    assert open_world.safe_commands[0].rule in {"lease", "stale"}


def test_a_request_that_ends_is_followed_by_a_safe_command(open_world: World) -> None:
    open_world.ask(400.0, ttl_s=1.0)
    for _ in range(9):
        open_world.measure(battery_power_w=400.0, forced=True)
    assert open_world.safe_commands == []

    open_world.tick()

    assert [command.rule for command in open_world.safe_commands] == ["lease"]
    assert open_world.status.setpoint_w == 0.0


def test_a_direction_that_closes_ends_the_set_point_in_it_even_before_the_battery_moves(
    open_world: World,
) -> None:
    open_world.ask(2000.0)

    open_world.measure(soc_pct=98.0)

    assert [command.rule for command in open_world.safe_commands] == ["soc_max"]
    assert open_world.status.setpoint_w == 0.0


def test_a_set_point_in_the_open_direction_goes_on(open_world: World) -> None:
    open_world.ask(-2000.0)

    open_world.measure(soc_pct=98.0, battery_power_w=-2000.0, forced=True)

    assert open_world.safe_commands == []
    assert open_world.status.setpoint_w == -2000.0


def test_a_set_point_of_0_w_does_not_explain_why_a_device_is_forced(open_world: World) -> None:
    """Another master forces a battery that moved a little by itself in the same direction."""
    open_world.measure(soc_pct=99.0, battery_power_w=500.0)
    open_world.verify()
    open_world.ask(0.0)
    before = len(open_world.safe_commands)

    open_world.measure(soc_pct=99.0, battery_power_w=500.0, forced=True)

    assert len(open_world.safe_commands) == before + 1


def test_renewed_requests_do_not_put_off_the_answer_to_a_movement_for_good(
    open_world: World,
) -> None:
    """Another master overrides the set-point that was to end a movement, and the dispatcher goes on asking."""
    open_world.measure(**FULL_AND_CHARGING)
    open_world.verify()
    before = len(open_world.safe_commands)

    for turn in range(105):
        if turn % 10 == 0:
            open_world.ask(-2000.0)
        open_world.measure(**FULL_AND_CHARGING, forced=True)

    assert len(open_world.safe_commands) == before + 1


def test_a_set_point_is_lowered_at_once_when_the_device_allows_less(open_world: World) -> None:
    open_world.ask(3000.0)

    open_world.measure(max_charge_w=1200.0)
    open_world.measure(max_charge_w=1200.0)

    assert [approved.power_w for approved in open_world.approved] == [3000.0, 1200.0]


def test_a_set_point_whose_write_failed_is_withdrawn(open_world: World) -> None:
    open_world.ask(3000.0)
    report = WriteReport(
        device_id=DEVICE,
        seq=open_world.approved[0].seq,
        safe=False,
        result=WriteResult.UNKNOWN,
        power_w=3000.0,
        detail="timeout",
    )

    open_world.tell(msgspec.structs.replace(report, result=WriteResult.VERIFIED))
    open_world.tell(msgspec.structs.replace(report, seq=1))
    assert open_world.safe_commands == []
    open_world.tell(report)

    assert [command.rule for command in open_world.safe_commands] == ["write"]
    assert open_world.ask(1000.0).rule == "safe_command"


def test_a_new_incarnation_of_the_inverter_actor_loses_the_set_point(open_world: World) -> None:
    open_world.ask(2000.0)

    open_world.measure(epoch=EPOCH + 1)

    assert len(open_world.safe_commands) == 1
    assert open_world.status.setpoint_w == 0.0


def test_silence_of_a_device_is_answered_with_a_safe_command(open_world: World) -> None:
    for _ in range(51):
        open_world.tick()

    assert [command.rule for command in open_world.safe_commands] == ["stale"]
    assert "stale" in open_world.events("began")
    assert not open_world.status.may_charge


def test_a_lost_link_is_answered_with_a_safe_command(open_world: World) -> None:
    now_ns = open_world.clock.monotonic_ns()
    state = DeviceState(device_id=DEVICE, link=LinkState.ONLINE, mono_ns=now_ns)

    open_world.tell(state)
    assert open_world.safe_commands == []
    open_world.tell(msgspec.structs.replace(state, link=LinkState.OFFLINE, reason="timeout"))

    (command,) = open_world.safe_commands
    assert (command.rule, command.reason) == ("link", "offline timeout")


def test_nobody_but_its_own_inverter_actor_speaks_for_a_device(open_world: World) -> None:
    hot = vitals(99, at_s=1000.0, battery_temperature_c=80.0)
    lie = WriteReport(
        device_id=DEVICE, seq=2**60, safe=True, result=WriteResult.VERIFIED, power_w=0.0
    )
    gone = DeviceState(device_id=DEVICE, link=LinkState.OFFLINE, mono_ns=2**60)

    for message in (hot, hot, lie, gone):
        open_world.tell(message, DISPATCHER)
    open_world.tell(msgspec.structs.replace(hot, device_id="inv-9"), inverter_address("inv-9"))
    open_world.tell(DescribeDevice(device_id=DEVICE))

    assert open_world.context.sent == []


def test_a_trip_commands_safety_then_goes_to_disk_and_only_then_is_announced(
    open_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, bool]] = []
    send = open_world.context.send

    def note(message: msgspec.Struct, *receivers: str, **how: object) -> None:
        said.append((type(message).__name__, bool(list_latches(tmp_path))))
        send(message, *receivers, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(open_world.context, "send", note)
    open_world.measure(battery_temperature_c=55.0)

    assert said[0] == ("SafeCommand", False)
    assert all(on_disk for _, on_disk in said[1:])
    assert open_world.events("tripped") == ["trip_hot"]
    assert open_world.status.state is SafetyState.TRIPPED


def test_a_trip_survives_the_actor_until_an_operator_resets_it(
    open_world: World, tmp_path: Path
) -> None:
    open_world.measure(battery_temperature_c=60.0)

    open_world.start()
    for _ in range(5):
        open_world.measure()
    open_world.verify()
    assert open_world.status.state is SafetyState.TRIPPED
    assert open_world.status.rules[0].startswith("trip: trip_hot: 60.0 degC")
    assert open_world.ask(0.0).rule == "tripped"

    offline_reset(
        tmp_path,
        DEVICE,
        operator="Ana",
        reason="cooled down",
        clock=open_world.clock,
        resets_per_hour=3,
    )
    open_world.start()
    open_world.open_up()
    assert open_world.ask(1000.0).ruling is Ruling.ALLOWED


def test_a_trip_is_journaled_once(open_world: World, tmp_path: Path) -> None:
    for _ in range(3):
        open_world.measure(battery_temperature_c=60.0)

    assert len((tmp_path / JOURNAL_NAME).read_bytes().splitlines()) == 1


def test_a_corrupt_journal_trips_every_device_at_the_start(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(b"rubbish")

    world = World(tmp_path, "inv-1", "inv-2")

    states = {s.device_id: s.state for s in world.context.messages(SafetyStatus)}
    assert set(states.values()) == {SafetyState.TRIPPED}
    assert "journal_corrupt" in world.status.rules[0]


def test_a_trip_that_cannot_be_written_holds_in_memory_is_named_and_tried_again(
    open_world: World, tmp_path: Path
) -> None:
    journal = tmp_path / JOURNAL_NAME
    journal.mkdir()

    open_world.measure(battery_temperature_c=60.0)
    open_world.tick(1.0)
    assert open_world.status.state is SafetyState.TRIPPED
    assert open_world.events("began").count("latch_journal") == 1
    (tripped,) = [e for e in open_world.context.messages(SafetyEvent) if e.kind == "tripped"]
    assert "in memory only" in tripped.detail

    journal.rmdir()
    open_world.tick(1.0)
    assert list(list_latches(tmp_path)) == [DEVICE]
    assert "latch_journal" in open_world.events("ceased")


def test_where_trips_cannot_be_kept_it_enforces_says_so_and_keeps_them_when_they_can(
    tmp_path: Path,
) -> None:
    state_dir = tmp_path / "state"
    state_dir.write_text("in the way")
    world = World(state_dir)
    assert [command.rule for command in world.safe_commands] == ["trip"]
    world.tick(1.1)
    assert "latch_journal" in world.events("began")
    world.cool_down()
    assert world.reset().rule == "disk"
    state_dir.unlink()
    world.tick(1.1)

    assert world.events("ceased")[-1] == "latch_journal"
    assert list(list_latches(state_dir)) == [DEVICE]


def test_a_disk_that_takes_nothing_at_the_start_closes_nothing_by_itself(tmp_path: Path) -> None:
    probe = tmp_path / f".probe-{os.getpid()}"
    probe.mkdir()
    world = World(tmp_path)
    world.tick(1.1)
    assert "latch_journal" in world.events("began")

    for _ in range(3):
        world.measure()
    world.verify()
    assert world.ask(1000.0).ruling is Ruling.ALLOWED
    probe.rmdir()
    world.tick(1.1)

    assert "latch_journal" in world.events("ceased")


def test_a_corrupt_journal_that_cannot_be_set_aside_trips_in_memory_and_is_replaced_later(
    tmp_path: Path,
) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(b"corrupt")
    disk = Unmoved()
    world = World(tmp_path, disk=disk)
    world.tick()
    world.cool_down()
    assert world.status.state is SafetyState.TRIPPED
    assert world.reset().rule == "disk"
    disk.moves = True
    world.tick(1.1)

    assert list_latches(tmp_path)[DEVICE].rule == "journal_corrupt"
    assert len(list(tmp_path.glob(f"{JOURNAL_NAME}.corrupt-*"))) == 1
    world.measure()
    assert world.reset().done


def test_the_status_is_told_on_change_and_else_once_a_second(open_world: World) -> None:
    for tenth in range(20):
        open_world.measure(soc_pct=50.0 + tenth / 10)
    assert len(open_world.context.messages(SafetyStatus)) == 2

    open_world.measure(soc_pct=99.0)

    assert len(open_world.context.messages(SafetyStatus)) == 3
    assert not open_world.status.may_charge
    assert open_world.context.sent[-1].receivers == (API, DISPATCHER)


def test_the_watchdog_is_told_a_few_times_a_second_how_far_it_is(open_world: World) -> None:
    open_world.actor.on_tick()
    first = open_world.context.messages(SafetyProgress, WATCHDOG)[-1]
    for _ in range(20):
        open_world.measure()
        open_world.actor.on_tick()
    told = open_world.context.messages(SafetyProgress, WATCHDOG)
    assert told[-1].evaluations > first.evaluations
    assert len(told) < 20


def test_evaluations_are_counted_and_the_last_measurement_is_dated(open_world: World) -> None:
    open_world.measure(soc_pct=99.0)
    measured = open_world.status
    open_world.tick(1.0)

    assert measured.mono_ns == open_world.clock.monotonic_ns() - NS_PER_S
    assert open_world.status.evaluations == measured.evaluations + 1
    assert open_world.status.mono_ns == measured.mono_ns


def test_the_beginning_and_the_end_of_a_rule_are_events(open_world: World) -> None:
    open_world.measure(soc_pct=99.0)
    open_world.measure(soc_pct=99.5)
    open_world.measure(soc_pct=95.0)

    assert (open_world.events("began"), open_world.events("ceased")) == (["soc_max"], ["soc_max"])
    events = [sent for sent in open_world.context.sent if isinstance(sent.message, SafetyEvent)]
    assert {sent.receivers for sent in events} == {(PUBLISHER, API)}


def test_commands_of_a_later_incarnation_have_higher_numbers(open_world: World) -> None:
    open_world.measure(**FULL_AND_CHARGING)
    before = open_world.safe_commands[-1].seq
    open_world.tick(0.1)

    open_world.start()

    assert open_world.safe_commands[0].seq > before


def test_hundreds_of_devices_are_evaluated_over_many_ticks_the_longest_waiting_first(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    context = RecordingContext(SAFETY, 1, clock)
    limits = {f"d{number}": DeviceLimits() for number in range(220)}
    actor = SafetyActor(SafetyConfig(state_dir=str(tmp_path), devices=limits))
    actor.on_start(context)
    clock.advance(10.0)  # every device is overdue
    ticks: list[list[str]] = []
    while not ticks or context.wake_ns is not None:
        before = len(context.sent)
        context.wake_ns = None
        actor.on_tick()
        told = [sent.message for sent in context.sent[before:]]
        ticks.append([m.device_id for m in told if isinstance(m, SafetyStatus)])
        clock.advance(BREATH_NS / NS_PER_S)
    assert [len(tick) for tick in ticks] == [50, 50, 50, 50, 20]
    assert [device for tick in ticks for device in tick] == list(limits)


def test_it_is_built_from_its_encoded_configuration(world: World) -> None:
    assert isinstance(build(msgspec.msgpack.encode(world.config)), SafetyActor)


def test_a_measurement_of_nothing_opens_nothing(world: World) -> None:
    for _ in range(5):
        world.measure(
            soc_pct=None,
            battery_temperature_c=None,
            battery_power_w=None,
            max_charge_w=None,
            max_discharge_w=None,
            forced=None,
        )
    world.verify()

    assert world.ask(0.0).ruling is Ruling.DENIED
    assert isinstance(vitals(), Vitals)
