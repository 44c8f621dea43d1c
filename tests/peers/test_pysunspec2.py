"""The package pysunspec2, our reader and the device itself agree on every point of every kind of SunSpec device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from actors.inverter.point_reading import PointReading
from actors.inverter.probe import probe
from bessai.simulator.control import SimulatorClient
from bessai.simulator.record import TruthRecord
from tests.actors.inverter.driven import config
from tests.actors.inverter.sunspec_site import PROFILE
from tests.bessai.simulator.simulated import settings, started

OPPOSITE = {(802, "W"), (802, "A")}
"""These models count discharging as positive, this gateway charging."""
MODELS = {
    "sunspec": {1, 103, 120, 121, 123, 124, 160, 802, 803},
    "sunspec-float": {1, 113, 120, 121, 123, 124, 160, 802, 803},
    "sunspec-der": {1, 701, 702, 704, 713, 803},
}


class Views(NamedTuple):
    kind: str
    truth: TruthRecord
    ours: dict[int, PointReading]
    theirs: dict[int, tuple[int, str, Any]]
    """By address: the model, the name of the point and its value after scaling."""
    models: set[int]

    def value(self, *names: tuple[int, str]) -> Any:
        """Return the stranger's value of the first of `names` that the device has."""
        by_name = {(model, name): value for model, name, value in self.theirs.values()}
        return next(by_name[name] for name in names if name in by_name)


@pytest.fixture(scope="module", params=MODELS)
def views(request: pytest.FixtureRequest) -> Iterator[Views]:
    """A device of each kind, charging."""
    kind = request.param
    start = ("load_w=1500", "battery.response_time_constant_s=0")
    with (
        started("--devices", "1", "--kind", kind, "--step-hz", "0.1", *settings(*start)) as site,
        SimulatorClient(site[1].control_host, site[1].control_port) as client,
    ):
        sun = {} if kind == "sunspec-der" else {"pv_w": 3300}
        client.set_state("d1", soc_pct=62.5, temperature_c=31.2, battery_power_w=2345, **sun)
        port = site[1].devices[0].port
        theirs, models = _told_by_pysunspec2(port)
        report = probe(config(port, profile=PROFILE))
        assert report.usable, report.fault
        ours = {reading.address: reading for reading in report.readings}
        yield Views(kind, client.truth("d1"), ours, theirs, models)


def _told_by_pysunspec2(port: int) -> tuple[dict[int, tuple[int, str, Any]], set[int]]:
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=5)
    device.scan()
    models = {number: each[0] for number, each in device.models.items() if isinstance(number, int)}
    points = {
        model.model_addr + point.offset: (number, point.pdef["name"], point.cvalue)
        for number, model in models.items()
        for point in _points(model)
    }
    return points, set(models)


def _points(group: Any) -> Iterator[Any]:
    yield from group.points.values()
    for below in group.groups.values():
        for each in below if isinstance(below, list) else [below]:
            yield from _points(each)


def test_the_stranger_finds_the_models_of_the_device(views: Views) -> None:
    assert views.models == MODELS[views.kind]


def test_the_stranger_reads_what_the_device_does(views: Views) -> None:
    truth = views.truth
    assert views.value((802, "SoC"), (713, "SoC")) == pytest.approx(truth.soc_pct, abs=0.1)
    assert views.value((803, "ModTmpMax")) == pytest.approx(truth.temperature_c, abs=0.1)
    watts = views.value((103, "W"), (113, "W"), (701, "W"))
    assert watts == pytest.approx(truth.ac_power_w, abs=5)
    if views.kind != "sunspec-der":
        assert views.value((802, "W")) == pytest.approx(-truth.battery_power_w, abs=1)
        assert views.value((802, "V")) == pytest.approx(truth.battery_voltage_v, abs=0.1)
        assert views.value((802, "A")) == pytest.approx(-truth.battery_current_a, abs=0.01)


def test_our_reader_agrees_with_the_stranger_on_every_point(views: Views) -> None:
    assert len(views.ours) > 80
    differing = {
        (model, name): (value, views.ours[address])
        for address, (model, name, value) in views.theirs.items()
        if address in views.ours and not _same(model, name, value, views.ours[address])
    }
    assert not differing
    assert set(views.ours) <= set(views.theirs)


def _same(model: int, name: str, theirs: Any, ours: PointReading) -> bool:
    if name.endswith("_SF"):
        return list(ours.words) == [theirs & 0xFFFF]
    if theirs is None or isinstance(theirs, str):
        return ours.value is None and ours.text == (theirs or "")
    if theirs == 0 and ours.value is None:
        return ours.reason == "not available (0x0)"
    sign = -1 if (model, name) in OPPOSITE else 1
    return ours.value == pytest.approx(sign * theirs)
