"""The actor reads devices of every make-up, in good quality what they have and nothing that they lack."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from typing import NamedTuple

import pytest

from actors.messages import DeviceSchema, LinkState, Quality, Sample, WriteResult
from bessai.simulator.control import SimulatorClient
from bessai.simulator.site import Ready
from tests.actors.inverter.driven import Driven, driven
from tests.bessai.simulator.simulated import settings, started

QUICK = ("battery.response_time_constant_s=0", "soc_pct=60", "load_w=800", "pv_w=3000")
Values = Mapping[str, tuple[float | None, Quality]]


class Makeup(NamedTuple):
    settings: tuple[str, ...]
    units: int = 1
    packs: int = 1
    strings: int = 2
    meter: bool = True


MAKEUPS = {
    "one unit": Makeup(()),
    "two units": Makeup(("battery_units=2", "packs=3"), units=2, packs=3),
    "six strings, no meter": Makeup(
        ("meter=0", "pv_strings=6", "packs=2"), packs=2, strings=6, meter=False
    ),
}


class Site(NamedTuple):
    inverter: Driven
    simulator: SimulatorClient


@contextlib.contextmanager
def site(*start: str, **changes: object) -> Generator[Site]:
    """A simulated device in a process of its own, and an actor that has read it."""
    with (
        started("--devices", "1", *settings(*QUICK, *start)) as (_, ready),
        SimulatorClient(ready.control_host, ready.control_port) as simulator,
        driven(ready.devices[0].port, **changes) as inverter,
    ):
        inverter.online()
        yield Site(inverter, simulator)


@pytest.fixture(scope="module")
def ordinary() -> Iterator[Ready]:
    """A device with nothing special, for tests that put right what they change."""
    with started("--devices", "1", *settings(*QUICK)) as (_, ready):
        yield ready


@pytest.fixture
def plain(ordinary: Ready) -> Iterator[Site]:
    """An ordinary device and an actor that has read it."""
    port = ordinary.devices[0].port
    with SimulatorClient(ordinary.control_host, ordinary.control_port) as simulator:
        simulator.end_fault("d1")
        simulator.set_state("d1", meter=1, forced_mode=0)
        with driven(port) as inverter:
            inverter.online()
            yield Site(inverter, simulator)


def values(inverter: Driven) -> Values:
    """Return the newest sample by name."""
    schema = inverter.context.messages(DeviceSchema)[-1]
    samples = inverter.context.messages(Sample)
    if not samples or samples[-1].schema_id != schema.schema_id:
        return {}
    sample = samples[-1]
    return {
        point.name: (sample.values[place], Quality(sample.quality_at(place)))
        for place, point in enumerate(schema.points)
    }


def good(found: Values, prefix: str, suffix: str = "") -> set[str]:
    return {
        name
        for name, (_, quality) in found.items()
        if quality is Quality.GOOD and name.startswith(prefix) and name.endswith(suffix)
    }


@pytest.mark.parametrize("makeup", MAKEUPS.values(), ids=MAKEUPS)
def test_what_is_there_is_read_and_what_is_not_is_missing(makeup: Makeup) -> None:
    with site(*makeup.settings) as (inverter, simulator):
        last_pack = f"esu{makeup.units}_pack{makeup.packs}_temperature_low_c"
        inverter.until(lambda: bool(good(values(inverter), last_pack)))
        inverter.until(lambda: bool(good(values(inverter), f"pv{makeup.strings}_current_a")))
        found = values(inverter)
        packs = {
            f"esu{u + 1}_pack{p + 1}_soc_pct"
            for u in range(makeup.units)
            for p in range(makeup.packs)
        }
        assert {name for name in good(found, "esu", "_soc_pct") if "pack" in name} == packs
        assert len(good(found, "pv", "_voltage_v")) == makeup.strings
        assert bool(good(found, "esu2_power_w")) == (makeup.units == 2)
        assert bool(good(found, "grid_power_w")) == makeup.meter
        assert {quality for _, quality in found.values()} <= {Quality.GOOD, Quality.MISSING}
        truth = simulator.truth("d1")
        assert inverter.vitals.battery_power_w == pytest.approx(truth.battery_power_w, abs=3)
        assert inverter.vitals.soc_pct == pytest.approx(truth.soc_pct, abs=0.2)
        assert inverter.vitals.max_charge_w == truth.max_charge_w == 5000 * makeup.units


def test_a_device_without_a_meter_is_polled_without_losing_a_connection() -> None:
    with site("meter=0") as (inverter, _):
        seq = inverter.vitals.seq
        inverter.until(lambda: inverter.vitals.seq >= seq + 20)
        states = [state.link for state in inverter.context.messages(type(inverter.state))]
        assert LinkState.ONLINE in states
        assert LinkState.OFFLINE not in states[states.index(LinkState.ONLINE) :]


def test_a_meter_that_comes_back_is_read_again(plain: Site) -> None:
    inverter, simulator = plain
    inverter.until(lambda: bool(good(values(inverter), "grid_power_w")))
    simulator.set_state("d1", meter=0)
    inverter.until(lambda: not good(values(inverter), "grid_power_w"))
    inverter.until(lambda: inverter.state.link is LinkState.ONLINE)
    simulator.set_state("d1", meter=1)
    inverter.until(lambda: bool(good(values(inverter), "grid_power_w")))


def test_the_worse_unit_decides_what_safety_is_told() -> None:
    with site("battery_units=2") as (inverter, simulator):
        simulator.set_state("d1", second_temperature_c=26.8)
        inverter.until(lambda: inverter.vitals.battery_temperature_c == 26.8)


def test_a_setpoint_is_carried_by_both_units() -> None:
    with site("battery_units=2") as (inverter, simulator):
        assert inverter.report(inverter.approve(-6000.0)).result is WriteResult.VERIFIED
        inverter.until(lambda: inverter.vitals.battery_power_w == pytest.approx(-6000, abs=2))
        assert simulator.truth("d1").second_power_w == pytest.approx(-3000, abs=2)


def test_a_battery_that_sleeps_at_night_has_no_values_and_wakes_for_a_charge() -> None:
    cutoff = ("discharge_cutoff_soc_pct=20", "soc_pct=20", "pv_w=98", "load_w=96.04")
    with site("standby_after_s=0.3", *cutoff) as (inverter, simulator):
        simulator.set_state("d1", pv_w=0)
        inverter.until(lambda: inverter.vitals.soc_pct is None)
        assert "soc_pct: not available (0xffff)" in inverter.vitals.faults
        inverter.until(lambda: values(inverter)["device_status"][0] == 0xA000)
        inverter.until(lambda: values(inverter)["battery_status"][0] == 4)
        assert values(inverter)["battery_power_w"] == (None, Quality.INVALID)

        def charges() -> bool:
            """Command it again each time: the actor ends a foreign command, now and then before power has come."""
            simulator.set_state(
                "d1", forced_period_min=5, forced_charge_power_w=1500, forced_mode=1
            )
            return inverter.vitals.battery_power_w == 1500

        inverter.until(charges)
        assert inverter.vitals.soc_pct is not None


def test_settings_that_read_back_late_are_waited_for() -> None:
    with site("settings_late_s=0.4", readback_s=2.0) as (inverter, simulator):
        assert inverter.report(inverter.approve(1500.0)).result is WriteResult.VERIFIED
        assert simulator.truth("d1").forced_mode == 1


def test_settings_that_read_back_too_late_are_not_taken_for_written() -> None:
    with site("settings_late_s=30", readback_s=0.3) as (inverter, _):
        assert inverter.report(inverter.approve(1500.0)).result is WriteResult.UNVERIFIED


def test_the_countdown_ends_a_forced_command_that_nobody_renews() -> None:
    with site("countdown_s_per_min=0.2", deadman_min=2) as (inverter, simulator):
        inverter.report(inverter.approve(1500.0, lease_s=0.3))
        inverter.until(lambda: simulator.truth("d1").forced_mode == 0)
        inverter.until(lambda: inverter.vitals.forced is False)
        writes = simulator.writes("d1")
        assert [w.words for w in writes if w.address == 47100 and w.result == "ok"][:1] == [[1]]


@pytest.mark.parametrize(
    ("code", "said"), [(0x80, "installer's login"), (2, "no such register"), (4, "device failure")]
)
def test_a_device_that_refuses_settings_says_how_and_nothing_is_forced(
    plain: Site, code: int, said: str
) -> None:
    inverter, simulator = plain
    simulator.fault("d1", "exception", code=code, scope="writes")
    report = inverter.report(inverter.approve(1500.0))
    assert report.result is not WriteResult.VERIFIED
    assert said in report.detail
    assert simulator.truth("d1").forced_mode == 0
    assert inverter.vitals.soc_pct is not None
