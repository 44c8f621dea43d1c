"""Night standby of the inverter and sleep of the battery, as users of these devices report them. Pure.

Without light and with nothing wanted of the battery the inverter goes to standby, and what it then says of itself stays
what it was before dark. A battery at its cut-off sleeps: its registers hold no values until it is charged. How long the
device waits is a choice of this model.
"""

from __future__ import annotations

DARK_W = 20.0
"""PV power below which there is no irradiation."""
IDLE_W = 10.0


class Rest:
    """Whether inverter and battery are asleep."""

    def __init__(self, *, after_s: float) -> None:
        """Fall asleep after `after_s` seconds of darkness and idleness; 0 never does."""
        self._after_s = after_s
        self._idle_s = 0.0
        self.inverter = False
        """Whether the inverter is in standby."""
        self.battery = False
        """Whether the battery sleeps."""

    @property
    def ever(self) -> bool:
        """Whether the device sleeps at all."""
        return self._after_s > 0.0

    def step(self, dt_s: float, *, pv_w: float, battery_w: float, empty: bool) -> None:
        """Look at `dt_s` seconds of PV, of battery power or its target, whichever is more, and at the cut-off."""
        if pv_w >= DARK_W or abs(battery_w) >= IDLE_W:
            self._idle_s = 0.0
        else:
            self._idle_s += dt_s
        self.inverter = self.ever and self._idle_s >= self._after_s
        self.battery = self.inverter and (empty or self.battery)
