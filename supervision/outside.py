"""What root passes on to those outside the site who watch it: pulses while they are fresh, and that a stop began."""

from __future__ import annotations

from collections.abc import Callable

from supervision.clock import NS_PER_S
from supervision.events import Pulse

PULSE_LIFE_NS = NS_PER_S
"""After a stall of root the links are full of pulses that say nothing of now."""


class Outside:
    """Has watchdogs kicked and managers told; what is called here must not block."""

    def __init__(
        self,
        *,
        pulse_from: str = "",
        on_pulse: Callable[[Pulse], None] = lambda _pulse: None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Give `on_pulse` what the actor `pulse_from` says of progress; call `on_stop` when a stop begins."""
        self._pulse_from = pulse_from
        self._on_pulse = on_pulse
        self._on_stop = on_stop
        self._stopping = False

    def hear(self, pulse: Pulse, sender: str, now_ns: int) -> None:
        """Pass `pulse` on, if it is its sender's to give, says something of now, and no stop has begun."""
        fresh = now_ns - pulse.mono_ns < PULSE_LIFE_NS
        if sender == self._pulse_from and fresh and not self._stopping:
            self._on_pulse(pulse)

    def stop(self) -> None:
        """Tell that a stop has begun, once."""
        if not self._stopping:
            self._stopping = True
            self._on_stop()
