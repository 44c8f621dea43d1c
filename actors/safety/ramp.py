"""How fast set-points may move away from 0, and how one that has ended is led there: pure.

Towards 0 a set-point may move at once, and so does every stop.
"""

from __future__ import annotations

import math

from actors.messages import BatteryPowerW
from actors.safety.config import DeviceLimits
from supervision.clock import NS_PER_S

CREDIT_S = 5.0
"""A set-point that rested may take the step of so many seconds at once. Project's choice: a default lease."""
_MINUTE_PCT = 6000.0
"""60 s of 100 %: turns percent a minute into a share a second."""


class Ramp:
    """The set-point of one device, and the step that it may take: what it did not use of its rate, up to a limit."""

    def __init__(self, limits: DeviceLimits) -> None:
        """Begin at 0, rested."""
        self._w_per_s = limits.full_w * limits.ramp_pct_per_min / _MINUTE_PCT
        self._credit_w = self._w_per_s * CREDIT_S
        self._now_ns = 0
        self.power_w: BatteryPowerW = 0.0
        """What was approved last."""

    def step_w(self, now_ns: int) -> float:
        """Return by how much the set-point may rise now, in watts."""
        passed_s = max(now_ns - self._now_ns, 0) / NS_PER_S
        self._now_ns = max(now_ns, self._now_ns)
        self._credit_w = min(self._credit_w + passed_s * self._w_per_s, self._w_per_s * CREDIT_S)
        return self._credit_w

    def approve(self, power_w: BatteryPowerW, now_ns: int) -> None:
        """Note that `power_w` was approved."""
        used_w = abs(power_w) - (abs(self.power_w) if power_w * self.power_w > 0 else 0.0)
        self._credit_w = max(self.step_w(now_ns) - max(used_w, 0.0), 0.0)
        self.power_w = power_w


class Descent:
    """How the power of a set-point that has ended is led to 0: a step every second, so that the grid is not shaken."""

    def __init__(self, limits: DeviceLimits) -> None:
        """Take full power to 0 within `ramp_down_s`, and less sooner."""
        self._step_w = limits.full_w / limits.ramp_down_s if limits.ramp_down_s else math.inf

    def lasts_ns(self, power_w: BatteryPowerW) -> int:
        """Return how long the way from `power_w` takes; the first step is its beginning, and the last one its end."""
        return max(math.ceil(abs(power_w) / self._step_w) - 1, 0) * NS_PER_S

    def power_w(self, power_w: BatteryPowerW, past_ns: int) -> BatteryPowerW:
        """Return what is left of `power_w` so long after the end of its set-point."""
        left_w = abs(power_w) - self._step_w * (past_ns // NS_PER_S + 1)
        return math.copysign(max(left_w, 0.0), power_w)
