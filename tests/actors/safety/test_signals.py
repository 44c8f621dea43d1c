from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.safety.config import DeviceLimits
from actors.safety.signals import (
    Heating,
    Signals,
    SocLedger,
    Unchanged,
    power_disagreement_pct,
)
from supervision.clock import NS_PER_S

LIMITS = DeviceLimits()


def heated(*readings: tuple[float, float]) -> list[float]:
    """Return the rise after each reading of (second, temperature)."""
    heating = Heating()
    return [heating.note(temperature, int(s * NS_PER_S)) for s, temperature in readings]


def test_the_rise_is_counted_from_the_coldest_of_the_last_minute() -> None:
    assert heated((0, 25), (20, 24), (40, 26.5), (61, 27), (86, 27), (106, 27)) == [
        0,
        0,
        2.5,
        3,
        3 - 2.5,
        0,
    ]


def test_the_window_and_its_buckets_end_to_the_second() -> None:
    assert heated((4, 20), (64, 23), (65, 24)) == [0, 3, 1]
    assert heated((4, 20), (5, 30), (10, 31)) == [0, 10, 11]


def test_a_battery_that_cools_does_not_rise() -> None:
    assert heated((0, 30), (10, 25), (20, 20)) == [0, 0, 0]


def test_one_reading_that_is_too_cold_makes_no_rise() -> None:
    readings = [(second, 15.0 if second == 32 else 25.0) for second in range(60)]

    assert max(heated(*readings)) == 0


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 12), st.floats(0.1, 3))
def test_a_steady_rise_is_found_within_the_buckets(k_per_min: float, poll_s: float) -> None:
    count = int(90 / poll_s)
    rises = heated(*((n * poll_s, 20 + k_per_min * n * poll_s / 60) for n in range(count)))

    assert rises[-1] == pytest.approx(k_per_min, abs=k_per_min * (5 + poll_s) / 60 + 1e-6)


@pytest.mark.parametrize(
    ("power_w", "voltage_v", "current_a", "expected"),
    [
        (2000, 400, 5, 0),
        (2299, 400, 5, 0),
        (2300, 400, 5, 100 * 300 / 2300),
        (0, 400, 1, 100),
        (-2000, 400, 5, 200),
        (1000, 400, -1, 140),
    ],
)
def test_power_and_the_product_are_compared_by_the_larger(
    power_w: float, voltage_v: float, current_a: float, expected: float
) -> None:
    values = {
        "battery_power_w": power_w,
        "battery_voltage_v": voltage_v,
        "battery_current_a": current_a,
    }

    assert power_disagreement_pct(values, LIMITS) == pytest.approx(expected)
    for lacking in values:
        rest = {name: value for name, value in values.items() if name != lacking}
        assert power_disagreement_pct(rest, LIMITS) is None


def test_only_time_in_which_power_flows_and_was_watched_counts_as_unchanged() -> None:
    unchanged = Unchanged(LIMITS)
    still = {"battery_power_w": -2500.0, "soc_pct": 50.0}

    counted = [unchanged.note(still, dt_s) for dt_s in (1, 2, 15, 15.1, 3)]
    changed = unchanged.note(still | {"soc_pct": 50.1}, 1)
    rest = {"battery_power_w": 99.0}

    assert counted == [0, 1, 8.5, 8.5, 10]
    assert changed == 0
    assert [unchanged.note(rest, 9) for _ in range(3)] == [0, 0, 0]
    assert [unchanged.note({"battery_power_w": 100.0}, 5) for _ in range(2)] == [0, 0.1]


class Ledger:
    """An SOC ledger that is told something every ten seconds."""

    def __init__(self, **limits: float) -> None:
        self.ledger = SocLedger(DeviceLimits(**limits))  # type: ignore[arg-type]
        self.now_ns = 0

    def note(self, soc_pct: float, power_w: float, seconds: float = 10.0) -> float:
        self.now_ns += int(seconds * NS_PER_S)
        return self.ledger.note(soc_pct, power_w, self.now_ns)


def test_without_a_capacity_only_soc_that_moves_against_the_energy_is_off() -> None:
    charging, discharging = Ledger(), Ledger()
    for _ in range(10):
        charging.note(50, 5000)
        discharging.note(50, -5000)

    assert charging.note(90, 5000) == 0
    assert charging.note(44, 5000) == 6
    assert discharging.note(10, -5000) == 0
    assert discharging.note(56, -5000) == 6


def test_too_little_energy_says_nothing_of_the_direction() -> None:
    ledger = Ledger()
    ledger.note(50, 5000)

    off = [ledger.note(40, 5000) for _ in range(8)]

    assert off == [0, 0, 0, 0, 0, 0, 0, 10]


def test_with_a_capacity_soc_must_move_as_far_as_the_energy_allows() -> None:
    # 5 kW for 720 s are 1 kWh of 10: between 5 and 20 %.
    for soc_pct, off_pct in ((50, 5), (53, 2), (55, 0), (70, 0), (72, 2)):
        ledger = Ledger(capacity_kwh=10)
        for _ in range(72):
            ledger.note(50, 5000)
        assert ledger.note(soc_pct, 5000) == pytest.approx(off_pct)


def test_with_a_capacity_soc_that_jumps_at_rest_is_off() -> None:
    ledger = Ledger(capacity_kwh=10)
    ledger.note(50, 0)

    assert ledger.note(58, 0) == 8
    assert ledger.note(44, 0) == 6


def test_power_that_changes_counts_with_its_mean() -> None:
    ledger = Ledger(capacity_kwh=10, soc_disagreement_pct=20)
    ledger.note(50, 0)

    # 2500 W for 10 s on average are 6.94 Wh: at most 0.139 %.
    assert ledger.note(51, 5000) == pytest.approx(1 - 0.1389, abs=1e-3)


def test_each_power_counts_until_the_next_one() -> None:
    ledger = Ledger(capacity_kwh=10, soc_disagreement_pct=20)
    for power_w in (0, 5000, 5000):
        off_pct = ledger.note(51 if power_w else 50, power_w)

    # Half and whole 5 kW for 10 s each: 20.8 Wh, at most 0.417 %.
    assert off_pct == pytest.approx(1 - 0.4167, abs=1e-3)


def test_just_enough_energy_says_something_and_just_too_far_is_off() -> None:
    ledger = Ledger(max_charge_w=3600.0, max_discharge_w=3600.0)
    ledger.note(50, 3600)
    off = [ledger.note(45, 3600) for _ in range(8)]  # 72 Wh, after 7.2 of these 10 s
    assert off == [0, 0, 0, 0, 0, 0, 0, 5]
    ledger = Ledger(max_charge_w=1000.0, max_discharge_w=1000.0)
    ledger.note(50, 720)
    off = [ledger.note(45, 720) for _ in range(10)]  # 20 Wh after exactly ten
    assert off == [0] * 9 + [5]


def test_a_pause_of_just_the_longest_gap_is_none() -> None:
    ledger = Ledger()
    for _ in range(10):
        ledger.note(50, 5000)
    assert ledger.note(40, 5000, seconds=15.0) == 10


def test_the_first_measurement_has_no_past() -> None:
    values = {"battery_power_w": 5000.0, "soc_pct": 50.0}
    signals = Signals(LIMITS)
    signals.add(values, forced=True, mono_ns=10**12)
    again = {"battery_power_w": 5000.0, "soc_pct": 50.0}
    signals.add(again, forced=True, mono_ns=10**12 + NS_PER_S)
    assert (values["unchanged_s"], again["unchanged_s"]) == (0.0, 1.0)


def test_after_a_gap_and_after_enough_energy_the_ledger_begins_anew() -> None:
    ledger = Ledger()
    for _ in range(10):
        ledger.note(50, 5000)

    assert ledger.note(20, 5000, seconds=15.1) == 0
    assert [ledger.note(20, 5000) for _ in range(181)][-1] == 0
    assert ledger.note(10, 5000) == 0  # begun anew at 20 after 2.5 kWh


def test_soc_that_stays_off_is_where_the_ledger_begins_anew_after_ten_seconds() -> None:
    ledger = Ledger()
    for _ in range(10):
        ledger.note(50, 5000)

    off = [ledger.note(40, 5000, seconds=5) for _ in range(4)]
    spike = [ledger.note(40, 5000) for _ in range(8)]

    assert off == [10, 10, 10, 0]
    assert spike == [0] * 8


def test_soc_that_is_off_now_and_then_is_not_adopted() -> None:
    ledger = Ledger()
    for _ in range(10):
        ledger.note(50, 5000)

    assert [ledger.note(soc, 5000) for soc in (40, 50, 40, 50, 40)] == [10, 0, 10, 0, 10]


def test_forced_power_and_currents_are_told_by_direction() -> None:
    def signals(*, forced: bool | None) -> dict[str, float]:
        values = {"battery_power_w": -3000.0, "battery_current_a": -7.5}
        Signals(LIMITS).add(values, forced=forced, mono_ns=1)
        return values

    assert signals(forced=True)["forced_discharge_w"] == 3000
    assert signals(forced=None)["forced_charge_w"] == -3000
    assert signals(forced=False)["forced_discharge_w"] == 0
    assert signals(forced=False)["forced_charge_w"] == 0
    assert signals(forced=True)["charge_current_a"] == -7.5
    assert signals(forced=True)["discharge_current_a"] == 7.5


def test_what_a_value_is_missing_for_is_not_told() -> None:
    values: dict[str, float] = {"soc_pct": 50.0}
    Signals(LIMITS).add(values, forced=True, mono_ns=1)

    assert values == {"soc_pct": 50.0}
