"""A healthy battery's vitals, and the world of a SafetyActor that measures it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from actors.messages import (
    API,
    DISPATCHER,
    OPERATOR,
    ApprovedSetpoint,
    ReleaseSetpoint,
    ResetAnswer,
    ResetLatch,
    Role,
    SafeCommand,
    SafetyEvent,
    SafetyStatus,
    SetpointAnswer,
    SetpointRequest,
    Vitals,
    WriteReport,
    WriteResult,
    inverter_address,
)
from actors.safety.actor import SafetyActor
from actors.safety.config import DeviceLimits, SafetyConfig
from actors.safety.disk import DISK, Disk
from actors.safety.priorities import SOURCES
from supervision.clock import NS_PER_S, ManualClock
from supervision.envelope import Header
from tests.actors.fakes import RecordingContext

DEVICE = "inv-1"
EPOCH = 7
OPTIONAL = ("battery_voltage_v", "battery_current_a", "grid_frequency_hz", "grid_voltage_v")
"""What a device may be without."""


def vitals(seq: int = 1, *, at_s: float = 1000.0, **changes: Any) -> Vitals:
    """Return what a healthy resting battery at 50 % and 25 degC measures, with `changes`."""
    fields: dict[str, Any] = {
        "device_id": DEVICE,
        "seq": seq,
        "epoch": EPOCH,
        "wall_ns": 0,
        "mono_ns": int(at_s * NS_PER_S),
        "soc_pct": 50.0,
        "battery_temperature_c": 25.0,
        "battery_power_w": 0.0,
        "max_charge_w": 3000.0,
        "max_discharge_w": 4000.0,
        "forced": False,
        "absent": OPTIONAL,
    }
    return Vitals(**(fields | changes))


class World:
    """A SafetyActor with one device, a clock that is moved by hand, and what came out."""

    def __init__(
        self, state_dir: Path, *devices: str, disk: Disk = DISK, rules: Any = None, **limits: Any
    ) -> None:
        self.clock = ManualClock()
        self.disk = disk
        self.config = SafetyConfig(
            state_dir=str(state_dir),
            devices=dict.fromkeys(devices or (DEVICE,), DeviceLimits(**limits)),
            **(rules or {}),
        )
        self.seq = 0
        self.start()

    def new_context(self) -> RecordingContext:
        return RecordingContext("safety", clock=self.clock)

    def start(self) -> None:
        """Begin a new incarnation that knows nothing but what is on disk."""
        self.context = self.new_context()
        self.actor = SafetyActor(self.config, self.disk)
        self.actor.on_start(self.context)

    def measure(self, **changes: Any) -> None:
        """Let 0.1 s pass and the battery be measured, with `changes` to a healthy one."""
        self.clock.advance(0.1)
        self.seq += 1
        measured = vitals(self.seq, at_s=self.clock.monotonic_s(), **changes)
        exact = msgspec.structs.replace(measured, mono_ns=self.clock.monotonic_ns())
        self.tell(exact)

    def tell(
        self, message: msgspec.Struct, sender: str = inverter_address(DEVICE), epoch: int = EPOCH
    ) -> None:
        self.actor.on_message(message, Header(receiver="safety", sender=sender, epoch=epoch))

    def tick(self, seconds: float = 0.1) -> None:
        self.clock.advance(seconds)
        self.actor.on_tick()

    def verify(self, result: WriteResult = WriteResult.VERIFIED) -> None:
        """Report how the last safe command ended."""
        seq = self.safe_commands[-1].seq
        self.tell(WriteReport(device_id=DEVICE, seq=seq, safe=True, result=result, power_w=0.0))

    def open_up(self, **changes: Any) -> None:
        """Come to the normal state with nothing owed and nothing said."""
        for _ in range(3):
            self.measure(**changes)
        self.verify()
        self.measure(**changes)
        self.context.sent.clear()

    def ask(
        self,
        power_w: float,
        *,
        ttl_s: float = 60.0,
        seq: int = 0,
        source: str = DISPATCHER,
        sender: str = "",
    ) -> SetpointAnswer:
        """Ask for power as the dispatcher does, or another `source`, and return the answer."""
        self.seq += 1
        request = SetpointRequest(
            device_id=DEVICE,
            power_w=power_w,
            ttl_s=ttl_s,
            mono_ns=self.clock.monotonic_ns(),
            seq=seq or self.seq,
            source=source,
            reason="cheap",
            by="ana",
        )
        self.tell(request, sender or SOURCES[source].sender)
        return self.context.messages(SetpointAnswer)[-1]

    def release(self, source: str = OPERATOR, sender: str = API) -> SetpointAnswer:
        """Give a set-point up, as an operator does."""
        self.seq += 1
        release = ReleaseSetpoint(
            device_id=DEVICE,
            mono_ns=self.clock.monotonic_ns(),
            seq=self.seq,
            source=source,
            reason="done",
            by="ana",
        )
        self.tell(release, sender)
        return self.context.messages(SetpointAnswer)[-1]

    def reset(self, *, sender: str = API, **changes: Any) -> ResetAnswer:
        """Ask for a reset, as an operator does, and return the answer."""
        self.seq += 1
        fields: dict[str, Any] = {
            "device_id": DEVICE,
            "mono_ns": self.clock.monotonic_ns(),
            "seq": self.seq,
            "operator": "ana",
            "role": Role.OPERATOR,
            "reason": "cooled down",
        }
        self.tell(ResetLatch(**{**fields, **changes}), sender)
        return self.context.messages(ResetAnswer)[-1]

    def trip(self) -> None:
        """Be so hot as to trip."""
        self.measure(battery_temperature_c=60.0)

    def cool_down(self) -> None:
        """Be measured in health often enough."""
        for _ in range(4):
            self.measure()

    @property
    def safe_commands(self) -> list[SafeCommand]:
        return self.context.messages(SafeCommand, inverter_address(DEVICE))

    @property
    def approved(self) -> list[ApprovedSetpoint]:
        return self.context.messages(ApprovedSetpoint, inverter_address(DEVICE))

    @property
    def status(self) -> SafetyStatus:
        return self.context.messages(SafetyStatus)[-1]

    def events(self, kind: str) -> list[str]:
        return [e.rule for e in self.context.messages(SafetyEvent) if e.kind == kind]
