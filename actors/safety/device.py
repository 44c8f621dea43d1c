"""What SafetyActor keeps of one device beside the guard, the arbiter and the latch book."""

from __future__ import annotations

from actors.messages import inverter_address
from actors.safety.announce import Announcer
from actors.safety.arbiter import Lease
from actors.safety.config import DeviceLimits
from actors.safety.duty import SafeDuty
from actors.safety.guard import Assessment
from actors.safety.ramp import Descent
from supervision.clock import NS_PER_S

LOOK_NS = NS_PER_S
"""A device is evaluated at least this often, whatever is or is not heard of it."""


class Device:
    """Its limits, what it is owed, and when it is to be looked at next."""

    def __init__(
        self, device_id: str, limits: DeviceLimits, announcer: Announcer, assessment: Assessment
    ) -> None:
        """Begin with nothing measured and nothing owed."""
        self.id = device_id
        self.inverter = inverter_address(device_id)
        self.limits = limits
        self.lease_ns = int(limits.lease_s * NS_PER_S)
        self.descent = Descent(limits)
        self.duty = SafeDuty(limits.reassert_s)
        self.watched = False
        """Whether this incarnation has evaluated a measurement of the device."""
        self.announcer = announcer
        self.assessment = assessment
        self.measured_ns = 0
        self.due_ns = 0
        """When it is to be evaluated again although nothing was heard."""

    def tell_status(self, lease: Lease | None, evaluations: int, now_ns: int) -> None:
        """Announce how it stands, under `lease` and after so many evaluations of all devices."""
        self.announcer.status(
            self.assessment,
            setpoint_w=lease.power_w if lease else 0.0,
            evaluations=evaluations,
            measured_ns=self.measured_ns,
            now_ns=now_ns,
        )

    def reckon(self, lease: Lease | None, now_ns: int) -> None:
        """Set `due_ns` to the earliest moment at which time alone can change anything, a second away at most."""
        due = [now_ns + LOOK_NS]
        if self.assessment.valid_until_ns >= now_ns:
            due.append(self.assessment.valid_until_ns + 1)
        if lease is not None:
            due.append(lease.until_ns)
        if self.duty.due_ns is not None:
            due.append(self.duty.due_ns)
        self.due_ns = min(due)
