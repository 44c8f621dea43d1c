"""The battery model keeps the laws it claims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator.physics import BatteryModel, BatterySpec, open_circuit_voltage_v

SOC = st.floats(0, 100)
POWER = st.floats(-8000, 8000)
AT_ONCE = BatterySpec(response_time_constant_s=0.0)


@given(SOC, st.lists(st.tuples(POWER, st.floats(0.01, 600)), max_size=20))
def test_terminal_energy_is_what_was_stored_plus_what_became_heat(
    soc_pct: float, steps: list[tuple[float, float]]
) -> None:
    battery = BatteryModel(soc_pct=soc_pct)
    before_wh, terminal_wh = battery.energy_wh, 0.0
    for target_w, dt_s in steps:
        battery.step(dt_s, target_w=target_w, ambient_c=25.0)
        terminal_wh += battery.power_w * dt_s / 3600.0
    stored_wh = battery.energy_wh - before_wh
    assert terminal_wh == pytest.approx(stored_wh + battery.loss_wh, abs=1e-6)


@given(SOC, st.lists(st.tuples(POWER, st.floats(0, 36_000)), max_size=20))
def test_soc_stays_between_empty_and_full_and_heat_is_never_negative(
    soc_pct: float, steps: list[tuple[float, float]]
) -> None:
    battery = BatteryModel(soc_pct=soc_pct)
    for target_w, dt_s in steps:
        before_wh = battery.loss_wh
        battery.step(dt_s, target_w=target_w, ambient_c=25.0)
        assert 0.0 <= battery.soc_pct <= 100.0
        assert battery.loss_wh >= before_wh - 1e-9


def test_a_round_trip_returns_the_product_of_both_efficiencies() -> None:
    battery = BatteryModel(AT_ONCE, soc_pct=50.0)
    battery.step(3600, target_w=2000.0, ambient_c=25.0)
    returned_wh = (battery.energy_wh - 7500.0) * battery.spec.discharge_efficiency
    assert returned_wh == pytest.approx(2000.0 * 0.97 * 0.97)


@given(st.floats(0, 99.9), st.floats(0.01, 50))
def test_open_circuit_voltage_rises_with_soc(soc_pct: float, more_pct: float) -> None:
    higher_pct = min(soc_pct + more_pct, 100.0)
    assert open_circuit_voltage_v(higher_pct, 720) > open_circuit_voltage_v(soc_pct, 720)


@given(SOC, POWER)
def test_power_is_voltage_times_current_and_both_follow_its_sign(soc: float, power: float) -> None:
    battery = BatteryModel(AT_ONCE, soc_pct=soc)
    ocv_v = battery.voltage_v
    battery.power_w = power
    assert battery.voltage_v * battery.current_a == pytest.approx(power, abs=1e-6)
    assert (battery.voltage_v - ocv_v) * power >= 0.0


@given(st.floats(-20, 60), st.floats(-20, 60), st.floats(1, 100_000))
def test_temperature_at_rest_approaches_ambient_and_never_passes_it(
    start_c: float, ambient_c: float, dt_s: float
) -> None:
    battery = BatteryModel(temperature_c=start_c)
    battery.step(dt_s, target_w=0.0, ambient_c=ambient_c)
    assert abs(battery.temperature_c - ambient_c) <= abs(start_c - ambient_c)
    battery.step(10_000_000, target_w=0.0, ambient_c=ambient_c)
    assert battery.temperature_c == pytest.approx(ambient_c)


def test_a_working_battery_ends_warmer_than_its_surroundings() -> None:
    battery = BatteryModel(AT_ONCE, soc_pct=20.0)
    battery.step(600, target_w=4000.0, ambient_c=25.0)
    assert battery.temperature_c > 25.0


def test_the_power_response_reaches_ninety_percent_in_about_twenty_seconds() -> None:
    battery = BatteryModel()
    for _ in range(400):
        battery.step(0.05, target_w=1000.0, ambient_c=25.0)
    assert battery.power_w == pytest.approx(905, abs=10)


def test_reversing_does_not_wait_and_takes_about_eleven_seconds() -> None:
    battery = BatteryModel()
    battery.power_w = 1000.0
    for _ in range(226):
        battery.step(0.05, target_w=-1000.0, ambient_c=25.0)
    assert battery.power_w == pytest.approx(-800, abs=10)


def test_a_battery_at_rest_waits_before_its_power_moves_and_again_after_a_rest() -> None:
    battery = BatteryModel()
    for _ in range(2):
        battery.step(8.4, target_w=1000.0, ambient_c=25.0)
        assert battery.power_w == pytest.approx(0.0, abs=0.01)
        battery.step(1.0, target_w=1000.0, ambient_c=25.0)
        assert battery.power_w > 150.0
        battery.step(60.0, target_w=0.0, ambient_c=25.0)
        battery.step(1.0, target_w=0.0, ambient_c=25.0)


def test_what_went_in_and_out_at_the_terminals_is_counted() -> None:
    battery = BatteryModel(AT_ONCE)
    battery.step(3600, target_w=1000.0, ambient_c=25.0)
    battery.step(1800, target_w=-3000.0, ambient_c=25.0)
    assert (battery.charged_wh, battery.discharged_wh) == (1000.0, 1500.0)


def test_the_power_response_does_not_depend_on_the_step_length() -> None:
    fine, coarse = BatteryModel(), BatteryModel()
    for _ in range(100):
        fine.step(0.1, target_w=1000.0, ambient_c=25.0)
    coarse.step(10.0, target_w=1000.0, ambient_c=25.0)
    assert fine.power_w == pytest.approx(coarse.power_w)


def test_a_time_constant_of_zero_follows_at_once() -> None:
    battery = BatteryModel(AT_ONCE)
    battery.step(0.05, target_w=-1234.0, ambient_c=25.0)
    assert battery.power_w == -1234.0


@pytest.mark.parametrize(
    ("soc_pct", "charge_w", "discharge_w"),
    [(50, 5000, 5000), (97.5, 2500, 5000), (100, 0, 5000), (2.5, 5000, 2500), (0, 5000, 0)],
)
def test_limits_fall_near_full_and_near_empty(
    soc_pct: float, charge_w: float, discharge_w: float
) -> None:
    battery = BatteryModel(soc_pct=soc_pct)
    assert battery.max_charge_w == pytest.approx(charge_w)
    assert battery.max_discharge_w == pytest.approx(discharge_w)


@pytest.mark.parametrize(
    ("temperature_c", "charge_w", "discharge_w"),
    [(-10, 0, 0), (0, 0, 5000), (5, 2500, 5000), (45, 5000, 5000), (50, 2500, 2500), (55, 0, 0)],
)
def test_limits_fall_when_cold_and_when_hot(
    temperature_c: float, charge_w: float, discharge_w: float
) -> None:
    battery = BatteryModel(temperature_c=temperature_c)
    assert battery.max_charge_w == pytest.approx(charge_w)
    assert battery.max_discharge_w == pytest.approx(discharge_w)


def test_a_battery_can_be_charged_until_it_is_full() -> None:
    battery = BatteryModel(AT_ONCE, soc_pct=99.0)
    for _ in range(100):
        battery.step(60, target_w=5000.0, ambient_c=25.0)
    assert battery.soc_pct == 100.0
    assert battery.power_w == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("capacity_wh", 0.0), ("charge_efficiency", 1.1), ("response_time_constant_s", -1.0)],
)
def test_constants_without_physical_meaning_are_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        BatterySpec(**{field: value})
