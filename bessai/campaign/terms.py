"""What a campaign's gateway and devices are set to: the runner sets it, and the judge derives its deadlines from it."""

from __future__ import annotations

import msgspec


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions of one campaign. All are the project's choice: short times, so that ten thousand steps fit.

    The gateway's limits are tighter than what the simulated battery protects itself from, so that only the gateway
    keeps them.
    """

    poll_s: float = 0.5
    soc_min_pct: float = 10.0
    soc_max_pct: float = 90.0
    charge_min_c: float = 20.0
    charge_max_c: float = 26.0
    discharge_min_c: float = 18.0
    discharge_max_c: float = 30.0
    temperature_hysteresis_k: float = 1.0
    cold_band_k: float = 1.0
    hot_band_k: float = 1.0
    heating_trip_k_per_min: float = 10.0
    """The temperature limits are so close together that no leap between them is one that trips."""
    heating_derate_k_per_min: float = 5.0
    heating_s: float = 30.0
    trip_low_c: float = -20.0
    trip_high_c: float = 55.0
    max_charge_w: float = 3000.0
    max_discharge_w: float = 2500.0
    disagreement_s: float = 30.0
    """Longer than a SOC that leaps disagrees with the energy, which is 10 s."""
    reconsider_s: float = 10.0
    deadband_w: float = 100.0
    stale_after_s: float = 2.0
    lease_s: float = 3.0
    reassert_s: float = 0.5
    timeout_s: float = 1.0
    reconnect_initial_s: float = 0.2
    reconnect_max_s: float = 1.0
    rated_power_w: float = 4000.0
    """What the dispatcher asks for: more than the limits allow, so that it is clamped."""
    deadman_min: int = 5
    countdown_s_per_min: float = 6.0
    """How long the devices' countdown takes for a minute."""
    truth_hz: float = 10.0
    start_s: float = 4.0
    """How long the gateway took to become healthy when the campaign began; measured, never less than 3 s."""

    @property
    def answer_s(self) -> float:
        """Longest time to an answer when nothing is wrong: one poll and a second."""
        return self.poll_s + 1.0

    @property
    def disguised_s(self) -> float:
        """Longest time to an answer to another master who overrides a set-point before a poll has seen it work.

        The gateway cannot tell that from a battery that takes its time to reverse, for which it waits ten times
        `reassert_s`.
        """
        return self.answer_s + 10 * self.reassert_s

    @property
    def reconnect_s(self) -> float:
        """From the end of a fault of requests or answers until the device is read again.

        A request that is under way, the longest pause before connecting again (with its jitter of 20 %), and a second
        to connect and identify.
        """
        return self.timeout_s + 1.2 * self.reconnect_max_s + 1.0

    @property
    def replaced_s(self) -> float:
        """From the death of the control cell until a new one has made the devices safe.

        A second until its silence is noticed, what a start takes on this machine, and the devices' connections.
        """
        return 1.0 + self.start_s + self.reconnect_s

    @property
    def restarted_s(self) -> float:
        """From a fault of an actor until its next life is at work.

        A second of liveness, another for orders to be taken and the restart, and the device's connection.
        """
        return 2.0 + self.reconnect_s

    @property
    def memory_s(self) -> float:
        """How old a command's grounds may be while something is wrong.

        A measurement until it is stale, a lease granted on it in the last moment, and a request under way.
        """
        return self.stale_after_s + self.lease_s + self.timeout_s
