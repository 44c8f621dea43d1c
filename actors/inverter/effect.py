"""Whether the battery does what was written and read back: pure, times are passed in.

A device may take a command, show it in every register and still not follow it: a contactor is open, a portal or a
limit that no register of the profile tells overrides it, or another master got in between. Only power shows that.
"""

from __future__ import annotations

from actors.inverter.profile import Effect
from actors.messages import BatteryPowerW
from supervision.clock import NS_PER_S


class EffectWatch:
    """Watches one set-point at a time, from its first verified write until it ends."""

    def __init__(self) -> None:
        """Begin with nothing to watch."""
        self._setpoint_w: BatteryPowerW = 0.0
        self._near_ns = 0
        """When the power was last in the band, or when the set-point began or leaped."""

    def follow(self, effect: Effect, setpoint_w: BatteryPowerW, now_ns: int) -> None:
        """Note that `setpoint_w` holds at the device.

        A change within the band does not begin the time anew: a set-point that is lowered a little in every poll would
        else never be judged.
        """
        if not self._setpoint_w or abs(setpoint_w - self._setpoint_w) > _band_w(effect, setpoint_w):
            self._near_ns = now_ns
        self._setpoint_w = setpoint_w

    def rest(self) -> None:
        """Note that nothing is commanded."""
        self._setpoint_w = 0.0

    def fault(
        self,
        effect: Effect,
        measured_w: BatteryPowerW | None,
        limit_w: float | None,
        now_ns: int,
    ) -> str:
        """Return how the power fails to follow, with figures, or nothing while it follows or may still come.

        `limit_w` is the device's own limit of this moment in the set-point's direction: less than that is not expected.
        """
        setpoint_w = self._setpoint_w
        if not setpoint_w:
            return ""
        expected_w = min(abs(setpoint_w), abs(setpoint_w) if limit_w is None else limit_w)
        expected_w = expected_w if setpoint_w > 0 else -expected_w
        band_w = _band_w(effect, setpoint_w)
        if measured_w is not None and abs(measured_w - expected_w) <= band_w:
            self._near_ns = now_ns
            return ""
        late_s = (now_ns - self._near_ns) / NS_PER_S
        if late_s <= effect.settle_s:
            return ""
        told = (
            "battery power is not known"
            if measured_w is None
            else f"battery power {measured_w:.0f} W"
        )
        return (
            f"no effect: {told} {late_s:.0f} s after it should have been {expected_w:.0f} W"
            f" within {band_w:.0f} W; allowed are {effect.settle_s:g} s"
        )


def _band_w(effect: Effect, setpoint_w: BatteryPowerW) -> float:
    return max(effect.abs_w, effect.rel * abs(setpoint_w))
