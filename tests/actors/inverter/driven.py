"""Runs an InverterActor in the test's own thread, on real sockets and real clocks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator

from actors.inverter.actor import InverterActor
from actors.inverter.config import InverterConfig
from actors.inverter.profile import Profile
from actors.inverter.profile_file import load_profile
from actors.messages import (
    ApprovedSetpoint,
    DeviceState,
    LinkState,
    SafeCommand,
    Vitals,
    WriteReport,
)
from supervision.clock import NS_PER_S, SystemClock
from supervision.envelope import Header, Lane
from tests.actors.fakes import RecordingContext

DEADLINE_S = 10.0
EPOCH = 7
_LOADED = load_profile("huawei_sun2000_luna2000")
assert isinstance(_LOADED, Profile)
PROFILE: Profile = _LOADED


def config(port: int, **changes: object) -> InverterConfig:
    """A device on this machine that needs no pauses."""
    settings: dict[str, object] = {
        "device_id": "d1",
        "host": "127.0.0.1",
        "port": port,
        "profile": PROFILE,
        "poll_s": 0.05,
        "connect_delay_s": 0.0,
        "gap_s": 0.0,
        "timeout_s": 1.0,
        "abandon_s": 0.2,
        "reconnect_initial_s": 0.01,
        "reconnect_max_s": 0.05,
        "readback_s": 0.0,
        "busy_delay_s": 0.0,
    }
    return InverterConfig(**{**settings, **changes})  # type: ignore[arg-type]


class Driven:
    """An actor and what it says."""

    def __init__(self, settings: InverterConfig) -> None:
        self.context = RecordingContext("inverter/d1", EPOCH, SystemClock())
        self.actor = InverterActor(settings)
        self.actor.on_start(self.context)
        self._seq = 0

    def until(self, predicate: Callable[[], bool]) -> None:
        """Let the actor work until `predicate` holds."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not predicate():
            assert time.monotonic() < deadline_s, self.context.sent[-5:]
            for event in self.context.take_posted():
                self.actor.on_event(event)  # type: ignore[arg-type]
            self.actor.on_tick()
            self.context.wait_for(lambda: bool(self.context.posted), 0.005)

    def online(self) -> None:
        """Let it work until the limits of the device are known."""
        self.until(lambda: self.state.link is LinkState.ONLINE and self.vitals.soc_pct is not None)

    def tell(self, message: object, epoch: int = 1, sender: str = "safety") -> None:
        self.actor.on_message(
            message, Header(receiver="inverter/d1", sender=sender, epoch=epoch, lane=Lane.CONTROL)
        )

    def approve(self, power_w: float, lease_s: float = 30.0, **changes: object) -> int:
        """Send a set-point and return its number."""
        self._seq += 1
        fields: dict[str, object] = {
            "device_id": "d1",
            "power_w": power_w,
            "seq": self._seq,
            "inverter_epoch": EPOCH,
            "lease_until_mono_ns": time.monotonic_ns() + int(lease_s * NS_PER_S),
            "reason": "test",
        }
        self.tell(ApprovedSetpoint(**{**fields, **changes}))  # type: ignore[arg-type]
        return self._seq

    def make_safe(self) -> int:
        """Send a safe command and return its number."""
        self._seq += 1
        self.tell(SafeCommand(device_id="d1", seq=self._seq, rule="test", reason="test"))
        return self._seq

    def report(self, seq: int, *, safe: bool = False) -> WriteReport:
        """Let it work until it has reported on a command, and return the newest report."""
        found: list[WriteReport] = []

        def reported() -> bool:
            found[:] = [
                r
                for r in self.context.messages(WriteReport, "safety")
                if (r.seq, r.safe) == (seq, safe)
            ]
            return bool(found)

        self.until(reported)
        return found[-1]

    @property
    def vitals(self) -> Vitals:
        found = self.context.messages(Vitals)
        return found[-1] if found else Vitals(device_id="d1", seq=0, epoch=0, wall_ns=0, mono_ns=0)

    @property
    def state(self) -> DeviceState:
        return self.context.messages(DeviceState)[-1]


@contextlib.contextmanager
def driven(port: int, **changes: object) -> Generator[Driven]:
    """An actor for the device at `port` of this machine; its link is closed at the end."""
    subject = Driven(config(port, **changes))
    try:
        yield subject
    finally:
        subject.context.fence()
