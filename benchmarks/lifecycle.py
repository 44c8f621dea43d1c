"""How long starts and restarts take, what a crash elsewhere does to the control cell's period, and what it all weighs.

Times are taken from the gateway's own log (wall stamps of one machine), the period from the published samples.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, figure, quantile
from benchmarks.published import published
from bessai.testing import Gateway, SimulatedSite, wait_for

RUNS = 7
POLL_S = 0.1
PERIOD_S = 20.0
_KIB = 1024


def run() -> list[Figure]:
    """Measure; about two minutes."""
    return [*_starts(), *_restarts(), *_jitter_and_memory()]


@contextmanager
def _site() -> Generator[tuple[SimulatedSite, Gateway]]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with SimulatedSite(directory, devices=3) as site:
            yield site, Gateway(site, directory, poll_s=POLL_S)


def _starts() -> list[Figure]:
    took = []
    for _ in range(RUNS):
        with _site() as (site, gateway):
            began_s = time.time()
            with gateway:
                took.append(_watched_s(gateway, began_s, len(site.names)) - began_s)
    return [
        figure("start of `bessai run` to first evaluation of 3 devices", "s", took, worst_limit=1.0)
    ]


def _restarts() -> list[Figure]:
    """Each run has a gateway of its own: the delay before a restart grows with the failures in a row."""
    control, actor = [], []
    for _ in range(RUNS):
        with _site() as (site, gateway), gateway:
            gateway.wait_until_healthy()
            pid = gateway.pid_of("control")
            began_s = time.time()
            os.kill(pid, signal.SIGKILL)
            control.append(_watched_s(gateway, began_s, len(site.names)) - began_s)
            gateway.wait_until_healthy()
            actor.append(_actor_restart_ms(gateway, "watchdog"))
    return [
        figure(
            "SIGKILL of control to first evaluation of 3 devices", "s", control, worst_limit=0.6
        ),
        figure("crash of an actor to its restart", "ms", actor, worst_limit=20.0),
    ]


def _actor_restart_ms(gateway: Gateway, actor: str) -> float:
    since_s = time.time()
    gateway.order(actor, "raise")
    crashed_s = wait_for("a crash", lambda: _last(gateway, since_s, "crashed", actor))
    started_s = wait_for("a restart", lambda: _last(gateway, crashed_s, "started", actor))
    return 1000 * (started_s - crashed_s)


def _jitter_and_memory() -> list[Figure]:
    with _site() as (_, gateway), gateway:
        gateway.wait_until_healthy()
        quiet = _jitter_ms(gateway, lambda: None)
        memory = _memory(gateway)
        faults = itertools.cycle(("segfault", "raise", "exit"))
        crashing = _jitter_ms(gateway, lambda: _crash(gateway, next(faults)))
    limit = 2 * quantile(quiet, 0.99)
    return [
        figure("period jitter of control's polls, quiet", "ms", quiet),
        figure("the same, detector and dispatcher crash-looping", "ms", crashing, p99_limit=limit),
        *memory,
    ]


def _jitter_ms(gateway: Gateway, disturb: Callable[[], None]) -> list[float]:
    began_ns = time.time_ns()
    over = threading.Event()
    while not over.wait(1.0) and time.time_ns() - began_ns < PERIOD_S * 1e9:
        disturb()
    stamps = _samples(gateway, began_ns)
    return [
        abs((late - early) / 1e6 - 1000 * POLL_S)
        for times in stamps.values()
        for early, late in itertools.pairwise(times)
    ]


def _crash(gateway: Gateway, fault: str) -> None:
    for actor in ("detector", "dispatcher"):
        gateway.order(actor, fault)


def _samples(gateway: Gateway, since_ns: int) -> dict[str, list[int]]:
    stamps: dict[str, list[int]] = {}
    for record in published(gateway.state_dir):
        if record["kind"] == "sample" and record["wall_ns"] > since_ns:
            stamps.setdefault(record["device_id"], []).append(record["wall_ns"])
    return stamps


def _memory(gateway: Gateway) -> list[Figure]:
    health = gateway.wait_until_healthy()
    cells = {name: cell["pid"] for name, cell in health["cells"].items() if cell["pid"]}
    weights = {name: _pss_mb(pid) for name, pid in {"root": gateway.process.pid, **cells}.items()}
    return [
        figure(
            "PSS of all processes of the gateway", "MB", [sum(weights.values())], worst_limit=400
        ),
        figure("PSS of the control cell", "MB", [weights["control"]], worst_limit=60),
        *(figure(f"PSS of {n}", "MB", [mb]) for n, mb in weights.items() if n != "control"),
    ]


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / _KIB
    return 0.0


def _watched_s(gateway: Gateway, since_s: float, devices: int) -> float:
    """Return when the last of `devices` was first evaluated after `since_s`, in wall seconds."""

    def all_watched() -> float | None:
        times = [
            when for when, e in _log(gateway) if when > since_s and e["event"] == "first evaluation"
        ]
        return max(times[:devices]) if len(times) >= devices else None

    return wait_for("the first evaluations", all_watched, timeout_s=30.0)


def _last(gateway: Gateway, since_s: float, event: str, actor: str) -> float | None:
    times = [
        when
        for when, e in _log(gateway)
        if when > since_s and e["event"] == event and e.get("actor") == actor
    ]
    return times[-1] if times else None


def _log(gateway: Gateway) -> list[tuple[float, dict[str, Any]]]:
    entries = []
    for line in gateway.log.read_text(encoding="utf-8").splitlines():
        if line.startswith("{") and line.endswith("}"):
            entry = json.loads(line)
            entries.append((datetime.fromisoformat(entry["timestamp"]).timestamp(), entry))
    return entries
