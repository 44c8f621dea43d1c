"""What a SUN2000 has behind it, by day and by night, as its registers tell."""

import datetime as dt

import pytest

from bessai.simulator.device import DeviceConfig, RefusedError, SimulatedDevice
from bessai.simulator.huawei_quirks import HangUpError
from bessai.simulator.physics import BatterySpec
from bessai.simulator.registers import Value
from bessai.simulator.sunspec_device import SunSpecDevice

MIDNIGHT_S = dt.datetime(2026, 7, 1, tzinfo=dt.UTC).timestamp()


def device(**changes: object) -> SimulatedDevice:
    battery = BatterySpec(response_time_constant_s=0.0)
    config = DeviceConfig(battery=battery, **changes)  # type: ignore[arg-type]
    return SimulatedDevice("d1", config, wall_ns=lambda: 1_000_000_000_000)


def told(subject: SimulatedDevice, name: str) -> Value | None:
    """Return what the register `name` says; None for the vendor's mark."""
    point = subject.map.by_name[name]
    words = subject.read(point.address, point.count)
    return None if tuple(words) == point.invalid_words() else point.decode(words)


def test_two_units_share_a_command_and_both_tell_their_part() -> None:
    both = device(battery_units=2, packs=3)
    both.set_state({"second_soc_pct": 80.0, "forced_mode": 0})
    both.write(47083, [10])
    both.write(47247, [0, 4000])
    both.write(47100, [1])
    both.step(1.0)
    assert (told(both, "storage_power_w"), told(both, "esu1_power_w")) == (4000, 2000)
    assert (told(both, "esu2_power_w"), told(both, "esu2_soc_pct")) == (2000, 80.0)
    assert (told(both, "storage_soc_pct"), told(both, "rated_capacity_wh")) == (65.0, 30_000)
    assert told(both, "esu2_pack3_power_w") == pytest.approx(2000 / 3, abs=1)
    assert (told(both, "esu2_product_model"), told(both, "esu2_pack3_number")) == (2, 3)
    assert told(both, "esu2_pack2_serial_number") != told(both, "esu1_pack2_serial_number")


def test_what_a_device_lacks_has_no_number_and_reads_zero() -> None:
    single = device(pv_w=6000.0)
    single.step(1.0)
    assert (told(single, "esu2_product_model"), told(single, "esu1_pack2_number")) == (0, 0)
    assert single.read(37700, 10) == [0] * 10
    assert (told(single, "esu2_soc_pct"), told(single, "esu1_pack2_power_w")) == (0, 0)
    assert (told(single, "pv2_voltage_v"), told(single, "pv3_voltage_v")) == (600, 0)
    with pytest.raises(ValueError, match="battery_units=2"):
        single.set_state({"soc_pct": 10.0, "second_soc_pct": 10.0})
    assert single.battery.soc_pct > 40.0


def test_strings_carry_the_pv_power_between_them() -> None:
    six = device(pv_strings=6, pv_w=7200.0)
    six.step(1.0)
    amps = [told(six, f"pv{number}_current_a") for number in range(1, 25)]
    assert amps == [2.0] * 6 + [0.0] * 18
    assert (told(six, "pv_strings"), told(six, "mpp_trackers")) == (6, 3)


def test_a_meter_that_is_offline_hangs_up_on_those_who_ask_it() -> None:
    blind = device(meter=0)
    assert blind.read(37100, 1) == [0]
    for address, count in ((37101, 1), (37100, 38), (37138, 1)):
        with pytest.raises(HangUpError):
            blind.read(address, count)
    blind.set_state({"meter": 1})
    assert blind.read(37100, 2)[0] == 1


@pytest.mark.parametrize(("address", "count"), [(35300, 3), (35301, 2), (35302, 4), (35305, 3)])
def test_what_must_be_read_together_is_not_told_in_parts(address: int, count: int) -> None:
    with pytest.raises(RefusedError) as refused:
        device().read(address, count)
    assert refused.value.code == 2
    assert device().read(35300, 8) == [0, 0, 1000, 40125, 0, 0, 0, 0]
    assert device().read(35304, 4) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("address", "size", "most"), [(47028, 41, 10), (47200, 41, 10), (47255, 43, 14)]
)
def test_a_time_table_is_stored_whole_or_refused(address: int, size: int, most: int) -> None:
    kept = device()
    table = [2, 0, 360, *range(size - 3)]
    kept.write(address, table)
    assert kept.read(address, size) == table
    for wrong in ([most + 1, *[0] * (size - 1)], [0]):
        with pytest.raises(RefusedError) as refused:
            kept.write(address, wrong)
        assert refused.value.code == 3
    assert kept.read(address, size) == table


@pytest.mark.parametrize("address", [37410, 37429, 37498, 37516])
def test_the_dongles_registers_are_not_the_inverters(address: int) -> None:
    with pytest.raises(RefusedError) as refused:
        device().read(address, 1)
    assert refused.value.code == 2


def test_daily_energies_begin_anew_at_the_devices_own_midnight() -> None:
    evening = device(clock_s=MIDNIGHT_S - 3600.0, load_w=1960.0)
    evening.step(3599.0)
    assert told(evening, "esu1_discharged_today_kwh") == pytest.approx(2.0, abs=0.01)
    assert told(evening, "daily_yield_kwh") == pytest.approx(1.96, abs=0.01)
    assert told(evening, "peak_power_today_w") == 1960
    evening.step(1.0)
    evening.set_state({"load_w": 0.0})
    evening.step(1.0)
    assert (told(evening, "esu1_discharged_today_kwh"), told(evening, "daily_yield_kwh")) == (0, 0)
    assert told(evening, "storage_discharged_total_kwh") == pytest.approx(2.0, abs=0.01)
    assert told(evening, "monthly_yield_kwh") == 0
    assert told(evening, "yearly_yield_kwh") == pytest.approx(1.96, abs=0.01)


def test_the_clock_runs_with_the_simulation_and_can_be_set() -> None:
    ticking = device(time_zone_min=60)
    assert (told(ticking, "system_time_s"), told(ticking, "time_zone_min")) == (4600, 60)
    ticking.step(90.0)
    assert told(ticking, "system_time_s") == 4690
    ticking.change("clock", lambda: ticking.set_state({"clock_s": MIDNIGHT_S}))
    assert told(ticking, "system_time_s") == MIDNIGHT_S


def test_at_night_the_inverter_stands_by_and_goes_on_saying_what_it_said_by_day() -> None:
    dusk = device(standby_after_s=60.0, pv_w=2000.0, soc_pct=100.0)
    dusk.step(1.0)
    dusk.set_state({"pv_w": 0.0})
    dusk.step(1.0)
    assert (told(dusk, "device_status"), told(dusk, "pv_power_w")) == (0x0200, 0)
    dusk.step(60.0)
    assert (told(dusk, "device_status"), told(dusk, "state_1")) == (0xA000, 1)
    assert (told(dusk, "pv_power_w"), told(dusk, "ac_power_w")) == (2000, 1960)
    assert told(dusk, "storage_running_status") == 1
    dusk.set_state({"pv_w": 500.0})
    dusk.step(1.0)
    assert (told(dusk, "device_status"), told(dusk, "pv_power_w")) == (0x0200, 500)


def test_an_empty_battery_sleeps_without_values_until_it_is_charged() -> None:
    empty = device(standby_after_s=60.0, soc_pct=5.0)
    empty.step(61.0)
    asleep = ("storage_running_status", "esu1_running_status", "esu1_soc_pct", "storage_power_w")
    assert [told(empty, name) for name in asleep] == [4, 4, None, None]
    assert empty.read(37004, 1) == [0xFFFF]
    assert empty.read(37001, 2) == [0x7FFF, 0xFFFF]
    empty.write(47083, [10])
    empty.write(47247, [0, 1000])
    empty.write(47100, [1])
    empty.step(1.0)
    assert [told(empty, name) for name in asleep] == [2, 2, 5.0, 1000]


def test_a_device_that_was_not_told_to_never_sleeps() -> None:
    awake = device(soc_pct=5.0)
    awake.step(86_400.0)
    assert (told(awake, "device_status"), told(awake, "esu1_soc_pct")) == (0x0200, 5.0)


def test_written_settings_may_read_back_late_and_hold_at_once() -> None:
    slow = device(settings_late_s=3.0)
    slow.write(47083, [10])
    slow.write(47247, [0, 1500])
    slow.write(47100, [1])
    slow.step(1.0)
    assert (told(slow, "forced_charge_power_w"), told(slow, "forced_mode")) == (0, 0)
    assert told(slow, "esu1_power_w") == 1500
    slow.step(2.5)
    assert (told(slow, "forced_charge_power_w"), told(slow, "forced_mode")) == (1500, 1)


def test_grid_charging_keeps_all_three_caps() -> None:
    capped = device(
        settings={"dongle_max_grid_charge_w": 600, "grid_charge_cutoff_soc_pct": 50.0}, soc_pct=40.0
    )
    capped.write(47083, [10])
    capped.write(47247, [0, 3000])
    capped.write(47100, [1])
    capped.step(1.0)
    assert told(capped, "esu1_power_w") == 600
    capped.set_state({"pv_w": 1000.0})
    capped.step(1.0)
    assert told(capped, "esu1_power_w") == 1600
    capped.set_state({"soc_pct": 51.0})
    capped.step(1.0)
    assert told(capped, "esu1_power_w") == 1000


@pytest.mark.parametrize(
    ("field", "value"),
    [("battery_units", 3), ("packs", 0), ("pv_strings", 25), ("meter", 2), ("cloud_cover", 1.5)],
)
def test_a_device_that_cannot_be_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        device(**{field: value})


def test_another_kind_of_device_refuses_what_only_a_sun2000_has() -> None:
    with pytest.raises(ValueError, match="battery_units=2"):
        SunSpecDevice("d1", DeviceConfig(battery_units=2))
