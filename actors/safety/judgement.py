"""Whether a command is allowed to a device in its present state: pure, and the last word on every set-point."""

from __future__ import annotations

import math

from actors.messages import BatteryPowerW, Ruling, SafetyState
from actors.safety.assessment import Assessment, PowerBound, Setpoint, Stop, Verdict
from supervision.clock import NS_PER_S

MAX_POWER_W = 1e9
"""Larger is no power but a mistake. Project's choice: beyond any site."""


def check_safety(command: Setpoint | Stop, state: Assessment, now_ns: int) -> Verdict:
    """Allow, clamp or deny `command` for a device in `state` at `now_ns`. A stop is always allowed."""
    if isinstance(command, Stop):
        return Verdict(ruling=Ruling.ALLOWED, rule="stop")
    power_w = command.power_w
    return _refusal(command, state, now_ns) or _clamped(power_w, state)


def _refusal(command: Setpoint, state: Assessment, now_ns: int) -> Verdict | None:
    power_w = command.power_w
    if not _is_power(power_w):
        return _no_power(power_w)
    if command.device_id != state.device_id:
        return _denied("device", power_w, 0.0, f"assessed was {state.device_id}")
    if state.state in {SafetyState.STARTING, SafetyState.TRIPPED}:
        return _denied(state.state.value, power_w, 0.0, "; ".join(state.rules))
    if now_ns > state.valid_until_ns:
        age_s = (now_ns - state.valid_until_ns) / NS_PER_S
        return _denied("stale", age_s, 0.0, f"the assessment ended {age_s:.1f} s ago")
    closing = state.closing(power_w) or state.stopping()
    if closing is not None:
        return _denied(closing.rule, power_w, 0.0, closing.figures)
    return None


def _clamped(power_w: BatteryPowerW, state: Assessment) -> Verdict:
    """Return what is possible of `power_w` in a direction that is open."""
    bound = state.charge if power_w > 0 else state.discharge
    ramped_w = state.step_w
    if power_w * state.setpoint_w > 0:
        ramped_w += abs(state.setpoint_w)
    if ramped_w < bound.limit_w:
        bound = PowerBound(ramped_w, "ramp")
    if abs(power_w) <= bound.limit_w:
        return Verdict(ruling=Ruling.ALLOWED, power_w=power_w, value=power_w, limit=bound.limit_w)
    return Verdict(
        ruling=Ruling.CLAMPED,
        power_w=math.copysign(bound.limit_w, power_w),
        rule=bound.rule,
        value=power_w,
        limit=bound.limit_w,
        detail=f"{power_w:g} W asked, {bound.limit_w:g} W possible",
    )


def _is_power(power_w: object) -> bool:
    """Return whether something is a number that can be a power; NaN is in no range, and a truth is no number."""
    return type(power_w) in {float, int} and -MAX_POWER_W <= power_w <= MAX_POWER_W  # type: ignore[operator]


def _no_power(power_w: object) -> Verdict:
    """Deny what is no power, without stumbling over it."""
    if isinstance(power_w, float):
        return _denied("power_finite", power_w, MAX_POWER_W, f"{power_w} W is not a power")
    what = f"a power beyond {MAX_POWER_W:g} W" if type(power_w) is int else type(power_w).__name__
    return _denied("power_finite", 0.0, MAX_POWER_W, f"{what} is not a power")


def _denied(rule: str, value: float, limit: float, detail: str) -> Verdict:
    return Verdict(ruling=Ruling.DENIED, rule=rule, value=value, limit=limit, detail=detail)
