"""A guard that is fed the measurements of one battery, with everything that a device can tell."""

from __future__ import annotations

from typing import Any

from actors.safety.config import DeviceLimits, SiteLimits
from actors.safety.guard import Assessment, SafetyGuard, Setpoint, Verdict
from supervision.clock import NS_PER_S
from tests.actors.safety.measured import DEVICE, vitals

VOLTAGE_V = 400.0


class Guarded:
    """Time passes with every measurement; power is voltage x current unless said otherwise."""

    def __init__(self, *, site: SiteLimits | None = None, devices: int = 1, **limits: Any) -> None:
        named = [DEVICE, *(f"other-{number}" for number in range(1, devices))]
        of = DeviceLimits(**({"good_cycles": 1} | limits))
        self.guard = SafetyGuard(dict.fromkeys(named, of), site=site)
        self.seq = 0
        self.now_ns = 1000 * NS_PER_S

    def measure(self, seconds: float = 1.0, /, **changes: Any) -> Assessment:
        self.seq += 1
        self.now_ns += int(seconds * NS_PER_S)
        power_w = changes.get("battery_power_w") or 0.0
        voltage_v = changes.get("battery_voltage_v", VOLTAGE_V)
        fields: dict[str, Any] = {
            "seq": self.seq,
            "mono_ns": self.now_ns,
            "battery_voltage_v": voltage_v,
            "battery_current_a": power_w / voltage_v if voltage_v else 0.0,
            "grid_frequency_hz": 50.0,
            "grid_voltage_v": 230.0,
            "grid_mono_ns": self.now_ns,
            "absent": (),
        }
        return self.guard.observe(vitals(**(fields | changes)), self.now_ns)

    def hold(self, seconds: float, **changes: Any) -> Assessment:
        """Measure the same once a second for `seconds`."""
        return [self.measure(**changes) for _ in range(int(seconds))][-1]

    def check(self, power_w: Any, assessment: Assessment) -> Verdict:
        return self.guard.check_safety(Setpoint(DEVICE, power_w), assessment, self.now_ns)


def rules_of(assessment: Assessment) -> set[str]:
    return {holding.rule for holding in assessment.holdings}
