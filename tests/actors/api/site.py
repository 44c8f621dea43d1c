"""A site in good order, as the api hears it, for tests that then spoil one thing."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.config import ApiConfig, ExpectedCell
from actors.messages import (
    AnomalyScore,
    DeviceSchema,
    DeviceState,
    DispatchStatus,
    LinkState,
    PointInfo,
    PublisherStatus,
    SafetyState,
    SafetyStatus,
    Sample,
    WatchdogReport,
)
from supervision.clock import NS_PER_S
from supervision.events import ActorReport, CellReport, SiteReport, State

CELLS = {
    "control": ("critical", ("safety", "watchdog", "inverter/b1", "inverter/b2")),
    "detector": ("degradable", ("detector",)),
    "publisher": ("degradable", ("publisher",)),
    "api": ("degradable", ("api",)),
    "trainer": ("on_demand", ("trainer",)),
}
DEVICES = ("b1", "b2")


def config(**changes: Any) -> ApiConfig:
    """Return the configuration of the site, on a free port."""
    cells = tuple(
        ExpectedCell(name=name, kind=kind, actors=actors) for name, (kind, actors) in CELLS.items()
    )
    plain = ApiConfig(site_id="SITE-1", port=0, device_ids=DEVICES, cells=cells)
    return msgspec.structs.replace(plain, **changes)


def cell(name: str, now_ns: int, **changes: Any) -> CellReport:
    """Return a running cell that has just beaten, all its actors running."""
    kind, actors = CELLS[name]
    plain = CellReport(
        name=name,
        kind=kind,
        state=State.RUNNING,
        pid=42,
        incarnation=1,
        restarts=2,
        beat_ns=now_ns,
        memory_bytes=50_000_000,
        dead_letters=3,
        actors=tuple(actor(each, now_ns) for each in actors),
    )
    if kind == "on_demand":
        plain = CellReport(name=name, kind=kind, state=State.IDLE)
    return msgspec.structs.replace(plain, **changes)


def actor(name: str, now_ns: int, **changes: Any) -> ActorReport:
    """Return a running actor that has just progressed."""
    plain = ActorReport(
        name=name, state=State.RUNNING, epoch=1, completed=9, progress_ns=now_ns, restarts=1
    )
    return msgspec.structs.replace(plain, **changes)


def site_report(now_ns: int, *spoiled: CellReport) -> SiteReport:
    """Return root's report of the site, with `spoiled` cells in place of the good ones."""
    cells = {name: cell(name, now_ns) for name in CELLS} | {each.name: each for each in spoiled}
    return SiteReport(
        mono_ns=now_ns, started_ns=now_ns - 100 * NS_PER_S, cells=tuple(cells.values())
    )


def device_state(device_id: str, now_ns: int, **changes: Any) -> DeviceState:
    """Return an online device."""
    plain = DeviceState(
        device_id=device_id,
        link=LinkState.ONLINE,
        mono_ns=now_ns,
        model="SUN2000-6KTL",
        reconnects=4,
        polls=100,
        poll_s=0.02,
    )
    return msgspec.structs.replace(plain, **changes)


def safety_status(device_id: str, now_ns: int, **changes: Any) -> SafetyStatus:
    """Return a device that was just evaluated and is in order."""
    plain = SafetyStatus(
        device_id=device_id,
        state=SafetyState.NORMAL,
        may_charge=True,
        may_discharge=True,
        rules=(),
        evaluations=77,
        mono_ns=now_ns,
    )
    return msgspec.structs.replace(plain, **changes)


def watchdog_report(now_ns: int, **changes: Any) -> WatchdogReport:
    """Return a watchdog that sees progress everywhere."""
    plain = WatchdogReport(mono_ns=now_ns, progressing=True, late=(), actors=(), evaluations=77)
    return msgspec.structs.replace(plain, **changes)


def publisher_status(now_ns: int, **changes: Any) -> PublisherStatus:
    """Return a publisher that delivers."""
    plain = PublisherStatus(
        sink="file",
        accepted=10,
        delivered=8,
        waiting=2,
        evicted=0,
        spool_bytes=2_000,
        oldest_wall_ns=1_700_000_000 * NS_PER_S,
        mono_ns=now_ns,
    )
    return msgspec.structs.replace(plain, **changes)


def schema(device_id: str) -> DeviceSchema:
    """Return a schema of two points that are exported and one that is not."""
    points = (PointInfo("soc_pct", "%"), PointInfo("battery_power_w", "W"), PointInfo("other", ""))
    return DeviceSchema(device_id=device_id, schema_id=1, points=points)


def sample(device_id: str, now_ns: int, **changes: Any) -> Sample:
    """Return a sample of that schema, all good."""
    plain = Sample(
        device_id=device_id,
        schema_id=1,
        seq=1,
        epoch=1,
        wall_ns=1,
        mono_ns=now_ns,
        values=(55.5, -1200.0, 1.0),
    )
    return msgspec.structs.replace(plain, **changes)


def everything(now_ns: int) -> list[msgspec.Struct]:
    """Return one of each message of a site in good order."""
    per_device: list[msgspec.Struct] = []
    for device_id in DEVICES:
        per_device += [
            device_state(device_id, now_ns),
            safety_status(device_id, now_ns),
            schema(device_id),
            sample(device_id, now_ns),
            AnomalyScore(
                device_id=device_id,
                seq=1,
                mono_ns=now_ns,
                wall_ns=1,
                z_max=1.5,
                z_point="soc_pct",
                forest_score=None,
                anomalous=False,
            ),
            DispatchStatus(
                device_id=device_id,
                policy="time_of_use",
                power_w=500.0,
                reason="cheap hour",
                mono_ns=now_ns,
                fallbacks=1,
            ),
        ]
    return [
        site_report(now_ns),
        watchdog_report(now_ns),
        publisher_status(now_ns),
        *per_device,
    ]
