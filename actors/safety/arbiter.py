"""Which set-point is approved for which device, and until when. Pure: the time is handed in.

Requests of one source must come in order, so that none is played twice, not too many a minute, and they end by
themselves. Of one source the latest request holds. One of a higher priority holds against lower ones until it ends, is
released or replaced: also while safety does not let it be followed, since who asked for rest does not want the
dispatcher to step in after a moment without measurements.
"""

from __future__ import annotations

import math

import msgspec

from actors.messages import BatteryPowerW, ReleaseSetpoint, ResetLatch, Ruling, SetpointRequest
from actors.safety.guard import Verdict
from actors.safety.priorities import SOURCES, why_not_entitled
from actors.safety.quota import Quota
from actors.safety.ramp import Descent
from supervision.clock import NS_PER_S

ORDER_TTL_NS = 10 * NS_PER_S
"""A release or a reset that is older was kept back by somebody. Project's choice."""
MINUTE_S = 60.0


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A set-point that is approved now."""

    request: SetpointRequest
    power_w: BatteryPowerW
    """What was approved of the request."""
    seq: int
    first_seq: int
    """Of the approval from which on this power has been renewed."""
    inverter_epoch: int
    until_ns: int
    """When the InverterActor ends it by itself."""
    request_ends_ns: int
    from_w: BatteryPowerW
    """What was approved when the request ended, or is now if it has not: where the descent to 0 begins."""
    ends_ns: int
    """When that descent is over."""

    def covers(self, seq: int) -> bool:
        """Return whether the approval `seq` gave this power: a report may cross with a renewal."""
        return self.first_seq <= seq <= self.seq


class Arbiter:
    """Screens requests, remembers who holds a device, and keeps at most one lease per device."""

    def __init__(self, *, max_ttl_s: float, requests_per_minute: int) -> None:
        """Accept requests that hold for at most `max_ttl_s`, so many a minute of one source for one device."""
        self._max_ttl_s = max_ttl_s
        self.per_minute = requests_per_minute
        self._quota = Quota(requests_per_minute, MINUTE_S)
        self._heard: dict[str, tuple[int, int]] = {}
        self._holding: dict[str, SetpointRequest] = {}
        self._leases: dict[str, Lease] = {}

    def lease(self, device_id: str) -> Lease | None:
        """Return the lease of a device, if there is one."""
        return self._leases.get(device_id)

    def power_w(self, device_id: str) -> BatteryPowerW:
        """Return the power that the device has been approved; 0 without a set-point."""
        lease = self.lease(device_id)
        return 0.0 if lease is None else lease.power_w

    def holder(self, device_id: str, now_ns: int) -> SetpointRequest | None:
        """Return the request that holds a device against those of lower priority, if one does."""
        request = self._holding.get(device_id)
        return request if request is not None and now_ns < ends_ns(request) else None

    def screen(
        self, request: SetpointRequest, *, sender: str, epoch: int, now_ns: int
    ) -> Verdict | None:
        """Refuse a request that may not be judged, with the rule by which; return None if it may.

        `sender` and `epoch` are those of the envelope: nobody else can use them.
        """
        disorder = self._out_of_order(request, request.source, sender, epoch)
        if disorder is not None:
            return disorder
        wait_s = self._quota.take((request.source, request.device_id), now_ns)
        if wait_s:
            detail = f"more than {self.per_minute} requests a minute; ask again in {wait_s:.1f} s"
            return _refused(Ruling.DENIED, "rate", detail)
        return self._out_of_time(request, now_ns) or self._outranked(request, now_ns)

    def screen_order(
        self,
        order: ReleaseSetpoint | ResetLatch,
        *,
        source: str,
        sender: str,
        epoch: int,
        now_ns: int,
    ) -> Verdict | None:
        """Refuse a release or a reset that is not from who may give it in the name of `source`, replayed or old."""
        disorder = self._out_of_order(order, source, sender, epoch)
        if disorder is not None:
            return disorder
        if order.mono_ns > now_ns:
            return _refused(Ruling.DENIED, "clock", "the order is from the future")
        if now_ns - order.mono_ns >= ORDER_TTL_NS:
            age_s = (now_ns - order.mono_ns) / NS_PER_S
            return _refused(Ruling.EXPIRED, "ttl", f"it was given {age_s:.1f} s ago")
        return None

    def grant(
        self,
        request: SetpointRequest,
        *,
        power_w: BatteryPowerW,
        seq: int,
        inverter_epoch: int,
        lease_ns: int,
        descent: Descent,
        now_ns: int,
    ) -> Lease:
        """Approve `power_w` from now for `lease_ns`, but not beyond the descent after the request's own end."""
        request_ends_ns, last = ends_ns(request), self._leases.get(request.device_id)
        if last is not None and last.request is not request:
            last = None
        from_w = power_w if last is None or now_ns < request_ends_ns else last.from_w
        end_ns = request_ends_ns + descent.lasts_ns(from_w)
        lease = Lease(
            request=request,
            power_w=power_w,
            seq=seq,
            first_seq=last.first_seq if last is not None and last.power_w == power_w else seq,
            inverter_epoch=inverter_epoch,
            until_ns=min(now_ns + lease_ns, end_ns),
            request_ends_ns=request_ends_ns,
            from_w=from_w,
            ends_ns=end_ns,
        )
        self._leases[request.device_id] = lease
        self._holding[request.device_id] = request
        return lease

    def withdraw(self, device_id: str) -> None:
        """End the lease of a device, if it has one; its request holds on against lower ones."""
        self._leases.pop(device_id, None)

    def release(self, device_id: str, source: str, now_ns: int) -> str:
        """Let go of a device that `source` holds; return an empty string, or why not."""
        holder = self.holder(device_id, now_ns)
        if holder is None or holder.source != source:
            who = f"{holder.source} does" if holder else "nobody does"
            return f"{source} does not hold {device_id}: {who}"
        del self._holding[device_id]
        return ""

    def _out_of_order(
        self,
        asked: SetpointRequest | ReleaseSetpoint | ResetLatch,
        source: str,
        sender: str,
        epoch: int,
    ) -> Verdict | None:
        stranger = why_not_entitled(sender, source)
        if stranger:
            return _refused(Ruling.DENIED, "source", stranger)
        last = self._heard.get(source, (0, 0))
        if (epoch, asked.seq) <= last:
            detail = f"request {asked.seq} of incarnation {epoch} after {last[1]} of {last[0]}"
            return _refused(Ruling.REPLAYED, "sequence", detail)
        self._heard[source] = (epoch, asked.seq)
        return None

    def _out_of_time(self, request: SetpointRequest, now_ns: int) -> Verdict | None:
        if not (math.isfinite(request.ttl_s) and 0 < request.ttl_s <= self._max_ttl_s):
            detail = f"ttl_s = {request.ttl_s}, allowed is above 0 to {self._max_ttl_s:g}"
            return _refused(Ruling.DENIED, "ttl", detail)
        if request.mono_ns > now_ns:
            return _refused(Ruling.DENIED, "clock", "the request is from the future")
        if now_ns >= ends_ns(request):
            late_s = (now_ns - ends_ns(request)) / NS_PER_S
            return _refused(Ruling.EXPIRED, "ttl", f"it ended {late_s:.1f} s ago")
        return None

    def _outranked(self, request: SetpointRequest, now_ns: int) -> Verdict | None:
        holder = self.holder(request.device_id, now_ns)
        if holder is None or SOURCES[request.source].priority >= SOURCES[holder.source].priority:
            return None
        left_s = (ends_ns(holder) - now_ns) / NS_PER_S
        detail = f"{holder.source} holds {holder.power_w:g} W for {left_s:.0f} s more"
        return _refused(Ruling.DENIED, "priority", detail)


def ends_ns(request: SetpointRequest) -> int:
    """Return the monotonic time at which a request ends."""
    return request.mono_ns + int(request.ttl_s * NS_PER_S)


def wants_renewal(lease: Lease, *, lease_ns: int, now_ns: int) -> bool:
    """Return whether a lease has used half of its time, and its request or the descent goes on beyond it."""
    return lease.until_ns < lease.ends_ns and lease.until_ns - now_ns <= lease_ns // 2


def _refused(ruling: Ruling, rule: str, detail: str) -> Verdict:
    return Verdict(ruling=ruling, rule=rule, detail=detail)
