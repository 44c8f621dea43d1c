"""The checks for a LUNA2000 let a true battery be, and find each kind of fault within a stated number of polls."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessai.simulator.physics import BatterySpec
from tests.actors.inverter.read_battery import Judged, ReadBattery, Values

DOCUMENT = (Path(__file__).parents[3] / "docs" / "plausibility.md").read_text(encoding="utf-8")

POLLS = st.lists(
    st.tuples(
        st.floats(-5000, 5000),
        st.sampled_from([0.1, 0.5, 1.0, 1.3, 5.0]),
        st.integers(1, 30),
        st.sampled_from(
            [(), ("battery_power_w",), ("battery_current_a", "battery_voltage_v"), ("soc_pct",)]
        ),
    ),
    min_size=1,
    max_size=12,
)
"""Power wanted, time between polls, how many of them, and which registers are late."""


@settings(max_examples=60, deadline=None)
@given(POLLS, st.floats(0, 100), st.sampled_from([5_000.0, 15_000.0, 21_000.0]))
def test_a_true_battery_is_never_suspected(
    polls: list[tuple[float, float, int, tuple[str, ...]]], soc_pct: float, capacity_wh: float
) -> None:
    device, judged = ReadBattery(BatterySpec(capacity_wh=capacity_wh), soc_pct=soc_pct), Judged()
    for target_w, dt_s, times, late in polls:
        for _ in range(times):
            device.step(dt_s, target_w)
            assert judged.check(device.values_with_late(*late), device.now_s) == {}


@settings(max_examples=4, deadline=None)
@given(st.floats(200, 5000), st.sampled_from([0.6, 1.0]), st.integers(0, 1))
def test_hours_of_charging_and_discharging_an_old_battery_raise_no_suspicion(
    power_w: float, health: float, digits: int
) -> None:
    device, judged = ReadBattery(BatterySpec(capacity_wh=15_000.0 * health)), Judged()
    noise = random.Random(1)
    for minute in range(150):
        sign = 1 if (minute // 60) % 2 else -1
        device.step(5.0, sign * power_w)
        for _ in range(11):
            device.step(5.0, sign * power_w)
            shown = device.values() | {"rated_capacity_wh": 15_000.0}
            shown["soc_pct"] = round(device.battery.soc_pct, digits)
            shown["battery_power_w"] = round(device.battery.power_w) + noise.randint(-4, 4)
            assert judged.check(shown, device.now_s) == {}


Fault = Callable[[Values, float], Values]
"""What becomes of the values, so many seconds after the fault began."""


def changed(name: str, change: Callable[[float, float], float]) -> Fault:
    """Return the fault that makes of `name` something else, from its value and the age of the fault in seconds."""

    def apply(values: Values, age_s: float) -> Values:
        value = values[name]
        assert value is not None
        return values | {name: change(value, age_s)}

    return apply


def stuck(*names: str) -> Fault:
    """Return the fault that shows the first values of `names` for ever."""
    kept: Values = {}

    def apply(values: Values, _: float) -> Values:
        for name in names:
            kept.setdefault(name, values[name])
        return values | kept

    return apply


def spike(name: str, by: float) -> Fault:
    """Return the fault that shows `by` more for a single poll."""
    return changed(name, lambda value, age_s: value + by if age_s == 0.0 else value)


def scaled(name: str, factor: float) -> Fault:
    """Return the fault of a wrong factor; -1 is a wrong sign."""
    return changed(name, lambda value, _: value * factor)


def offset(name: str, by: float) -> Fault:
    """Return the fault that adds `by` from now on."""
    return changed(name, lambda value, _: value + by)


def drift(name: str, per_s: float) -> Fault:
    """Return the fault that adds `per_s` more each second."""
    return changed(name, lambda value, age_s: value + per_s * age_s)


def both(first: Fault, second: Fault) -> Fault:
    """Return two faults at once."""
    return lambda values, age_s: second(first(values, age_s), age_s)


SOC, HEAT, POWER = "soc_pct", "battery_temperature_c", "battery_power_w"
VOLT, CURRENT = "battery_voltage_v", "battery_current_a"
MIRRORED = changed(SOC, lambda value, _: 100.0 - value)
REVERSED = both(scaled(POWER, -1), scaled(CURRENT, -1))


class Case(NamedTuple):
    """One row of the table in docs/plausibility.md: at 3 kW, polled once a second, unless it says otherwise."""

    name: str
    fault: Fault
    marked: str
    within_polls: int
    power_w: float = 3000.0
    power_after_w: float | None = None


CASES = (
    Case("SOC spikes by 20 % for one poll", spike(SOC, 20), SOC, 1),
    Case("SOC spoofed: 30 % more from now on", offset(SOC, 30), SOC, 1),
    Case("SOC scaled by 0.1", scaled(SOC, 0.1), SOC, 1),
    Case("SOC is NaN", changed(SOC, lambda _value, _age_s: math.nan), SOC, 1),
    Case("SOC stuck, 5 kW", stuck(SOC), SOC, 280, 5000.0),
    Case("SOC stuck, 1 kW", stuck(SOC), SOC, 1650, 1000.0),
    Case("SOC mirrored (100 % - SOC), 5 kW", MIRRORED, SOC, 70, 5000.0),
    Case("SOC drifts by 1 % a minute", drift(SOC, -1 / 60), SOC, 130),
    Case("SOC drifts by 10 % an hour, at rest", drift(SOC, -10 / 3600), SOC, 810, 0.0),
    Case("temperature spikes by 30 K for one poll", spike(HEAT, 30), HEAT, 1),
    Case("temperature scaled by 10", scaled(HEAT, 10), HEAT, 1),
    Case("temperature sign-flipped", scaled(HEAT, -1), HEAT, 1),
    Case("temperature drifts by 1 K a second", drift(HEAT, -1), HEAT, 6),
    Case("power spikes by 9 kW for one poll", spike(POWER, 9000), POWER, 1),
    Case("power sign-flipped", scaled(POWER, -1), POWER, 1),
    Case("power scaled by 10", scaled(POWER, 10), POWER, 1),
    Case("power scaled by 1.2", scaled(POWER, 1.2), POWER, 3),
    Case("power scaled by 0.1", scaled(POWER, 0.1), POWER, 2),
    Case("power drifts by 50 W a second", drift(POWER, 50), POWER, 9),
    Case("power stuck while the battery stops", stuck(POWER), POWER, 4, 3000.0, 0.0),
    Case("current sign-flipped", scaled(CURRENT, -1), CURRENT, 1),
    Case("current stuck while the battery stops", stuck(CURRENT), CURRENT, 4, 3000.0, 0.0),
    Case("voltage spikes by 200 V for one poll", spike(VOLT, 200), VOLT, 1),
    Case("voltage drifts by 1 V a second", drift(VOLT, 1), VOLT, 80),
    Case(
        "the whole battery frozen, 2.3 kW", stuck(SOC, HEAT, POWER, VOLT, CURRENT), SOC, 41, 2300.0
    ),
    Case("power and current sign-flipped together", REVERSED, SOC, 210),
    Case("the same, told by the inverter's balance", REVERSED, "pv_power_w", 16),
    Case("PV power scaled by 2", scaled("pv_power_w", 2), "pv_power_w", 16),
    Case("a daily counter falls by 1 kWh", offset("charged_today_kwh", -1), "charged_today_kwh", 1),
    Case("a total counter leaps by 1 MWh", offset("exported_kwh", 1000), "exported_kwh", 1),
)


def polls_until_found(case: Case) -> int:
    """Return how many polls showed the fault, up to the one in which it was found."""
    # The document speaks of a battery at work: one at rest has nothing to show before it starts.
    at_work = BatterySpec(start_delay_s=0.0, response_time_constant_s=8.5)
    device, judged = ReadBattery(at_work, pv_w=6000.0), Judged()
    device.plant.counters.charged_wh = 4_000.0
    noise = random.Random(1)

    def poll(power_w: float) -> Values:
        device.step(1.0, power_w)
        return device.values() | {
            "battery_power_w": round(device.battery.power_w) + noise.randint(-3, 3)
        }

    for _ in range(60):
        assert judged.check(poll(case.power_w), device.now_s) == {}
    for polls in range(1, case.within_polls + 1):
        true = poll(case.power_w if case.power_after_w is None else case.power_after_w)
        spoilt = case.fault(true, polls - 1.0)
        if case.marked in judged.check(spoilt, device.now_s):
            return polls
    pytest.fail(f"{case.marked} was not found within {case.within_polls} polls")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_is_found_within_the_polls_that_the_document_states(case: Case) -> None:
    assert polls_until_found(case) <= case.within_polls
    assert f"| {case.name} | `{case.marked}` | {case.within_polls} |" in DOCUMENT
