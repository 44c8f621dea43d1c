"""What several values, or one and its past, say together: pure, and never a message or a clock of its own.

Each class follows one device from measurement to measurement and makes one number of it, which a rule then limits.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.safety.config import DeviceLimits
from supervision.clock import NS_PER_S

HEATING_WINDOW_NS = 60 * NS_PER_S
HEATING_BUCKET_NS = 5 * NS_PER_S
"""Of each so long the warmest counts, so that one reading that is too cold makes no rise. Project's choice."""
GAP_S = 15.0
"""After a longer silence nothing is known of what flowed in between. Project's choice: as the profiles have it."""
SOC_STEP_H = 0.02
"""Less energy than full power makes in so long says nothing on SOC. Project's choice: whole percents of 1 C."""
SOC_SPAN_H = 0.5
"""After the energy that full power makes in so long the ledger begins anew. Project's choice."""
SOC_ADOPT_NS = 10 * NS_PER_S
"""An SOC that has disagreed for so long is where the ledger begins anew. Project's choice."""
SLOWEST, FASTEST = 0.5, 2.0
"""SOC moves by at least and at most these times energy / capacity. Project's choice: losses and ageing."""
FROZEN_POINTS = (
    "soc_pct",
    "soc_high_pct",
    "battery_temperature_c",
    "battery_temperature_low_c",
    "battery_power_w",
    "battery_voltage_v",
    "battery_current_a",
)


class Heating:
    """How much the battery warmed in the last minute, in kelvin: a lower bound while less is known."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._buckets: list[list[float]] = []

    def note(self, temperature_c: float, mono_ns: int) -> float:
        """Take in a temperature; return the rise in kelvin a minute, at least 0."""
        buckets = self._buckets
        number = mono_ns // HEATING_BUCKET_NS
        if buckets and buckets[-1][0] == number:
            buckets[-1][1] = max(buckets[-1][1], temperature_c)
        else:
            buckets.append([number, temperature_c])
            oldest = (mono_ns - HEATING_WINDOW_NS) // HEATING_BUCKET_NS
            while buckets[0][0] < oldest:
                del buckets[0]
        coldest = min([warmest for _, warmest in buckets])
        return max(temperature_c - coldest, 0.0)


def power_disagreement_pct(values: Mapping[str, float], limits: DeviceLimits) -> float | None:
    """Return by how much power and voltage x current differ, in percent of the larger; None if one is not there."""
    voltage_v, current_a = values.get("battery_voltage_v"), values.get("battery_current_a")
    power_w = values.get("battery_power_w")
    if voltage_v is None or current_a is None or power_w is None:
        return None
    product_w = voltage_v * current_a
    gap_w = abs(power_w - product_w)
    if gap_w < limits.disagreement_w:
        return 0.0
    return 100.0 * gap_w / max(abs(power_w), abs(product_w))


class Unchanged:
    """For how long nothing has changed while power flows: in seconds of full power."""

    def __init__(self, limits: DeviceLimits) -> None:
        """Count by the full power and the dead-band of `limits`."""
        self._full_w = limits.full_w
        self._deadband_w = limits.deadband_w
        self._last: list[float | None] = []
        self._flowed_s = 0.0

    def note(self, values: Mapping[str, float], dt_s: float) -> float:
        """Take in the values that came `dt_s` after the last; return how long they are the same."""
        now = [values.get(point) for point in FROZEN_POINTS]
        if now != self._last:
            self._last, self._flowed_s = now, 0.0
            return 0.0
        power_w = abs(values.get("battery_power_w", 0.0))
        if power_w >= self._deadband_w and dt_s <= GAP_S:
            self._flowed_s += dt_s * power_w / self._full_w
        return self._flowed_s


class SocLedger:
    """Compares where SOC went with where the battery's energy should have taken it."""

    def __init__(self, limits: DeviceLimits) -> None:
        """Begin with nothing known."""
        self._tolerance_pct = limits.soc_disagreement_pct
        self._pct_per_wh = 0.1 / limits.capacity_kwh if limits.capacity_kwh else 0.0
        self._step_wh = limits.full_w * SOC_STEP_H
        self._span_wh = limits.full_w * SOC_SPAN_H
        self._soc_pct: float | None = None
        self._energy_wh = self._power_w = 0.0
        self._last_ns = 0
        self._over_ns: int | None = None

    def note(self, soc_pct: float, power_w: float, mono_ns: int) -> float:
        """Take in SOC and power; return by how many percent SOC is where it cannot be."""
        dt_s, self._last_ns = (mono_ns - self._last_ns) / NS_PER_S, mono_ns
        if self._soc_pct is None or dt_s > GAP_S:
            return self._begin(soc_pct, power_w)
        self._energy_wh += (power_w + self._power_w) / 2.0 * dt_s / 3600.0
        self._power_w = power_w
        off_pct = self._off_pct(soc_pct - self._soc_pct)
        if off_pct < self._tolerance_pct:
            self._over_ns = None
            if abs(self._energy_wh) >= self._span_wh:
                self._begin(soc_pct, power_w)
            return off_pct
        if self._over_ns is None:
            self._over_ns = mono_ns
        elif mono_ns - self._over_ns >= SOC_ADOPT_NS:
            self._begin(soc_pct, power_w)
        return off_pct

    def _begin(self, soc_pct: float, power_w: float) -> float:
        self._soc_pct, self._energy_wh, self._power_w, self._over_ns = soc_pct, 0.0, power_w, None
        return 0.0

    def _off_pct(self, moved_pct: float) -> float:
        """Return how far `moved_pct` is outside of what the energy allows."""
        energy_wh = self._energy_wh
        if not self._pct_per_wh:
            against = moved_pct if energy_wh < 0.0 else -moved_pct
            return max(against, 0.0) if abs(energy_wh) >= self._step_wh else 0.0
        most = energy_wh * self._pct_per_wh * FASTEST
        least = energy_wh * self._pct_per_wh * SLOWEST if abs(energy_wh) >= self._step_wh else 0.0
        low_pct, high_pct = min(least, most), max(least, most)
        return max(low_pct - moved_pct, moved_pct - high_pct, 0.0)


class Signals:
    """Everything that one device's rules look at beside its plain values."""

    def __init__(self, limits: DeviceLimits) -> None:
        """Begin with nothing known."""
        self._limits = limits
        self._heating = Heating()
        self._unchanged = Unchanged(limits)
        self._ledger = SocLedger(limits)
        self._last_ns: int | None = None

    def add(self, values: dict[str, float], *, forced: object, mono_ns: int) -> None:
        """Add to `values` what can be made of them; `forced` counts unless it is False."""
        last_ns, self._last_ns = self._last_ns, mono_ns
        dt_s = GAP_S + 1.0 if last_ns is None else (mono_ns - last_ns) / NS_PER_S
        soc_pct, power_w = values.get("soc_pct"), values.get("battery_power_w")
        temperature_c = values.get("battery_temperature_c")
        if temperature_c is not None:
            values["heating_k_per_min"] = self._heating.note(temperature_c, mono_ns)
        if (current_a := values.get("battery_current_a")) is not None:
            values["charge_current_a"] = current_a
            values["discharge_current_a"] = -current_a
        if power_w is None:
            return
        values["unchanged_s"] = self._unchanged.note(values, dt_s)
        values["forced_charge_w"] = 0.0 if forced is False else power_w
        values["forced_discharge_w"] = 0.0 if forced is False else -power_w
        gap_pct = power_disagreement_pct(values, self._limits)
        if gap_pct is not None:
            values["power_disagreement_pct"] = gap_pct
        if soc_pct is not None:
            off_pct = self._ledger.note(soc_pct, power_w, mono_ns)
            values["soc_disagreement_pct"] = off_pct
