"""The actor against a device on a real socket."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from structlog.testing import capture_logs

from actors.inverter.actor import InverterActor, LinkCrashedError, build
from actors.inverter.config import encode_config
from actors.inverter.io_loop import IoLoopStalledError
from actors.inverter.jobs import LinkCrashed, PollJob, PollPart, WriteJob
from actors.inverter.link import ModbusLink
from actors.messages import (
    ApprovedSetpoint,
    DescribeDevice,
    DeviceSchema,
    DeviceState,
    LinkState,
    Quality,
    SafeCommand,
    Sample,
    Vitals,
    WriteReport,
    WriteResult,
)
from supervision.actor import StopReason
from supervision.clock import NS_PER_S
from supervision.envelope import Header, Lane
from tests.actors.inverter.driven import EPOCH, Driven, config, driven
from tests.actors.inverter.scripted_peer import SILENT, Request, ScriptedPeer, exception

CHARGE = [(47246, (0,)), (47083, (2,)), (47247, (0, 1000)), (47100, (1,))]
STOP = [(47100, (0,)), (47247, (0, 0)), (47249, (0, 0)), (47083, (0,))]


def silence(peer: ScriptedPeer, address: int) -> None:
    peer.script = lambda request: SILENT if request.address == address else None


def test_the_schema_is_told_at_start_and_to_whoever_asks(subject: Driven) -> None:
    schema = subject.context.messages(DeviceSchema)[0]
    assert {"soc_pct", "grid_power_w", "active_power_w"} <= {point.name for point in schema.points}
    subject.actor.on_message(
        DescribeDevice(device_id="d1"), Header(receiver="inverter/d1", sender="detector", epoch=1)
    )
    assert subject.context.sent[-1].receivers == ("detector",)
    told = subject.context.sent[-1].message
    assert isinstance(told, DeviceSchema)
    # By now it may also hold what strings say, which are read some polls after the start.
    assert (told.schema_id, told.points) == (schema.schema_id, schema.points)


def test_vitals_go_to_safety_before_the_sample_goes_to_the_others(subject: Driven) -> None:
    subject.until(lambda: bool(subject.context.messages(Sample)))
    kinds = [type(sent.message) for sent in subject.context.sent if sent.message == subject.vitals]
    assert kinds == [Vitals]
    order = [
        sent
        for sent in subject.context.sent
        if getattr(sent.message, "seq", 0) == subject.vitals.seq
    ]
    assert [(sent.receivers, sent.lane) for sent in order] == [
        (("safety",), Lane.LATEST),
        (("detector", "dispatcher", "api"), Lane.LATEST),
        (("publisher",), Lane.TELEMETRY),
    ]


def test_vitals_are_what_the_device_says(subject: Driven) -> None:
    subject.until(lambda: subject.vitals.grid_mono_ns > 0)
    vitals = subject.vitals
    assert (vitals.soc_pct, vitals.battery_temperature_c, vitals.forced) == (50.0, 25.0, False)
    assert (vitals.max_charge_w, vitals.max_discharge_w, vitals.faults) == (5000.0, 4000.0, ())


def test_vitals_do_not_wait_for_the_rest_of_the_poll(peer: ScriptedPeer, subject: Driven) -> None:
    silence(peer, 32000)
    seq = subject.vitals.seq
    subject.until(lambda: subject.vitals.seq > seq and subject.vitals.soc_pct is not None)


def test_an_approved_setpoint_is_written_and_verified(peer: ScriptedPeer, subject: Driven) -> None:
    assert subject.report(subject.approve(1000.0)).result is WriteResult.VERIFIED
    assert peer.writes == CHARGE
    report = next(sent for sent in subject.context.sent if isinstance(sent.message, WriteReport))
    assert (report.receivers, report.lane) == (("safety",), Lane.CONTROL)


def test_a_renewed_setpoint_is_not_written_again(peer: ScriptedPeer, subject: Driven) -> None:
    subject.report(subject.approve(1000.0))
    subject.report(subject.approve(1000.0))
    assert peer.writes == CHARGE


def test_a_setpoint_for_another_incarnation_is_not_written(
    peer: ScriptedPeer, subject: Driven
) -> None:
    report = subject.report(subject.approve(1000.0, inverter_epoch=EPOCH - 1))
    assert (report.result, peer.writes) == (WriteResult.REJECTED, [])


def test_a_setpoint_above_the_devices_limit_is_not_written(
    peer: ScriptedPeer, subject: Driven
) -> None:
    report = subject.report(subject.approve(-4500.0))
    assert "exceeds the device's max_discharge_w = 4000 W" in report.detail
    assert peer.writes == []


def test_a_safe_command_stops_first_and_is_verified(peer: ScriptedPeer, subject: Driven) -> None:
    subject.report(subject.approve(1000.0))
    assert subject.report(subject.make_safe(), safe=True).result is WriteResult.VERIFIED
    assert peer.writes == [*CHARGE, *STOP]


def test_a_lease_that_is_not_renewed_stops_the_device(peer: ScriptedPeer, subject: Driven) -> None:
    seq = subject.approve(1000.0, lease_s=0.2)
    subject.report(seq)
    assert subject.report(seq, safe=True).result is WriteResult.VERIFIED
    assert peer.writes == [*CHARGE, *STOP]


@pytest.mark.parametrize("sender", ["detector", "dispatcher", "api", "inverter/d2"])
def test_nobody_but_safety_commands_the_device(
    peer: ScriptedPeer, subject: Driven, sender: str
) -> None:
    until_ns = time.monotonic_ns() + 10 * NS_PER_S
    subject.tell(
        ApprovedSetpoint(
            device_id="d1",
            power_w=2000.0,
            seq=1 << 40,
            inverter_epoch=EPOCH,
            lease_until_mono_ns=until_ns,
            reason="",
        ),
        epoch=1 << 40,
        sender=sender,
    )
    subject.tell(SafeCommand(device_id="d1", seq=7, rule="r", reason=""), sender=sender)

    assert subject.report(subject.approve(1000.0)).result is WriteResult.VERIFIED
    assert peer.writes == CHARGE


def test_a_set_point_for_another_device_is_refused_with_the_reason(
    peer: ScriptedPeer, subject: Driven
) -> None:
    report = subject.report(subject.approve(1000.0, device_id="d2"))
    assert (report.device_id, report.result) == ("d1", WriteResult.REJECTED)
    assert "approved for 'd2', this is 'd1'" in report.detail
    assert peer.writes == []


def test_a_device_that_is_forced_when_first_seen_is_stopped(peer: ScriptedPeer) -> None:
    peer.put(37006, 1)
    with driven(peer.port) as subject:
        subject.report(0, safe=True)
        assert peer.writes == STOP


def test_a_safe_command_for_a_lost_device_is_the_first_write_when_it_is_back(
    peer: ScriptedPeer, subject: Driven
) -> None:
    subject.report(subject.approve(1000.0))
    silence(peer, 30000)
    peer.hang_up()
    subject.until(lambda: subject.state.link is not LinkState.ONLINE)
    seq = subject.make_safe()
    assert subject.report(seq, safe=True).result is WriteResult.UNKNOWN
    peer.script = lambda _request: None
    subject.until(lambda: subject.report(seq, safe=True).result is WriteResult.VERIFIED)
    assert peer.writes == [*CHARGE, *STOP]
    stopped = [request.written for request in peer.requests].index(STOP[0])
    assert peer.requests[stopped - 1].address == 47089  # identified, and nothing else in between


def test_a_lost_device_leaves_safety_without_numbers_and_everyone_told(
    peer: ScriptedPeer, subject: Driven
) -> None:
    silence(peer, 30000)
    peer.hang_up()
    subject.until(lambda: subject.vitals.soc_pct is None)
    assert "soc_pct: the device is offline" in subject.vitals.faults
    offline = next(
        each for each in subject.context.messages(DeviceState) if each.link is LinkState.OFFLINE
    )
    assert "closed the connection" in offline.reason
    seq = subject.vitals.seq
    subject.until(lambda: subject.vitals.seq > seq)


def test_another_device_at_the_address_is_never_written_to(peer: ScriptedPeer) -> None:
    peer.name("SolarMax", "X")
    with driven(peer.port) as subject:
        subject.until(lambda: subject.state.link is LinkState.REFUSED)
        assert "model 'SolarMax' answers" in subject.state.reason
        assert subject.report(subject.approve(1000.0)).result is WriteResult.REJECTED
        assert subject.report(subject.make_safe(), safe=True).result is WriteResult.UNKNOWN
        assert peer.writes == []


def test_a_failing_block_costs_only_its_own_points(peer: ScriptedPeer, subject: Driven) -> None:
    peer.script = lambda request: exception(request, 4) if request.address == 37046 else None
    subject.until(lambda: subject.vitals.max_charge_w is None)
    assert subject.vitals.soc_pct == 50.0
    seq = subject.vitals.seq
    subject.until(lambda: subject.context.messages(Sample)[-1].seq == seq)
    names = [point.name for point in subject.context.messages(DeviceSchema)[0].points]
    assert (
        subject.context.messages(Sample)[-1].quality_at(names.index("max_charge_w"))
        is Quality.STALE
    )
    assert "is not known now" in subject.report(subject.approve(1000.0)).detail


def test_what_safety_decides_on_is_urgent_and_the_rest_of_a_poll_is_not(subject: Driven) -> None:
    subject.until(lambda: len(subject.context.messages(Sample)) >= 2)
    parts = [
        (event, urgent) for event, urgent in subject.context.posts if isinstance(event, PollPart)
    ]
    assert {(part.safety, urgent) for part, urgent in parts} == {(True, True), (False, False)}
    assert all(urgent for event, urgent in subject.context.posts if not isinstance(event, PollPart))


def test_polls_begin_on_a_grid_that_all_devices_share(
    peer: ScriptedPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins_ns: list[int] = []
    submit = ModbusLink.submit

    def noted(link: ModbusLink, *jobs: PollJob | WriteJob) -> None:
        begins_ns.extend(job.begin_ns for job in jobs if isinstance(job, PollJob))
        submit(link, *jobs)

    monkeypatch.setattr(ModbusLink, "submit", noted)
    with driven(peer.port, poll_s=0.1, phase_s=0.0137) as subject:
        subject.until(lambda: len(begins_ns) >= 5)
    assert {begin_ns % 20_000_000 for begin_ns in begins_ns[1:]} == {0}  # the first is at once


def test_a_phase_says_where_in_the_period_polls_begin_whenever_the_actor_is_started(
    peer: ScriptedPeer,
) -> None:
    for phase_s, begins_ms in ((0.0, 0), (0.031, 40), (1.048, 40)):
        with driven(peer.port, poll_s=0.5, phase_s=phase_s) as subject:
            began_ns = subject.context.clock.monotonic_ns()
            assert subject.actor._due_ns % 500_000_000 == begins_ms * 1_000_000
            assert subject.actor._due_ns <= began_ns + 500_000_000


def test_polls_that_are_due_while_one_runs_are_skipped_and_counted(peer: ScriptedPeer) -> None:
    never = threading.Event()

    def slowly(request: Request) -> None:
        if request.address == 32064:
            never.wait(0.12)

    peer.script = slowly
    with driven(peer.port, timeout_s=5.0, poll_s=0.05) as subject:
        subject.until(lambda: subject.actor._state.skipped_polls >= 4)
        assert subject.actor._state.polls <= subject.actor._state.skipped_polls
        subject.until(lambda: "polls are skipped: a poll takes 0." in subject.state.trouble)


def test_what_a_device_refuses_is_logged_when_it_begins(peer: ScriptedPeer) -> None:
    peer.script = lambda request: exception(request, 4) if request.address == 32064 else None
    with capture_logs() as logs, driven(peer.port) as subject:
        subject.until(lambda: subject.actor._state.failed_requests >= 3)
    told = [each for each in logs if each["event"] == "requests are refused"]
    assert [each["kind"] for each in told] == ["device_failure"]
    assert "read of 26 registers at 32064: device failure" in told[0]["reason"]


def test_a_regular_stop_leaves_the_device_safe_and_says_so(
    peer: ScriptedPeer, subject: Driven
) -> None:
    subject.report(subject.approve(1000.0))
    subject.actor.on_stop(StopReason.SHUTDOWN)
    assert peer.writes == [*CHARGE, *STOP]
    report = subject.context.messages(WriteReport, "safety")[-1]
    assert (report.safe, report.result, report.detail) == (True, WriteResult.VERIFIED, "stopping")


def test_a_stop_that_the_device_does_not_answer_ends_in_time(peer: ScriptedPeer) -> None:
    with driven(peer.port, stop_timeout_s=0.05) as subject:
        subject.online()
        peer.script = lambda _request: SILENT
        subject.actor.on_stop(StopReason.ORPHANED)
        report = subject.context.messages(WriteReport, "safety")[-1]
        assert report.result is WriteResult.UNKNOWN
        assert "the device's own countdown must end it" in report.detail


def test_a_fenced_incarnation_writes_nothing_any_more(peer: ScriptedPeer, subject: Driven) -> None:
    subject.context.fence()
    assert subject.report(subject.approve(1000.0)).result is WriteResult.REJECTED
    assert subject.report(subject.make_safe(), safe=True).result is WriteResult.UNKNOWN
    assert peer.writes == []


def test_a_link_that_fails_by_itself_ends_the_incarnation(subject: Driven) -> None:
    with pytest.raises(LinkCrashedError, match="boom"):
        subject.actor.on_event(LinkCrashed("boom"))


def test_an_io_thread_that_does_not_turn_ends_the_incarnation(
    subject: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject.actor._loop, "stalled", lambda: True)
    with pytest.raises(IoLoopStalledError):
        subject.actor.on_tick()


def test_a_message_it_does_not_know_is_ignored(peer: ScriptedPeer, subject: Driven) -> None:
    subject.tell(Vitals(device_id="d1", seq=1, epoch=1, wall_ns=0, mono_ns=0))
    assert peer.writes == []


def test_a_setpoint_goes_over_the_wire_with_the_devices_own_countdown(peer: ScriptedPeer) -> None:
    with driven(peer.port, deadman_min=7) as subject:
        subject.online()
        subject.report(subject.approve(-1500.0))
        assert peer.writes == [(47246, (0,)), (47083, (7,)), (47249, (0, 1500)), (47100, (2,))]


def test_an_unanswered_setpoint_is_unknown_and_then_read_back(
    peer: ScriptedPeer, subject: Driven
) -> None:
    asked: list[Request] = []

    def swallow_one_command(request: Request) -> object:
        if request.written == (47100, (1,)) and not asked:
            asked.append(request)
            peer.answer(request)
            return SILENT
        return None

    peer.script = swallow_one_command  # type: ignore[assignment]
    seq = subject.approve(1000.0)
    assert subject.report(seq).result is WriteResult.UNKNOWN
    subject.until(lambda: subject.report(seq).result is WriteResult.VERIFIED)


def test_the_actor_is_built_from_msgpack() -> None:
    assert isinstance(build(*encode_config(config(502))), InverterActor)


def test_importing_the_actor_brings_no_learning_cloud_or_web_along() -> None:
    program = (
        "import sys, actors.inverter.actor, actors.inverter.probe;"
        "names = ('numpy', 'sklearn', 'onnxruntime', 'grpc', 'google', 'paho', 'starlette');"
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
