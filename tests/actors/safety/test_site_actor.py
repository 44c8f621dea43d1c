"""The connection to the grid is one for all devices: what the meter of one says, SafetyActor does to each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.messages import (
    ApprovedSetpoint,
    SafeCommand,
    SetpointAnswer,
    SetpointRequest,
    Vitals,
    WriteReport,
    WriteResult,
)
from actors.safety.actor import SafetyActor
from actors.safety.config import DeviceLimits, SafetyConfig
from supervision.clock import ManualClock
from supervision.envelope import Header
from tests.actors.fakes import RecordingContext
from tests.actors.safety.measured import vitals

ABSENT = ("battery_voltage_v", "battery_current_a", "grid_frequency_hz", "grid_voltage_v")


class Site:
    """Two batteries, of which the first reads the meter."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = ManualClock()
        self.context = RecordingContext("safety", clock=self.clock)
        self.actor = SafetyActor(
            SafetyConfig(
                state_dir=str(state_dir),
                devices={"a": DeviceLimits(good_cycles=1), "b": DeviceLimits(good_cycles=1)},
                site_import_max_w=10_000.0,
                site_meters=("a",),
            )
        )
        self.actor.on_start(self.context)
        self.seq = 0

    def measure(self, device: str, **changes: Any) -> None:
        self.seq += 1
        at_ns = self.clock.monotonic_ns()
        told: Vitals = vitals(
            self.seq,
            device_id=device,
            mono_ns=at_ns,
            grid_mono_ns=at_ns,
            absent=ABSENT,
            **changes,
        )
        header = Header(receiver="safety", sender=f"inverter/{device}", epoch=7)
        self.actor.on_message(told, header)

    def verify(self) -> None:
        """Report that every safe command was read back."""
        for command in self.context.messages(SafeCommand):
            device = command.device_id
            report = WriteReport(
                device_id=device,
                seq=command.seq,
                safe=True,
                result=WriteResult.VERIFIED,
                power_w=0.0,
            )
            header = Header(receiver="safety", sender=f"inverter/{device}", epoch=7)
            self.actor.on_message(report, header)

    def ask(self, device: str, power_w: float) -> SetpointAnswer:
        self.seq += 1
        request = SetpointRequest(
            device_id=device,
            power_w=power_w,
            ttl_s=60,
            mono_ns=self.clock.monotonic_ns(),
            seq=self.seq,
            source="dispatcher",
            reason="test",
        )
        self.actor.on_message(request, Header(receiver="safety", sender="dispatcher", epoch=1))
        return self.context.messages(SetpointAnswer)[-1]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.measure("a", grid_power_w=0.0)
    made.measure("b")
    made.verify()
    made.context.sent.clear()
    return made


@pytest.mark.rule("site_import_room")
def test_a_request_is_clamped_to_the_share_of_the_room(site: Site) -> None:
    site.measure("a", grid_power_w=7500.0)

    answer = site.ask("b", 3000.0)

    assert (answer.rule, answer.power_w) == ("site_import_room", 1000.0)


@pytest.mark.rule("site_import")
def test_import_at_the_limit_ends_the_set_point_of_every_device_with_the_next_tick(
    site: Site,
) -> None:
    site.ask("b", 3000.0)
    assert site.context.messages(ApprovedSetpoint)[-1].power_w == 3000.0
    site.clock.advance(0.1)
    site.measure("a", grid_power_w=10_000.0)

    site.actor.on_tick()

    (command,) = site.context.messages(SafeCommand, "inverter/b")
    assert command.rule == "site_import"
    assert "10000 W" in command.reason


@pytest.mark.rule("ramp")
def test_a_set_point_that_ended_is_where_the_ramp_begins_again(site: Site) -> None:
    site.ask("b", 3000.0)
    assert site.actor._guard.evaluate("b", site.clock.monotonic_ns()).setpoint_w == 3000.0
    site.measure("b", soc_pct=99.0)

    assert site.actor._guard.evaluate("b", site.clock.monotonic_ns()).setpoint_w == 0.0
