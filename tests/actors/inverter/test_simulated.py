"""The actor and the probe against the simulator in a process of its own, judged by the simulator's record."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from actors.inverter.probe import probe
from actors.inverter.profile import PollClass
from actors.messages import DeviceSchema, Quality, Sample, WriteResult
from bessai.simulator.control import SimulatorClient
from bessai.simulator.site import Ready
from tests.actors.inverter.driven import PROFILE, Driven, config, driven
from tests.bessai.simulator.simulated import settings, started


@pytest.fixture(scope="module")
def site() -> Iterator[Ready]:
    """One simulated device."""
    with started(
        "--devices",
        "1",
        *settings("soc_pct=60", "load_w=1500", "battery.response_time_constant_s=0"),
    ) as (
        _,
        ready,
    ):
        yield ready


@pytest.fixture
def simulator(site: Ready) -> Iterator[SimulatorClient]:
    """The simulator's control channel."""
    with SimulatorClient(site.control_host, site.control_port) as client:
        client.clear("d1")
        client.end_fault("d1")
        yield client


@pytest.fixture
def inverter(site: Ready, simulator: SimulatorClient) -> Iterator[Driven]:
    """An actor that has read the simulated device."""
    del simulator
    with driven(site.devices[0].port) as subject:
        subject.online()
        yield subject


def test_every_point_that_is_read_in_each_poll_is_read_in_good_quality(
    inverter: Driven, simulator: SimulatorClient
) -> None:
    every = {PollClass.SAFETY, PollClass.FAST}
    always = {
        point.name
        for block in PROFILE.blocks
        if block.poll_class in every and not block.name.startswith("battery_2")
        for point in block.points
    }
    names = [point.name for point in inverter.context.messages(DeviceSchema)[0].points]

    def complete(sample: Sample) -> bool:
        return all(
            sample.quality_at(place) is Quality.GOOD
            for place, name in enumerate(names)
            if name in always
        )

    inverter.until(lambda: any(map(complete, inverter.context.messages(Sample))))
    sample = next(filter(complete, inverter.context.messages(Sample)))
    values = dict(
        zip(
            (point.name for point in inverter.context.messages(DeviceSchema)[0].points),
            sample.values,
            strict=True,
        )
    )
    truth = simulator.truth("d1")
    assert values["soc_pct"] == pytest.approx(truth.soc_pct, abs=0.2)
    assert values["grid_power_w"] == pytest.approx(-truth.grid_export_w, abs=50)
    assert values["battery_voltage_v"] == pytest.approx(truth.battery_voltage_v, abs=5)
    assert values["active_power_w"] == pytest.approx(truth.ac_power_w, abs=50)


@pytest.mark.parametrize(("power_w", "mode"), [(1500.0, 1), (-1500.0, 2)])
def test_the_device_follows_an_approved_setpoint_and_then_a_safe_command(
    inverter: Driven, simulator: SimulatorClient, power_w: float, mode: int
) -> None:
    assert inverter.report(inverter.approve(power_w)).result is WriteResult.VERIFIED
    assert simulator.truth("d1").forced_mode == mode
    inverter.until(
        lambda: inverter.vitals.forced is True and inverter.vitals.battery_power_w == power_w
    )
    assert inverter.report(inverter.make_safe(), safe=True).result is WriteResult.VERIFIED
    assert simulator.truth("d1").forced_mode == 0
    inverter.until(lambda: inverter.vitals.forced is False)


def test_writes_that_the_device_ignores_are_unverified(
    inverter: Driven, simulator: SimulatorClient
) -> None:
    simulator.fault("d1", "ignore_writes")
    assert inverter.report(inverter.approve(1000.0)).result is WriteResult.UNVERIFIED


def test_a_sleeping_battery_is_invalid_not_six_thousand_percent(
    inverter: Driven, simulator: SimulatorClient
) -> None:
    simulator.override("d1", "soc_pct", None)
    inverter.until(lambda: inverter.vitals.soc_pct is None)
    assert "soc_pct: not available (0xffff)" in inverter.vitals.faults
    seq = inverter.vitals.seq
    inverter.until(lambda: inverter.context.messages(Sample)[-1].seq >= seq)
    names = [point.name for point in inverter.context.messages(DeviceSchema)[0].points]
    assert (
        inverter.context.messages(Sample)[-1].quality_at(names.index("soc_pct")) is Quality.INVALID
    )


def test_a_probe_reads_everything_and_writes_nothing(
    site: Ready, simulator: SimulatorClient
) -> None:
    before = len(simulator.writes("d1"))
    report = probe(config(site.devices[0].port))
    assert report.usable
    assert (report.model, report.serial) == ("SUN2000-10KTL-M1", site_serial(simulator))
    absent = [reading for reading in report.readings if reading.quality is not Quality.GOOD]
    assert all(
        reading.reason.startswith("not there") or "no such register" in reading.reason
        for reading in absent
    ), [f"{reading.name}: {reading.reason}" for reading in absent]
    values = {reading.name: reading for reading in report.readings}
    assert values["pv_strings"].value == 2
    assert values["battery_status"].meaning == "running"
    assert values["serial_number"].text == report.serial
    assert len(simulator.writes("d1")) == before


def site_serial(simulator: SimulatorClient) -> str:
    return simulator.devices()[0].serial_number


def test_a_probe_of_a_silent_device_says_so(site: Ready, simulator: SimulatorClient) -> None:
    simulator.fault("d1", "hang")
    report = probe(config(site.devices[0].port, timeout_s=0.05))
    assert report.fault == "read of 25 registers at 30000: no answer within 0.05 s"
