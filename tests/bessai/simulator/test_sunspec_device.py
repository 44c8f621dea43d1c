"""A simulated SunSpec storage: what it reports of its physics, what may be written, and what of it is recorded."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from bessai.simulator.device import DeviceConfig, RefusedError
from bessai.simulator.physics import BatterySpec
from bessai.simulator.registers import EncodingError, Value
from bessai.simulator.sunspec_device import DER, LEGACY, LEGACY_FLOAT, SunSpecDevice, SunSpecOptions


@pytest.fixture
def start() -> Callable[..., SunSpecDevice]:
    def started(models: tuple[int, ...] = LEGACY, **config: float) -> SunSpecDevice:
        battery = BatterySpec(response_time_constant_s=0)
        values = {"battery": battery, **config}
        return SunSpecDevice(
            "d1", msgspec.convert(values, DeviceConfig), SunSpecOptions(models=models)
        )

    return started


def shown(device: SunSpecDevice, name: str) -> Value:
    (point,) = device.image.points_named(name)
    return point.decode(device.read(point.address, point.count))


def put(device: SunSpecDevice, name: str, value: float) -> None:
    (point,) = device.image.points_named(name)
    device.write(point.address, list(point.encode(value)))


@pytest.mark.parametrize("models", [LEGACY, LEGACY_FLOAT, DER])
def test_registers_show_the_physics(
    start: Callable[..., SunSpecDevice], models: tuple[int, ...]
) -> None:
    device = start(models, soc_pct=62.5, load_w=1960.0, temperature_c=31.0)
    device.step(1.0)
    soc = shown(device, "713.SoC" if models is DER else "802.SoC")
    inverter = next(f"{number}.W" for number in (103, 113, 701) if number in models)
    assert soc == pytest.approx(device.battery.soc_pct, abs=0.1)
    assert shown(device, inverter) == pytest.approx(device.plant.flows.ac_w, abs=5)
    assert shown(device, "803.ModTmpMax") == pytest.approx(device.battery.temperature_c, abs=0.1)


def test_a_discharge_has_the_sign_of_the_models(start: Callable[..., SunSpecDevice]) -> None:
    device = start(load_w=1960.0)
    device.step(1.0)
    assert device.battery.power_w == pytest.approx(-2000)
    assert shown(device, "802.W") == pytest.approx(2000)
    assert shown(device, "160.module.4.DCW") == pytest.approx(2000)
    assert shown(device, "160.module.3.DCW") == 0


def test_what_the_device_has_not_is_marked_as_not_implemented(
    start: Callable[..., SunSpecDevice],
) -> None:
    device = start()
    (point,) = device.image.points_named("802.NCyc")
    assert tuple(device.read(point.address, point.count)) == point.invalid_words()


def test_rates_command_the_battery(start: Callable[..., SunSpecDevice]) -> None:
    device = start()
    put(device, "124.InWRte", 40)
    put(device, "124.StorCtl_Mod", 1)
    device.step(1.0)
    assert device.battery.power_w == pytest.approx(2000)
    assert device.truth().forced_mode == 1


def test_watts_command_the_battery(start: Callable[..., SunSpecDevice]) -> None:
    device = start(DER)
    put(device, "704.WSet", -2000)
    put(device, "704.WSetEna", 1)
    device.step(1.0)
    assert device.plant.flows.ac_w == pytest.approx(-2000)


def test_the_time_that_is_left_is_shown(start: Callable[..., SunSpecDevice]) -> None:
    device = start(DER)
    put(device, "704.WSetRvrtTms", 90)
    put(device, "704.WSetEna", 1)
    device.step(30.0)
    assert shown(device, "704.WSetRvrtRem") == 60
    assert device.truth().remaining_min == 1
    device.step(60.0)
    assert shown(device, "704.WSetEna") == 0


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("802.SoC", [1], 2),
        ("124.WChaMax", [1], 2),
        ("124.StorCtl_Mod", [9], 3),
        ("124.InWRte", [10_001], 3),
        ("124.OutWRte", [0, 0, 0, 0xFFFF], 3),
    ],
)
def test_a_write_that_cannot_be_is_refused_whole(
    start: Callable[..., SunSpecDevice], name: str, words: list[int], code: int
) -> None:
    device = start()
    before = dict(device.control.settings)
    (point,) = device.image.points_named(name)
    with pytest.raises(RefusedError) as refused:
        device.write(point.address, words)
    assert refused.value.code == code
    assert device.control.settings == before


def test_half_a_point_is_refused(start: Callable[..., SunSpecDevice]) -> None:
    device = start(DER)
    (point,) = device.image.points_named("704.WSet")
    for address, words in ((point.address, [0]), (point.address + 1, [0])):
        with pytest.raises(RefusedError):
            device.write(address, words)


def test_nothing_answers_beside_the_chain(start: Callable[..., SunSpecDevice]) -> None:
    device = start()
    for address, count in ((39_999, 1), (device.map.end, 1), (device.map.end - 1, 2)):
        with pytest.raises(RefusedError):
            device.read(address, count)
    assert device.read(device.map.end - 2, 2) == [0xFFFF, 0]


def test_a_spoofed_quantity_is_spoofed_wherever_it_is_told(
    start: Callable[..., SunSpecDevice],
) -> None:
    device = start()
    device.image.spoof_value("soc_pct", 99.0)
    assert shown(device, "802.SoC") == 99
    assert shown(device, "124.ChaState") == 99
    device.step(1.0)
    assert shown(device, "802.SoC") == 99
    device.image.clear()
    assert shown(device, "802.SoC") == pytest.approx(device.battery.soc_pct, abs=0.1)


def test_a_spoof_may_be_the_mark_of_nothing(start: Callable[..., SunSpecDevice]) -> None:
    device = start()
    device.image.spoof_value("802.SoC", None)
    (point,) = device.image.points_named("802.SoC")
    assert device.read(point.address, 1) == [0xFFFF]


def test_a_word_outside_the_chain_cannot_be_spoofed(start: Callable[..., SunSpecDevice]) -> None:
    with pytest.raises(EncodingError, match="hole"):
        start().image.spoof_words(1, [1])


def test_a_change_of_state_is_an_exposure_of_the_points_that_show_it(
    start: Callable[..., SunSpecDevice],
) -> None:
    device = start()
    index = device.change("set", lambda: device.set_state({"soc_pct": 20}))
    (exposure,) = device.record.exposures.since(index)
    assert exposure.what == "set"
    (point,) = device.image.points_named("802.SoC")
    device.record.exposures.carried(point.address, 1, 5)
    assert device.record.exposures.since(index)[0].registers == {"802.SoC": 5}


def test_a_state_that_is_not_known_or_out_of_range_is_named(
    start: Callable[..., SunSpecDevice],
) -> None:
    device = start()
    with pytest.raises(KeyError, match="unknown state 'nonsense'"):
        device.set_state({"soc_pct": 10, "nonsense": 1})
    with pytest.raises(ValueError, match="soc_pct=101 must be 0 to 100"):
        device.set_state({"soc_pct": 101})
    assert device.battery.soc_pct == pytest.approx(50)


def test_a_write_is_described_by_its_points(start: Callable[..., SunSpecDevice]) -> None:
    device = start()
    (point,) = device.image.points_named("124.OutWRte")
    described = device.describe_write(point.address, [0, 5000])
    assert described == {"124.OutWRte": 0, "124.InWRte": 50}
