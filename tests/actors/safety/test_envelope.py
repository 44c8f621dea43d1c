"""Whatever is measured and whatever is asked, what is approved stays in the envelope."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Ruling, Vitals
from actors.safety.config import DeviceLimits
from actors.safety.guard import SafetyGuard, Setpoint
from supervision.clock import NS_PER_S
from tests.actors.safety.measured import DEVICE, vitals

LIMITS = DeviceLimits(stale_after_s=1.0, good_cycles=1)

_numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.none(),
    st.sampled_from([0, True, "50", 6553.5, 2147483647.0, -0.0]),
)
_powers = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(-6000, 6000))


def _around(*figures: float) -> st.SearchStrategy[Any]:
    near = st.sampled_from(figures).flatmap(lambda figure: st.floats(figure - 3, figure + 3))
    return st.one_of(near, near, _numbers)


@st.composite
def _steps(draw: st.DrawFn) -> list[tuple[Vitals, int]]:
    """Return measurements, mostly in order, each with the time at which it arrives."""
    now_ns, seq = 1000 * NS_PER_S, 10
    steps: list[tuple[Vitals, int]] = []
    for _ in range(draw(st.integers(1, 6))):
        now_ns += int(draw(st.floats(-0.1, 0.5)) * NS_PER_S)
        seq += draw(st.sampled_from([1, 1, 1, 1, 0, -2]))
        age_s = draw(st.sampled_from([0.0, 0.0, 0.05, 2.0, -1.0]))
        measured = vitals(
            seq,
            soc_pct=draw(_around(5, 7, 50, 96, 98)),
            battery_temperature_c=draw(_around(-20, -10, 0, 5, 25, 45, 50, 55)),
            battery_power_w=draw(_around(0, 100, -100)),
            max_charge_w=draw(_around(0, 2500)),
            max_discharge_w=draw(_around(0, 2500)),
        )
        at_ns = now_ns - int(age_s * NS_PER_S)
        steps.append((msgspec.structs.replace(measured, mono_ns=at_ns), now_ns))
    return steps


def _real(value: object) -> float:
    """Return `value` if it is a finite number, else one that is outside every limit."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else math.nan  # type: ignore[arg-type]


def _is_inside(measured: Vitals, power_w: float) -> bool:
    """Say independently of the rules whether `power_w` is inside the envelope; NaN never is."""
    soc, temperature = _real(measured.soc_pct), _real(measured.battery_temperature_c)
    if not (0 <= soc <= 100 and LIMITS.trip_low_c < temperature < LIMITS.trip_high_c):
        return False
    if not abs(_real(measured.battery_power_w)) <= 2e6:
        return False
    if power_w > 0:
        window = LIMITS.charge_min_c < temperature < LIMITS.charge_max_c
        limit_w = min(LIMITS.max_charge_w, _real(measured.max_charge_w))
        return soc < LIMITS.soc_max_pct and window and power_w <= limit_w
    if power_w < 0:
        window = LIMITS.discharge_min_c < temperature < LIMITS.discharge_max_c
        limit_w = min(LIMITS.max_discharge_w, _real(measured.max_discharge_w))
        return soc > LIMITS.soc_min_pct and window and -power_w <= limit_w
    return True


@settings(max_examples=400, deadline=None)
@given(steps=_steps(), power_w=_powers, pause_s=st.sampled_from([0.0, 0.5, 0.99, 1.5, 1e6]))
def test_what_is_approved_never_leaves_the_envelope(
    steps: list[tuple[Vitals, int]], power_w: float, pause_s: float
) -> None:
    guard = SafetyGuard({DEVICE: LIMITS})
    assessment = [guard.observe(measured, now_ns) for measured, now_ns in steps][-1]
    measured, now_ns = steps[-1]
    decided_ns = now_ns + int(pause_s * NS_PER_S)

    verdict = guard.check_safety(Setpoint(DEVICE, power_w), assessment, decided_ns)

    if verdict.ruling in {Ruling.ALLOWED, Ruling.CLAMPED}:
        assert math.isfinite(verdict.power_w)
        assert abs(verdict.power_w) <= abs(power_w)
        assert verdict.power_w * power_w >= 0
        assert _is_inside(measured, verdict.power_w)
        assert 0 <= decided_ns - measured.mono_ns <= LIMITS.stale_after_s * NS_PER_S
    else:
        assert verdict.power_w == 0.0


@settings(max_examples=200, deadline=None)
@given(steps=_steps(), later=st.floats(0, 10))
def test_evaluating_again_later_never_opens_what_a_measurement_closed(
    steps: list[tuple[Vitals, int]], later: float
) -> None:
    guard = SafetyGuard({DEVICE: LIMITS})
    seen = [guard.observe(measured, now_ns) for measured, now_ns in steps][-1]

    again = guard.evaluate(DEVICE, steps[-1][1] + int(later * NS_PER_S))

    assert seen.may_charge or not again.may_charge
    assert seen.may_discharge or not again.may_discharge


@settings(max_examples=200, deadline=None)
@given(steps=_steps())
def test_a_battery_that_is_healthy_again_is_open_unless_it_has_tripped(
    steps: list[tuple[Vitals, int]],
) -> None:
    guard = SafetyGuard({DEVICE: LIMITS})
    tripped = False
    for measured, now_ns in steps:
        tripped |= guard.observe(measured, now_ns).state.value == "tripped"
    later_ns = 2000 * NS_PER_S

    healthy = guard.observe(vitals(100, at_s=2000.0), later_ns)

    assert healthy.may_charge is healthy.may_discharge is not tripped
