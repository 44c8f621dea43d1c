"""Hundreds of devices polled once a second by one control cell, with their simulator beside it on the same machine.

Measured in the control cell alone: processor time, memory, missed cycles, and how long a poll takes. The sinks in the
place of the other cells count what is delivered to them through root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.figures import Figure, figure
from benchmarks.fleet_sink import Tally
from bessai.testing import SimulatedSite, wait_for
from supervision.clock import NS_PER_S

SECONDS = float(os.environ.get("FLEET_SECONDS", "60"))
"""Length of one run; the figures of docs/benchmarks.md were taken with 300."""
WINDOW_S = 10.0
SPREAD = "\n[cells]\ncontrol_one_processor = false\n"
_TICK = os.sysconf("SC_CLK_TCK")


def run() -> list[Figure]:
    """Measure 500 and 1000 devices; and for comparison 500 with the threads of control on all processors."""
    figures: list[Figure] = []
    for devices, cpu_limit, memory_limit in ((500, 35.0, None), (1000, 65.0, 100.0)):
        with tempfile.TemporaryDirectory() as name:
            figures += _measure(Path(name), devices, cpu_limit, memory_limit)
    with tempfile.TemporaryDirectory() as name:
        spread = _measure(Path(name), 500, None, None, extra=SPREAD)[0]
    name = f"{spread.name}, threads on all processors"
    return [*figures, msgspec.structs.replace(spread, name=name)]


def _measure(
    directory: Path,
    devices: int,
    cpu_limit: float | None,
    memory_limit: float | None,
    extra: str = "",
) -> list[Figure]:
    with (
        SimulatedSite(directory, devices=devices) as site,
        _control(site, directory, extra) as pids,
    ):
        tally = _wait_for_fleet(directory, devices)
        _reset(directory)
        shares, memory = _watch(pids["control"])
        tally = _read(directory, "api")
        delivered = _read(directory, "publisher")
    missed = _missed(delivered, devices)
    per_sample = delivered.values / max(delivered.samples, 1)
    about = f"{devices} devices, {per_sample:.0f} values in a sample"
    return [
        figure(f"{about}: processor time of control", "% of a core", shares, p50_limit=cpu_limit),
        figure(f"{about}: memory of control (PSS)", "MB", memory, worst_limit=memory_limit),
        figure(f"{about}: cycles missed", "cycles", [float(missed)], worst_limit=1.0),
        figure(f"{about}: duration of a poll", "ms", tally.polls_ms.with_worst(), p99_limit=10.0),
        figure(
            f"{about}: from a poll to its sample in another cell",
            "ms",
            delivered.delays_ms.with_worst(),
        ),
    ]


@contextmanager
def _control(site: SimulatedSite, directory: Path, extra: str = "") -> Generator[dict[str, int]]:
    config = directory / "site.toml"
    config.write_text(_site_toml(site, directory) + extra, encoding="utf-8")
    with (directory / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.fleet_run",
                f"--config={config}",
                f"--tally={directory}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LOG_LEVEL": os.environ.get("FLEET_LOG", "error")},
        )
    try:
        yield {"control": wait_for("the control cell", lambda: _child(process.pid, "control"))}
    finally:
        process.terminate()
        process.wait(60.0)


def _child(parent: int, name: str) -> int | None:
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split():
        if name in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8"):
            return int(pid)
    return None


def _wait_for_fleet(directory: Path, devices: int) -> Tally:
    def all_online() -> Tally | None:
        tally = _read(directory, "api")
        return tally if sum(tally.online.values()) == devices else None

    return wait_for("the fleet", all_online, timeout_s=120.0, pause_s=0.5)


def _reset(directory: Path) -> None:
    """Let the start pass, then have every sink begin anew."""
    time.sleep(WINDOW_S)
    marks = [directory / f"{name}.reset" for name in ("api", "publisher")]
    for mark in marks:
        mark.touch()
    wait_for("new tallies", lambda: not any(mark.exists() for mark in marks))


def _watch(pid: int) -> tuple[list[float], list[float]]:
    """Return the shares of a core (%) and, at their ends, the memory (MB) of every window."""
    shares, memory = [], []
    for _ in range(max(1, int(SECONDS / WINDOW_S))):
        before_s, began_s = _cpu_s(pid), time.monotonic()
        time.sleep(WINDOW_S)
        shares.append(100 * (_cpu_s(pid) - before_s) / (time.monotonic() - began_s))
        memory.append(_memory_mb(pid))
    return shares, memory


def _missed(tally: Tally, devices: int) -> int:
    """Return how many cycles of a second brought no sample, also where a device begins late or falls silent."""
    missed = (devices - len(tally.cycles)) * int(SECONDS)
    begin_ns = min(cycles.first_ns for cycles in tally.cycles.values()) + NS_PER_S
    end_ns = max(cycles.last_ns for cycles in tally.cycles.values()) - NS_PER_S
    for cycles in tally.cycles.values():
        reach_ns = max(cycles.last_ns, end_ns) - min(cycles.first_ns, begin_ns)
        missed += max(0, round(reach_ns / NS_PER_S) - (cycles.count - 1))
    return missed


def _read(directory: Path, name: str) -> Tally:
    try:
        return msgspec.msgpack.decode((directory / f"{name}.tally").read_bytes(), type=Tally)
    except FileNotFoundError:
        return Tally()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _site_toml(site: SimulatedSite, directory: Path) -> str:
    lines = ["[site]", 'id = "FLEET"', f'state_dir = "{directory / "state"}"']
    for device in site.ready.devices:
        lines += [
            "[[devices]]",
            f'id = "{device.name}"',
            f'host = "{device.host}"',
            f"port = {device.port}",
            f"unit_id = {device.unit}",
            "poll_s = 1.0",
            "connect_delay_s = 0.0",
            "gap_s = 0.0",
        ]
    return "\n".join(lines)
