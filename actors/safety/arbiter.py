"""Which set-point is approved for which device, and until when. Pure: the time is handed in.

Requests of one source must come in order, so that none is played twice; they end by themselves. The latest request
for a device is the one that holds.
"""

from __future__ import annotations

import math

import msgspec

from actors.messages import BatteryPowerW, Ruling, SetpointRequest
from actors.safety.guard import Verdict
from supervision.clock import NS_PER_S

MAX_SOURCES = 64
"""Sources that are remembered for their order. Project's choice: more than any site has, few enough to hold."""


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A set-point that is approved now."""

    request: SetpointRequest
    power_w: BatteryPowerW
    """What was approved of the request."""
    seq: int
    inverter_epoch: int
    until_ns: int
    """When the InverterActor ends it by itself."""
    request_ends_ns: int


class Arbiter:
    """Screens requests and keeps at most one lease per device."""

    def __init__(self, *, max_ttl_s: float) -> None:
        """Accept requests that hold for at most `max_ttl_s`."""
        self._max_ttl_s = max_ttl_s
        self._heard: dict[tuple[str, str], tuple[int, int]] = {}
        self._leases: dict[str, Lease] = {}

    def lease(self, device_id: str) -> Lease | None:
        """Return the lease of a device, if there is one."""
        return self._leases.get(device_id)

    def screen(
        self, request: SetpointRequest, *, sender: str, epoch: int, now_ns: int
    ) -> Verdict | None:
        """Refuse a request that is replayed, expired or endless; return None if it may be judged.

        `sender` and `epoch` are those of the envelope: nobody else can use them.
        """
        source = (sender, request.source)
        if source not in self._heard and len(self._heard) >= MAX_SOURCES:
            return _refused(Ruling.DENIED, "sources", f"more than {MAX_SOURCES} sources ask")
        last = self._heard.get(source, (0, 0))
        if (epoch, request.seq) <= last:
            detail = f"request {request.seq} of incarnation {epoch} after {last[1]} of {last[0]}"
            return _refused(Ruling.REPLAYED, "sequence", detail)
        self._heard[source] = (epoch, request.seq)
        if not (math.isfinite(request.ttl_s) and 0 < request.ttl_s <= self._max_ttl_s):
            detail = f"ttl_s = {request.ttl_s}, allowed is above 0 to {self._max_ttl_s:g}"
            return _refused(Ruling.DENIED, "ttl", detail)
        if request.mono_ns > now_ns:
            return _refused(Ruling.DENIED, "clock", "the request is from the future")
        if now_ns >= ends_ns(request):
            late_s = (now_ns - ends_ns(request)) / NS_PER_S
            return _refused(Ruling.EXPIRED, "ttl", f"it ended {late_s:.1f} s ago")
        return None

    def grant(
        self,
        request: SetpointRequest,
        *,
        power_w: BatteryPowerW,
        seq: int,
        inverter_epoch: int,
        lease_ns: int,
        now_ns: int,
    ) -> Lease:
        """Approve `power_w` from now for `lease_ns`, but not beyond the request's own end."""
        end_ns = ends_ns(request)
        lease = Lease(
            request=request,
            power_w=power_w,
            seq=seq,
            inverter_epoch=inverter_epoch,
            until_ns=min(now_ns + lease_ns, end_ns),
            request_ends_ns=end_ns,
        )
        self._leases[request.device_id] = lease
        return lease

    def withdraw(self, device_id: str) -> None:
        """End the lease of a device, if it has one."""
        self._leases.pop(device_id, None)


def ends_ns(request: SetpointRequest) -> int:
    """Return the monotonic time at which a request ends."""
    return request.mono_ns + int(request.ttl_s * NS_PER_S)


def wants_renewal(lease: Lease, *, lease_ns: int, now_ns: int) -> bool:
    """Return whether a lease has used half of its time and its request lives on beyond it."""
    return lease.until_ns < lease.request_ends_ns and lease.until_ns - now_ns <= lease_ns // 2


def _refused(ruling: Ruling, rule: str, detail: str) -> Verdict:
    return Verdict(ruling=ruling, rule=rule, detail=detail)
