"""Metrics of the machinery: cells, actors, publisher and watchdog."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from actors.api.config import ApiConfig
from actors.api.families import counter, gauge
from actors.api.snapshot import Snapshot, age_s
from supervision.clock import NS_PER_S
from supervision.events import ActorReport, CellReport, State

_CELL = ("cell",)
_ACTOR = ("cell", "actor")


def site_metrics(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    """Yield what root reports, if it was heard recently, and what has been counted."""
    site = snapshot.site
    if site is not None and age_s(site.mono_ns, now_ns) <= config.report_limit_s:
        yield from gauge(
            "uptime_seconds",
            "Seconds since the site started.",
            (),
            [((), age_s(site.started_ns, now_ns))],
        )
        yield from _cells(site.cells)
        beating = [c for c in site.cells if age_s(c.beat_ns, now_ns) <= config.report_limit_s]
        yield from _actors(
            [(cell.name, actor) for cell in beating for actor in cell.actors], now_ns
        )
    yield from counter(
        "lifecycle_events",
        "Starts, crashes, hangs, restarts and the like that this api has heard of.",
        ("cell", "actor", "event"),
        snapshot.lifecycle_counts.items(),
    )


def _cells(cells: tuple[CellReport, ...]) -> Iterator[Metric]:
    yield from gauge(
        "cell_up",
        "Whether the cell is running.",
        _CELL,
        [((c.name,), float(c.state is State.RUNNING)) for c in cells],
    )
    yield from counter(
        "cell_restarts",
        "Restarts of the cell since the site started.",
        _CELL,
        [((c.name,), c.restarts) for c in cells],
    )
    yield from gauge(
        "cell_memory_bytes",
        "Resident memory of the cell's process.",
        _CELL,
        [((c.name,), c.memory_bytes if c.pid and c.memory_bytes else None) for c in cells],
    )
    yield from counter(
        "dead_letters",
        "Messages that could not be delivered, by the cell that noticed.",
        _CELL,
        [((c.name,), c.dead_letters) for c in cells],
    )
    yield from counter(
        "link_dropped_frames",
        "Frames that did not fit the link between root and the cell.",
        _CELL,
        [((c.name,), c.dropped) for c in cells],
    )
    yield from gauge(
        "cell_abandoned_threads",
        "Threads of hung actors that are still there.",
        _CELL,
        [((c.name,), c.abandoned_threads) for c in cells],
    )


def _actors(actors: list[tuple[str, ActorReport]], now_ns: int) -> Iterator[Metric]:
    yield from gauge(
        "actor_up",
        "Whether the actor is running.",
        _ACTOR,
        [((cell, a.name), float(a.state is State.RUNNING)) for cell, a in actors],
    )
    yield from counter(
        "actor_restarts",
        "Restarts of the actor since its cell started.",
        _ACTOR,
        [((cell, a.name), a.restarts) for cell, a in actors],
    )
    yield from gauge(
        "actor_progress_age_seconds",
        "Seconds since the actor last completed a unit of work.",
        _ACTOR,
        [
            ((cell, a.name), age_s(a.progress_ns, now_ns) if a.progress_ns else None)
            for cell, a in actors
        ],
    )
    yield from gauge(
        "actor_mailbox_waiting",
        "Messages that wait for the actor.",
        _ACTOR,
        [((cell, a.name), a.waiting) for cell, a in actors],
    )
    yield from counter(
        "actor_mailbox_dropped",
        "Messages that the actor's mailbox dropped or refused.",
        _ACTOR,
        [((cell, a.name), a.dropped) for cell, a in actors],
    )


def publisher_metrics(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    """Yield how storing and forwarding goes, if the publisher was heard recently."""
    status = snapshot.publisher
    if status is None or age_s(status.mono_ns, now_ns) > config.status_limit_s:
        return
    label, key = ("sink",), (status.sink,)
    yield from gauge(
        "publisher_fault",
        "Whether something keeps messages from being stored or delivered.",
        label,
        [(key, float(bool(status.fault)))],
    )
    for name, help_text, count in (
        ("accepted", "Messages made durable.", status.accepted),
        ("delivered", "Messages acknowledged by the sink.", status.delivered),
        ("evicted", "Undelivered messages evicted from the full spool.", status.evicted),
        ("dropped", "Messages lost before they were durable.", status.dropped),
        ("dead_letters", "Messages that the sink refused for what they are.", status.dead),
        ("upstream_lost", "Messages that their senders could not keep.", status.upstream_lost),
        ("spans_exported", "Spans that the collector took.", status.spans_exported),
        ("spans_dropped", "Spans dropped for want of a collector.", status.spans_dropped),
    ):
        yield from counter(f"publisher_{name}", help_text, label, [(key, count)])
    if not status.spooling:
        return
    for name, help_text, value in (
        ("spool_waiting", "Durable messages not yet delivered.", status.waiting),
        ("spool_bytes", "Size of the rows in the spool.", status.spool_bytes),
        ("spool_damaged", "Stored messages that failed their checksum.", status.damaged),
    ):
        yield from gauge(f"publisher_{name}", help_text, label, [(key, value)])
    yield from gauge(
        "publisher_spool_oldest_timestamp_seconds",
        "Unix time of the oldest message not yet delivered.",
        label,
        [(key, status.oldest_wall_ns / NS_PER_S if status.oldest_wall_ns else None)],
    )


def watchdog_metrics(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    """Yield whether the critical actors progress, if the watchdog was heard recently."""
    report = snapshot.watchdog
    if report is not None and age_s(report.mono_ns, now_ns) <= config.status_limit_s:
        yield from gauge(
            "watchdog_progressing",
            "Whether every critical actor progressed within its limit.",
            (),
            [((), float(report.progressing))],
        )
