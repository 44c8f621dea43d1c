"""Why an approved set-point is not carried out, whatever the device does: it is not ours, or has no lease. Pure."""

from __future__ import annotations

from actors.messages import ApprovedSetpoint
from supervision.clock import NS_PER_S

MAX_LEASE_NS = 30 * NS_PER_S
"""The outer bound of `lease_s`: a lease that ends later is none that SafetyActor grants."""


def why_not_valid(message: ApprovedSetpoint, device_id: str, epoch: int, now_ns: int) -> str:
    """Return why the incarnation `epoch` of `device_id` does not take `message` at `now_ns`, or nothing."""
    if message.device_id != device_id:
        return f"approved for {message.device_id!r}, this is {device_id!r}"
    if message.inverter_epoch != epoch:
        return f"approved for incarnation {message.inverter_epoch}, this is {epoch}"
    left_ns = message.lease_until_mono_ns - now_ns
    if left_ns <= 0:
        return f"the lease ended {-left_ns / NS_PER_S:.3f} s ago"
    if left_ns > MAX_LEASE_NS:
        return f"the lease ends in {left_ns / NS_PER_S:.1f} s, allowed are {MAX_LEASE_NS / NS_PER_S:g} s"
    return ""
