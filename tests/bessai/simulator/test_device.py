"""A device without a socket: writes that are all or nothing, exposures, determinism."""

import pytest

from bessai.simulator.device import DeviceConfig, RefusedError, SimulatedDevice
from bessai.simulator.physics import BatterySpec


def device(**changes: object) -> SimulatedDevice:
    battery = BatterySpec(response_time_constant_s=0.0)
    config = DeviceConfig(battery=battery, **changes)  # type: ignore[arg-type]
    return SimulatedDevice("d1", config, wall_ns=lambda: 0)


@pytest.mark.parametrize(
    ("address", "words", "code"),
    [
        (37024, [1], 2),
        (37004, [500], 2),
        (47247, [0], 3),
        (47248, [0], 3),
        (47247, [0, 5001], 3),
        (47246, [0, 0, 5001], 3),
        (47100, [3], 3),
    ],
)
def test_a_refused_write_changes_nothing(address: int, words: list[int], code: int) -> None:
    refusing = device()
    before = refusing.image.snapshot()
    with pytest.raises(RefusedError) as refused:
        refusing.write(address, words)
    assert refused.value.code == code
    assert refusing.image.snapshot() == before


def test_one_write_may_carry_several_registers() -> None:
    written = device()
    written.write(47246, [0, 0, 1500, 0, 900])
    assert written.read(47246, 5) == [0, 0, 1500, 0, 900]


def test_a_range_follows_the_batterys_dynamic_limit() -> None:
    hot = device(temperature_c=50.0)
    with pytest.raises(RefusedError):
        hot.write(47247, [0, 2501])
    hot.write(47247, [0, 2500])


def test_a_forced_charge_moves_the_physics_and_the_registers_alike() -> None:
    charging = device()
    charging.write(47083, [10])
    charging.write(47247, [0, 3000])
    charging.write(47100, [1])
    charging.step(1.0)
    truth = charging.truth()
    assert truth.battery_power_w == 3000
    assert charging.read(37001, 2) == [0, 3000]
    assert charging.read(37006, 1) == [1]
    assert charging.read(37025, 1) == [10]
    assert truth.grid_export_w == pytest.approx(-3000 / 0.98)


def test_the_same_seed_gives_the_same_history() -> None:
    histories = []
    for _ in range(2):
        wandering = device(variation=0.2, pv_w=3000, load_w=1000)
        for _ in range(100):
            wandering.step(0.05)
        histories.append(wandering.image.snapshot())
    assert histories[0] == histories[1]


def test_an_exposure_is_stamped_by_the_first_response_that_carries_it() -> None:
    exposed = device()
    index = exposed.change("set", lambda: exposed.set_state({"soc_pct": 10.0}))
    exposures = exposed.record.exposures
    exposures.carried(32064, 10, 1)
    assert exposures.since(index)[0].first_mono_ns is None
    exposures.carried(37000, 5, 2)
    exposures.carried(37000, 5, 3)
    exposures.carried(37758, 30, 4)
    record = exposures.since(index)[0]
    assert record.first_mono_ns == 2
    assert record.registers["esu1_soc_pct"] == 2
    assert record.registers["storage_soc_pct"] == 4
    assert "esu1_pack1_soc_pct" not in record.registers


def test_state_that_is_unknown_or_out_of_range_changes_nothing() -> None:
    unchanged = device()
    with pytest.raises(KeyError, match="temperature_c"):
        unchanged.set_state({"soc_pct": 10, "temperature": 30})
    with pytest.raises(ValueError, match="0 to 100"):
        unchanged.set_state({"temperature_c": 30, "soc_pct": 101})
    with pytest.raises(ValueError, match="forced_mode"):
        unchanged.set_state({"temperature_c": 30, "forced_mode": 7})
    assert (unchanged.battery.soc_pct, unchanged.battery.temperature_c) == (50, 25)


def test_a_write_is_described_by_the_registers_it_names() -> None:
    assert device().describe_write(47246, [0, 0, 1500, 0]) == {
        "forced_setting_mode": 0,
        "forced_charge_power_w": 1500,
    }
