"""What the api has heard: collected by the actor, published as a snapshot that request handlers only read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from actors.messages import (
    AnomalyScore,
    DeviceSchema,
    DeviceState,
    DispatchStatus,
    PublisherStatus,
    SafetyEvent,
    SafetyStatus,
    Sample,
    WatchdogReport,
    WriteReport,
)
from supervision.clock import NS_PER_S
from supervision.events import Lifecycle, SiteReport


class Heard(NamedTuple):
    """A safety status and when it arrived: its own stamp is the time of the evaluation."""

    status: SafetyStatus
    heard_ns: int


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The newest of everything heard, by device where there are several. Never changed once made."""

    site: SiteReport | None = None
    watchdog: WatchdogReport | None = None
    publisher: PublisherStatus | None = None
    devices: Mapping[str, DeviceState] = {}
    safety: Mapping[str, Heard] = {}
    schemas: Mapping[str, DeviceSchema] = {}
    samples: Mapping[str, Sample] = {}
    scores: Mapping[str, AnomalyScore] = {}
    dispatch: Mapping[str, DispatchStatus] = {}
    lifecycle_counts: Mapping[tuple[str, str, str], int] = {}
    """Events by (cell, actor, what) since this incarnation of the api began."""
    safety_event_counts: Mapping[tuple[str, str, str], int] = {}
    """Events by (device, kind, rule)."""
    write_counts: Mapping[tuple[str, str, str], int] = {}
    """Writes by (device, command, result)."""


def age_s(mono_ns: int, now_ns: int) -> float:
    """Return the seconds from `mono_ns` to `now_ns`, at least 0; infinity for a stamp of 0, which means never."""
    return max(0, now_ns - mono_ns) / NS_PER_S if mono_ns else float("inf")


class Collection:
    """Remembers what is heard; used by the actor's thread only."""

    def __init__(self) -> None:
        self._site: SiteReport | None = None
        self._watchdog: WatchdogReport | None = None
        self._publisher: PublisherStatus | None = None
        self._devices: dict[str, DeviceState] = {}
        self._safety: dict[str, Heard] = {}
        self._schemas: dict[str, DeviceSchema] = {}
        self._samples: dict[str, Sample] = {}
        self._scores: dict[str, AnomalyScore] = {}
        self._dispatch: dict[str, DispatchStatus] = {}
        self._lifecycle: Counter[tuple[str, str, str]] = Counter()
        self._safety_events: Counter[tuple[str, str, str]] = Counter()
        self._writes: Counter[tuple[str, str, str]] = Counter()

    def take(self, message: msgspec.Struct, heard_ns: int) -> None:
        """Remember `message`, which arrived at monotonic `heard_ns`; ignore what is not shown."""
        match message:
            case SiteReport():
                self._site = message
            case WatchdogReport():
                self._watchdog = message
            case PublisherStatus():
                self._publisher = message
            case Lifecycle(cell=cell, actor=actor, what=what, count=count):
                self._lifecycle[cell, actor, what.value] += _events(message, count)
            case _:
                self._take_of_device(message, heard_ns)

    def _take_of_device(self, message: msgspec.Struct, heard_ns: int) -> None:
        match message:
            case Sample(device_id=device):
                self._samples[device] = message
            case DeviceSchema(device_id=device):
                self._schemas[device] = message
            case DeviceState(device_id=device):
                self._devices[device] = message
            case SafetyStatus(device_id=device):
                self._safety[device] = Heard(message, heard_ns)
            case AnomalyScore(device_id=device):
                self._scores[device] = message
            case DispatchStatus(device_id=device):
                self._dispatch[device] = message
            case SafetyEvent(device_id=device, kind=kind, rule=rule):
                self._safety_events[device, kind, rule] += 1
            case WriteReport(device_id=device, safe=safe, result=result):
                self._writes[device, "safe" if safe else "setpoint", result.value] += 1
            case _:
                pass

    def snapshot(self) -> Snapshot:
        """Return what is known now; later messages do not change it."""
        return Snapshot(
            site=self._site,
            watchdog=self._watchdog,
            publisher=self._publisher,
            devices=dict(self._devices),
            safety=dict(self._safety),
            schemas=dict(self._schemas),
            samples=dict(self._samples),
            scores=dict(self._scores),
            dispatch=dict(self._dispatch),
            lifecycle_counts=dict(self._lifecycle),
            safety_event_counts=dict(self._safety_events),
            write_counts=dict(self._writes),
        )


def _events(event: Lifecycle, count: int) -> int:
    """Return how many events `event` stands for: its count has another meaning in a restart."""
    return count if event.what.value == "dead_letters" else 1
