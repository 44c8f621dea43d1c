"""What one evaluation of all rules costs: a measurement taken in and judged, and a set-point checked against it.

It is the time that the thread spends, not what it waits for a processor: that is the business of the breach suite.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from actors.messages import Vitals
from actors.safety.config import DeviceLimits, SiteLimits
from actors.safety.guard import Assessment, SafetyGuard, Setpoint, check_safety
from benchmarks.figures import Figure, figure
from supervision.clock import NS_PER_S

SAMPLES = 20_000
LIMIT_US = 30.0
CALLS = 100
"""A run is so many calls: a single one measures the clock and the caches that other processes have emptied."""
PERIOD_NS = NS_PER_S // 10


def run() -> list[Figure]:
    """Measure; about two seconds."""
    healthy, last = _observed(_guard(), {})
    assert last.state.value == "normal"
    assert last.holdings == ()
    lowered, low = _observed(_guard(), {"soc_pct": 6.0, "soc_high_pct": 97.5})
    assert {holding.rule for holding in low.holdings} >= {"soc_min", "soc_max"}
    blind = {"soc_pct": None, "battery_temperature_c": float("nan"), "grid_frequency_hz": None}
    faulty, _ = _observed(_guard(), blind)
    return [
        figure("every rule for one measurement, nothing holds", "us", healthy, p99_limit=LIMIT_US),
        figure("the same, two rules hold", "us", lowered, p99_limit=LIMIT_US),
        figure("the same, three values cannot be trusted", "us", faulty, p99_limit=LIMIT_US),
        figure("one set-point checked", "us", _checked(last)),
    ]


def _guard() -> SafetyGuard:
    site = SiteLimits(import_max_w=20_000.0, export_max_w=20_000.0, meters=("b1",))
    return SafetyGuard({"b1": DeviceLimits(capacity_kwh=10.0)}, site=site)


def _observed(guard: SafetyGuard, changes: dict[str, Any]) -> tuple[list[float], Assessment]:
    """Return what a measurement cost in microseconds, run by run, and what was made of the last."""
    measured = [_vitals(number, changes) for number in range(1, SAMPLES + 1)]
    spent: list[float] = []
    last = guard.evaluate("b1", 0)
    gc.collect()
    for begin in range(0, SAMPLES, CALLS):
        begin_ns = time.thread_time_ns()
        for vitals in measured[begin : begin + CALLS]:
            last = guard.observe(vitals, vitals.mono_ns)
        spent.append((time.thread_time_ns() - begin_ns) / CALLS / 1000)
    return spent, last


def _vitals(number: int, changes: dict[str, Any]) -> Vitals:
    """Return what a battery at 2 kW tells that has everything: two units, voltage, current, grid and meter."""
    at_ns = number * PERIOD_NS
    fields: dict[str, Any] = {
        "soc_pct": 50.0 + number * 5e-4,
        "soc_high_pct": 52.0 + number * 5e-4,
        "battery_temperature_c": 26.0,
        "battery_temperature_low_c": 25.0,
        "battery_power_w": 2000.0 + number % 7,
        "battery_voltage_v": 400.0,
        "battery_current_a": 5.0,
        "max_charge_w": 5000.0,
        "max_discharge_w": 5000.0,
        "grid_frequency_hz": 50.0,
        "grid_voltage_v": 400.0,
        "grid_power_w": 3000.0,
        "forced": True,
    }
    return Vitals(
        device_id="b1",
        seq=number,
        epoch=1,
        wall_ns=0,
        mono_ns=at_ns,
        grid_mono_ns=at_ns,
        **(fields | changes),
    )


def _checked(state: Assessment) -> list[float]:
    command, now_ns = Setpoint("b1", 9000.0), state.valid_until_ns
    spent: list[float] = []
    for _ in range(SAMPLES // CALLS):
        begin_ns = time.thread_time_ns()
        for _ in range(CALLS):
            check_safety(command, state, now_ns)
        spent.append((time.thread_time_ns() - begin_ns) / CALLS / 1000)
    return spent
