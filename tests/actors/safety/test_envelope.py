"""Whatever is measured, in whatever order, and whatever is asked: what is approved stays in the envelope.

What the envelope is stands here a second time, written without the rules.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import Ruling, Vitals
from actors.safety.config import DeviceLimits, SiteLimits
from actors.safety.guard import Assessment, SafetyGuard, Setpoint, Stop, check_safety
from supervision.clock import NS_PER_S
from tests.actors.safety.measured import DEVICE, OPTIONAL, vitals

LIMITS = DeviceLimits(stale_after_s=1.0, good_cycles=1, grid_delay_s=0, capacity_kwh=10.0)
SITE = SiteLimits(import_max_w=6000.0, export_max_w=3000.0, meters=(DEVICE,))

BASE = settings().max_examples
"""How often the profile in use tries a property: mutation testing tries each a few times only."""

_strange = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.none(),
    st.sampled_from([0, True, "50", b"", (), 6553.5, 2147483647.0, -0.0, 10**400, -(10**400)]),
)
_powers = st.one_of(_strange, st.floats(-6000, 6000), st.integers(-6000, 6000))


def _around(*figures: float) -> st.SearchStrategy[Any]:
    near = st.sampled_from(figures).flatmap(lambda figure: st.floats(figure - 3, figure + 3))
    return st.one_of(near, near, near, near, _strange)


_POINTS: dict[str, st.SearchStrategy[Any]] = {
    "soc_pct": _around(5, 7, 10, 50, 95, 98),
    "soc_high_pct": st.one_of(st.none(), _around(50, 96, 98)),
    "battery_temperature_c": _around(-20, -10, 0, 5, 25, 45, 50, 55),
    "battery_temperature_low_c": st.one_of(st.none(), _around(-20, -10, 0, 25)),
    "battery_power_w": _around(0, 100, -100, 2000),
    "battery_voltage_v": _around(40, 400, 1000),
    "battery_current_a": _around(0, 5, 120, -120),
    "max_charge_w": _around(0, 2500),
    "max_discharge_w": _around(0, 2500),
    "grid_frequency_hz": _around(47.5, 50, 51.5),
    "grid_voltage_v": _around(198, 230, 440),
    "grid_power_w": _around(0, 5700, 6000, -3000),
}


class Step(NamedTuple):
    measured: Vitals
    now_ns: int


@st.composite
def _steps(draw: st.DrawFn) -> list[Step]:
    """Return measurements, mostly in order, of which some points are strange and the others as a healthy battery's."""
    now_ns, seq = 1000 * NS_PER_S, 10
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 6))):
        now_ns += int(draw(st.floats(-0.1, 0.5)) * NS_PER_S)
        seq += draw(st.sampled_from([1, 1, 1, 1, 0, -2]))
        age_s = draw(st.sampled_from([0.0, 0.0, 0.05, 2.0, -1.0]))
        at_ns = now_ns - int(age_s * NS_PER_S)
        drawn = draw(st.sets(st.sampled_from(sorted(_POINTS)), max_size=4))
        fields = HEALTHY | {name: draw(_POINTS[name]) for name in drawn}
        fields["forced"] = draw(st.sampled_from([True, False, None]))
        fields["absent"] = draw(st.sampled_from([(), OPTIONAL, ("soc_pct", "grid_power_w")]))
        fields["grid_mono_ns"] = at_ns - int(draw(st.sampled_from([0, 0, 0.5, 3, -1])) * NS_PER_S)
        measured = vitals(seq, epoch=draw(st.sampled_from([7, 7, 7, 8])), **fields)
        steps.append(Step(msgspec.structs.replace(measured, mono_ns=at_ns), now_ns))
    return steps


HEALTHY: dict[str, Any] = {
    "battery_voltage_v": 400.0,
    "battery_current_a": 0.0,
    "grid_frequency_hz": 50.0,
    "grid_voltage_v": 230.0,
    "grid_power_w": 0.0,
}


def _real(value: object) -> float:
    """Return `value` if it is a finite number, else NaN, which is inside of nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if abs(value) <= 1e300 else math.nan


def _within(measured: Vitals, point: str, low: float, high: float) -> bool:
    """Return whether a point that a device may lack is inside, or truly not there."""
    value = getattr(measured, point)
    return (value is None and point in measured.absent) or low < _real(value) < high


def _may_be(measured: Vitals) -> bool:
    """Return whether the battery may do anything at all."""
    hot, cold = _real(measured.battery_temperature_c), _coldest(measured)
    return (
        0 <= _real(measured.soc_pct) <= 100
        and LIMITS.trip_low_c < cold
        and hot < LIMITS.trip_high_c
        and abs(_real(measured.battery_power_w)) <= 2e6
        and _within(measured, "grid_frequency_hz", 47.5, 51.5)
        and _within(measured, "grid_voltage_v", 198, 440)
        and _within(measured, "battery_voltage_v", -1e-9, 2000.001)
        and _within(measured, "battery_current_a", -5000.001, 5000.001)
    )


def _coldest(measured: Vitals) -> float:
    low = measured.battery_temperature_low_c
    return _real(measured.battery_temperature_c if low is None else low)


def _fullest(measured: Vitals) -> float:
    high = measured.soc_high_pct
    return _real(measured.soc_pct if high is None else high)


def _is_inside(measured: Vitals, power_w: float) -> bool:
    """Say independently of the rules whether `power_w` is inside the envelope."""
    hot, cold = _real(measured.battery_temperature_c), _coldest(measured)
    if not _may_be(measured):
        return False
    if power_w > 0:
        limit_w = min(LIMITS.max_charge_w, _real(measured.max_charge_w))
        return (
            _fullest(measured) < LIMITS.soc_max_pct
            and LIMITS.charge_min_c < cold
            and hot < LIMITS.charge_max_c
            and _within(measured, "battery_voltage_v", -1, LIMITS.battery_max_v)
            and _within(measured, "grid_frequency_hz", LIMITS.frequency_min_hz, 99)
            and power_w <= limit_w
        )
    if power_w < 0:
        limit_w = min(LIMITS.max_discharge_w, _real(measured.max_discharge_w))
        return (
            _real(measured.soc_pct) > LIMITS.soc_min_pct
            and LIMITS.discharge_min_c < cold
            and hot < LIMITS.discharge_max_c
            and _within(measured, "battery_voltage_v", LIMITS.battery_min_v, 2001)
            and _within(measured, "grid_frequency_hz", 1, LIMITS.frequency_max_hz)
            and -power_w <= limit_w
        )
    return False


def _is_lost(measured: Vitals) -> bool:
    """Return whether the grid is told, and told to be where not even 0 W is held."""
    frequency_hz, voltage_v = _real(measured.grid_frequency_hz), _real(measured.grid_voltage_v)
    return 0 <= frequency_hz <= 47.5 or 100 >= frequency_hz >= 51.5 or 0 <= voltage_v <= 198


def _fits_the_site(measured: Vitals, power_w: float) -> bool:
    """Return whether the connection stays inside its limits if the battery alone changes, and to `power_w`."""
    grid_w = _real(measured.grid_power_w) + power_w - _real(measured.battery_power_w)
    if power_w > 0:
        return grid_w <= 6000.0
    return grid_w >= -3000.0 if power_w < 0 else True


def _assess(guard: SafetyGuard, steps: list[Step]) -> Assessment:
    return [guard.observe(step.measured, step.now_ns) for step in steps][-1]


@settings(max_examples=5 * BASE, deadline=None)
@given(steps=_steps(), power_w=_powers, pause_s=st.sampled_from([0.0, 0.5, 0.99, 1.5, 1e6]))
def test_what_is_approved_never_leaves_the_envelope(
    steps: list[Step], power_w: Any, pause_s: float
) -> None:
    measured, now_ns = steps[-1]
    decided_ns = now_ns + int(pause_s * NS_PER_S)
    assessment = _assess(SafetyGuard({DEVICE: LIMITS}), steps)

    verdict = check_safety(Setpoint(DEVICE, power_w), assessment, decided_ns)

    if verdict.ruling in {Ruling.ALLOWED, Ruling.CLAMPED}:
        assert math.isfinite(verdict.power_w)
        assert abs(verdict.power_w) <= abs(power_w)
        assert verdict.power_w * power_w >= 0
        assert _is_inside(measured, verdict.power_w) or (
            verdict.power_w == 0 and not _is_lost(measured)
        )
        assert 0 <= decided_ns - measured.mono_ns <= LIMITS.stale_after_s * NS_PER_S
    else:
        assert verdict.power_w == 0.0


@settings(max_examples=2 * BASE, deadline=None)
@given(steps=_steps(), power_w=_powers)
def test_what_is_approved_never_takes_the_connection_beyond_its_limits(
    steps: list[Step], power_w: Any
) -> None:
    measured, now_ns = steps[-1]
    assessment = _assess(SafetyGuard({DEVICE: LIMITS}, site=SITE), steps)

    verdict = check_safety(Setpoint(DEVICE, power_w), assessment, now_ns)

    if verdict.power_w:
        assert _is_inside(measured, verdict.power_w)
        assert _fits_the_site(measured, verdict.power_w)


@settings(max_examples=BASE, deadline=None)
@given(steps=_steps(), now_ns=st.integers(-(10**20), 10**20))
def test_a_stop_is_always_allowed(steps: list[Step], now_ns: int) -> None:
    guard = SafetyGuard({DEVICE: LIMITS}, site=SITE)
    for assessment in (guard.evaluate(DEVICE, 0), _assess(guard, steps)):
        verdict = check_safety(Stop(DEVICE), assessment, now_ns)
        assert (verdict.ruling, verdict.power_w, verdict.rule) == (Ruling.ALLOWED, 0.0, "stop")


@settings(max_examples=BASE, deadline=None)
@given(steps=_steps(), later=st.floats(0, 10))
def test_evaluating_again_later_never_opens_what_a_measurement_closed(
    steps: list[Step], later: float
) -> None:
    guard = SafetyGuard({DEVICE: LIMITS})
    seen = _assess(guard, steps)

    again = guard.evaluate(DEVICE, steps[-1].now_ns + int(later * NS_PER_S))

    assert seen.may_charge or not again.may_charge
    assert seen.may_discharge or not again.may_discharge


@settings(max_examples=BASE // 2, deadline=None)
@given(steps=_steps())
def test_a_battery_that_is_healthy_again_is_open_unless_it_has_tripped(steps: list[Step]) -> None:
    guard = SafetyGuard({DEVICE: LIMITS})
    tripped = False
    for measured, now_ns in steps:
        tripped |= guard.observe(measured, now_ns).state.value == "tripped"
    for second in range(2000, 2400):
        at_ns = second * NS_PER_S
        guard.observe(
            vitals(second, at_s=second, epoch=8, **HEALTHY, absent=(), grid_mono_ns=at_ns), at_ns
        )

    healthy = guard.evaluate(DEVICE, 2399 * NS_PER_S)
    assert healthy.may_charge is healthy.may_discharge is not tripped
