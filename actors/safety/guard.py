"""SafetyGuard decides what a battery may do. Pure: no input or output, and the time is handed in.

It fails closed: whatever is missing, not a number, out of range, stale, frozen, contradictory or out of order closes
the direction it concerns, and the assessment says which. A device starts closed and opens after `good_cycles` good
measurements. The rules are data (`catalogue`, `site`, `inputs`, `conditions`); docs/safety.md is generated from them.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.messages import BatteryPowerW, Vitals
from actors.safety.assessment import Assessment, PowerBound, Setpoint, Stop, Verdict
from actors.safety.config import DeviceLimits, SiteLimits
from actors.safety.judgement import check_safety
from actors.safety.rules import closed
from actors.safety.site import SiteWatch
from actors.safety.track import Track
from supervision.clock import NS_PER_S

__all__ = ["Assessment", "PowerBound", "SafetyGuard", "Setpoint", "Stop", "Verdict", "check_safety"]


class SafetyGuard:
    """Assesses every device of a control cell. Unknown devices raise `KeyError`: nothing is known to be safe."""

    check_safety = staticmethod(check_safety)

    def __init__(
        self,
        limits: Mapping[str, DeviceLimits],
        trips: Mapping[str, str] | None = None,
        *,
        site: SiteLimits | None = None,
    ) -> None:
        """Watch the devices in `limits` and the `site`; those in `trips` begin latched, for the reason given."""
        self._tracks = {device: Track(device, of) for device, of in limits.items()}
        site = site or SiteLimits()
        ages_s = [of.stale_after_s for device, of in limits.items() if device in site.meters]
        stale_ns = int(min(ages_s, default=0.0) * NS_PER_S)
        self._site = SiteWatch(site, devices=len(limits), stale_ns=stale_ns)
        for device, reason in (trips or {}).items():
            self.latch(device, reason)

    @property
    def site_closed(self) -> tuple[bool, bool]:
        """Whether the connection to the grid closed charging and discharging of every device, when last looked at."""
        return self._site.closed

    def latch(self, device_id: str, reason: str) -> None:
        """Trip a device for `reason`, as long as this guard lives."""
        self._tracks[device_id].latched = closed("trip", reason)

    def why_tripped(self, device_id: str, now_ns: int) -> str:
        """Return what still speaks against ending the trip of a device at `now_ns`; empty once its cause is gone."""
        return self._tracks[device_id].why_tripped(now_ns)

    def unlatch(self, device_id: str) -> None:
        """End the trip of a device: it starts closed, as after a start of the gateway."""
        self._tracks[device_id].unlatch()

    def observe(self, vitals: Vitals, now_ns: int) -> Assessment:
        """Take in a measurement and assess its device at `now_ns`."""
        track = self._tracks[vitals.device_id]
        if track.accept(vitals, now_ns):
            self._site.note(vitals)
        return track.assess(now_ns, self._site.view(now_ns))

    def observe_link(self, device_id: str, fault: str, mono_ns: int) -> bool:
        """Note that at `mono_ns` the device could not be reached, or (with an empty `fault`) could.

        Returns whether that may change what is thought of it.
        """
        track = self._tracks[device_id]
        news = bool(fault or track.link_fault)
        track.link_fault, track.link_ns = fault, mono_ns
        return news

    def approve(self, device_id: str, power_w: BatteryPowerW, now_ns: int) -> None:
        """Note that `power_w` was approved, or 0 that nothing is any more: ramps are counted from it."""
        self._tracks[device_id].ramp.approve(power_w, now_ns)

    def evaluate(self, device_id: str, now_ns: int) -> Assessment:
        """Assess a device at `now_ns` by what is known of it."""
        return self._tracks[device_id].assess(now_ns, self._site.view(now_ns))
