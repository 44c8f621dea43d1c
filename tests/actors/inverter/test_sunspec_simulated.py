"""The actor and the probe against a simulated SunSpec storage on a real socket."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from actors.inverter.probe import probe
from actors.messages import (
    DeviceSchema,
    ForeignWrite,
    LinkState,
    Quality,
    Sample,
    WriteReport,
    WriteResult,
)
from bessai.simulator.sunspec_device import DER, LEGACY, LEGACY_FLOAT
from tests.actors.inverter.driven import Driven, config
from tests.actors.inverter.sunspec_site import PROFILE, SunSpecSite, driven_at, sunspec_site

KINDS = {"legacy": LEGACY, "float": LEGACY_FLOAT, "der": DER}
WITHOUT_TEMPERATURE = tuple(model for model in LEGACY if model != 803)
WITHOUT_CONTROLS = tuple(model for model in LEGACY if model != 124)


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest) -> Iterator[SunSpecSite]:
    """One device of each kind."""
    with sunspec_site(models=KINDS[request.param]) as device:
        yield device


def values_of(subject: Driven) -> dict[str, float | None]:
    schema = subject.context.messages(DeviceSchema)[-1]
    subject.until(
        lambda: any(s.schema_id == schema.schema_id for s in subject.context.messages(Sample))
    )
    sample = next(
        s for s in subject.context.messages(Sample)[::-1] if s.schema_id == schema.schema_id
    )
    names = [point.name for point in schema.points]
    return dict(zip(names, sample.values, strict=True))


def results(subject: Driven, seq: int) -> list[WriteResult]:
    reports = subject.context.messages(WriteReport, "safety")
    return [report.result for report in reports if report.seq == seq]


@pytest.mark.parametrize("base", [40000, 0, 50000])
def test_a_device_is_recognised_at_each_base(base: int) -> None:
    with sunspec_site(base=base) as site, driven_at(site) as subject:
        subject.online()
        assert subject.state.model == "BESSAI Simulated Hybrid 10"
        assert subject.state.serial == site.device.serial_number


def test_what_is_read_is_what_the_battery_does(site: SunSpecSite) -> None:
    with driven_at(site) as subject:
        subject.online()
        subject.until(lambda: subject.vitals.grid_mono_ns > 0)
        truth, vitals = site.device.truth(), subject.vitals
        assert vitals.soc_pct == pytest.approx(truth.soc_pct, abs=0.1)
        assert vitals.battery_temperature_c == pytest.approx(truth.temperature_c, abs=0.1)
        assert vitals.battery_power_w == pytest.approx(truth.battery_power_w, rel=0.03)
        assert (vitals.max_charge_w, vitals.max_discharge_w) == (5000, 5000)
        assert vitals.faults == ()
        assert vitals.grid_frequency_hz == pytest.approx(50, abs=0.01)
        assert vitals.grid_voltage_v == pytest.approx(230 * 3**0.5, abs=0.1)
        assert "grid_power_w" in vitals.absent
        values = values_of(subject)
        assert values["active_power_w"] == pytest.approx(truth.ac_power_w, abs=5)
        assert values["grid_frequency_hz"] == pytest.approx(50, abs=0.01)
        assert values["grid_voltage_v"] == pytest.approx(230 * 3**0.5, abs=0.1)


@pytest.mark.parametrize(("model", "phases"), [(101, 1), (102, 2), (111, 1), (112, 2)])
def test_an_inverter_on_one_or_two_phases_is_read_too(model: int, phases: int) -> None:
    models = (1, model, *LEGACY[2:])
    with sunspec_site(models=models) as site, driven_at(site) as subject:
        subject.online()
        values, truth = values_of(subject), site.device.truth()
        assert values["active_power_w"] == pytest.approx(truth.ac_power_w, abs=5)
        assert values[f"m{model}_apha_a"] == pytest.approx(
            abs(truth.ac_power_w) / phases / 230, abs=0.02
        )
        assert (f"m{model}_aphb_a" in values) == (phases > 1)


@pytest.mark.parametrize(("power_w", "mode"), [(2000.0, 1), (-2000.0, 2)])
def test_a_setpoint_is_followed_and_a_safe_command_ends_it(
    site: SunSpecSite, power_w: float, mode: int
) -> None:
    with driven_at(site) as subject:
        subject.online()
        assert subject.report(subject.approve(power_w)).result is WriteResult.VERIFIED
        site.step(1.0)
        assert site.device.control.forced == mode
        assert site.device.battery.power_w == pytest.approx(power_w, rel=0.03)
        subject.until(lambda: subject.vitals.forced is True)
        assert subject.report(subject.make_safe(), safe=True).result is WriteResult.VERIFIED
        site.step(1.0)
        assert site.device.control.forced == 0
        subject.until(lambda: subject.vitals.forced is False)


def test_the_devices_own_timer_ends_what_nobody_renews(site: SunSpecSite) -> None:
    with driven_at(site, deadman_min=5) as subject:
        subject.online()
        subject.report(subject.approve(2000.0))
        site.step(299.0)
        assert site.device.control.forced == 1
        site.step(2.0)
        assert site.device.control.forced == 0
        site.step(1.0)
        assert site.device.battery.power_w == pytest.approx(-1000, rel=0.03)
        subject.until(lambda: subject.vitals.forced is False)


def test_the_timer_is_armed_before_anything_is_forced(site: SunSpecSite) -> None:
    with driven_at(site) as subject:
        subject.online()
        subject.report(subject.approve(2000.0))
        names = [name for name, _ in site.written()]
        timer = next(i for i, name in enumerate(names) if name.endswith("RvrtTms"))
        assert timer < names.index("704.WSet" if "704.WSet" in names else "124.InWRte")
        assert names[-1] in {"704.WSetEna", "124.StorCtl_Mod"}


def test_a_command_that_somebody_else_gives_is_told_and_ended() -> None:
    with sunspec_site() as site, driven_at(site) as subject:
        subject.online()
        subject.report(subject.approve(2000.0))
        command = list(site.peer.writes)
        subject.report(subject.make_safe(), safe=True)
        subject.until(lambda: subject.vitals.forced is False)
        for address, words in command:
            site.act(lambda at=address, said=words: site.device.write(at, list(said)))  # type: ignore[misc]
        subject.until(lambda: bool(subject.context.messages(ForeignWrite, "safety")))
        subject.until(lambda: site.device.control.forced == 0)


@pytest.mark.parametrize("power_w", [2000.0, -2000.0])
def test_a_device_whose_rates_are_limits_is_forced_by_a_negative_one(power_w: float) -> None:
    with (
        sunspec_site(manufacturer="Fronius", rates_are_limits=True) as site,
        driven_at(site) as subject,
    ):
        subject.online()
        assert subject.report(subject.approve(power_w)).result is WriteResult.VERIFIED
        site.step(1.0)
        assert site.device.battery.power_w == pytest.approx(power_w)


def test_beside_pv_the_battery_alone_is_commanded() -> None:
    models = (*LEGACY, *(model for model in DER if model not in LEGACY))
    with sunspec_site(models=models) as site, driven_at(site) as subject:
        site.act(lambda: site.device.set_state({"pv_w": 3000}))
        subject.online()
        subject.report(subject.approve(1000.0))
        site.step(1.0)
        assert site.device.battery.power_w == pytest.approx(1000)
        assert not any(name.startswith("704") for name, _ in site.written())


def test_a_device_without_a_temperature_is_read_and_says_what_it_lacks() -> None:
    with sunspec_site(models=WITHOUT_TEMPERATURE) as site, driven_at(site) as subject:
        subject.online()
        subject.until(lambda: subject.vitals.grid_mono_ns > 0)
        assert subject.vitals.battery_temperature_c is None
        assert subject.vitals.faults == ("battery_temperature_c: there is no unit that tells it",)
        assert subject.vitals.soc_pct is not None


def test_a_device_without_controls_is_read_and_refuses_setpoints_with_the_reason() -> None:
    with sunspec_site(models=WITHOUT_CONTROLS) as site, driven_at(site) as subject:
        subject.online()
        report = subject.report(subject.approve(1000.0))
        assert report.result is WriteResult.REJECTED
        assert "read only: it has no model 704; it has no model 124" in report.detail
        assert subject.vitals.forced is False
        report = subject.report(subject.make_safe(), safe=True)
        assert report.result is WriteResult.UNVERIFIED
        assert "read only" in report.detail
        assert site.peer.writes == []


def test_a_stop_that_came_before_the_profile_was_known_is_done_as_soon_as_it_is() -> None:
    with sunspec_site() as site, driven_at(site) as subject:
        seq = subject.make_safe()
        assert subject.report(seq, safe=True).result is WriteResult.UNKNOWN
        subject.online()
        subject.until(lambda: results(subject, seq)[-1] is WriteResult.VERIFIED)
        assert ("124.StorCtl_Mod", 0.0) in site.written()


def test_a_stop_owed_to_a_device_without_controls_is_never_called_verified() -> None:
    with sunspec_site(models=WITHOUT_CONTROLS) as site, driven_at(site) as subject:
        owed = subject.make_safe()
        subject.online()
        assert subject.report(subject.make_safe(), safe=True).result is WriteResult.UNVERIFIED
        polls = subject.vitals.seq + 3
        subject.until(lambda: subject.vitals.seq >= polls)
        assert set(results(subject, owed)) == {WriteResult.UNKNOWN}
        assert site.peer.writes == []


def test_charging_is_refused_where_the_device_would_take_it_from_the_sun_only() -> None:
    with (
        sunspec_site(settings={"124.ChaGriSet": 0}) as site,
        driven_at(site) as subject,
    ):
        subject.online()
        report = subject.report(subject.approve(1000.0))
        assert report.result is WriteResult.REJECTED
        assert "charges from PV only" in report.detail
        assert subject.report(subject.approve(-1000.0)).result is WriteResult.VERIFIED


def test_a_sentinel_in_operation_is_no_number(site: SunSpecSite) -> None:
    with driven_at(site) as subject:
        subject.online()
        site.act(lambda: site.device.image.spoof_value("soc_pct", None))
        subject.until(lambda: subject.vitals.soc_pct is None)
        assert subject.vitals.faults == ("soc_pct: not available (0xffff)",)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0x7FC00000, "not a finite number (nan)"), (0xFF7FFFFF, "not available")],
    ids=["nan", "a manufacturer's mark"],
)
def test_both_marks_of_a_floating_point_number_are_no_number(number: int, words: str) -> None:
    with sunspec_site(models=LEGACY_FLOAT) as site:
        (point,) = site.device.image.points_named("113.W")
        laid = struct.unpack(">HH", number.to_bytes(4, "big"))
        site.act(lambda: site.device.image.spoof_words(point.address, laid))
        report = probe(config(site.port, profile=PROFILE))
    reading = next(each for each in report.readings if each.name == "active_power_w")
    assert (reading.value, reading.quality) == (None, Quality.INVALID)
    assert words in reading.reason


@pytest.mark.parametrize(
    ("scale", "value"), [(1, 500.0), (-1, 5.0), (-2, 0.5), (-0x8000, None), (11, None)]
)
def test_a_scale_that_changes_while_the_device_is_read_is_followed(
    scale: int, value: float | None
) -> None:
    with sunspec_site() as site, driven_at(site) as subject:
        subject.online()
        (soc,) = site.device.image.points_named("802.SoC")
        (power,) = site.device.image.points_named("802.SoC_SF")

        def rescale() -> None:
            site.device.image.spoof_words(soc.address, [50])
            site.device.image.spoof_words(power.address, [scale & 0xFFFF])

        site.act(rescale)
        wanted = None if value is None or value > 100 else value
        subject.until(lambda: subject.vitals.soc_pct == wanted)


def test_something_that_is_no_sunspec_device_is_refused_in_words() -> None:
    with sunspec_site(base=100) as site, driven_at(site) as subject:
        subject.until(lambda: subject.state.link is LinkState.REFUSED)
        assert subject.state.reason == "not a SunSpec device: no 'SunS' at 40000, 0, 50000"


def test_a_broken_chain_is_refused_in_words_and_read_once_it_is_whole() -> None:
    with sunspec_site() as site:
        (length,) = site.device.image.points_named("103.L")
        site.act(lambda: site.device.image.spoof_words(length.address, [0]))
        with driven_at(site) as subject:
            subject.until(lambda: subject.state.link is LinkState.REFUSED)
            assert "model 103 with 0 words makes no sense" in subject.state.reason
            site.act(site.device.image.clear)
            subject.online()


def test_a_probe_tells_every_point_and_writes_nothing(site: SunSpecSite) -> None:
    report = probe(config(site.port, profile=PROFILE))
    assert report.usable, report.fault
    named = {reading.name: reading for reading in report.readings}
    assert named["manufacturer"].text == "BESSAI"
    assert named["serial_number"].text == site.device.serial_number
    assert site.peer.writes == []


def test_a_probe_of_a_device_without_a_temperature_says_what_safety_lacks() -> None:
    with sunspec_site(models=WITHOUT_TEMPERATURE) as site:
        report = probe(config(site.port, profile=PROFILE))
    assert not report.usable
    assert "battery_temperature_c" in report.fault
