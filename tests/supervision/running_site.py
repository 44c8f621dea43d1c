"""A site of toys as real processes, driven through a file and judged by its events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from supervision.spec import Backoff, CellKind, CellSpec, ChildSpec, Intensity

ROOT = Path(__file__).parents[2]
PATIENCE_S = 20.0


class Event(NamedTuple):
    """One line of the runner."""

    cell: str
    actor: str
    what: str
    reason: str
    epoch: int


class RunningSite:
    """Cells `control` (critical: recorder, a, driver), `b` (degradable: b1, b2) and `once` (on demand)."""

    def __init__(self, directory: Path, **changes: dict[str, Any]) -> None:
        """Describe the site; `changes` are fields of cells, by name."""
        self.directory = directory
        self.orders = directory / "orders"
        self.record = directory / "record"
        self.stops = directory / "stops"
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._file = directory / "cells.json"
        self._file.write_bytes(
            msgspec.json.encode([self._adapt(c, changes) for c in self._cells()])
        )

    def __enter__(self) -> Self:
        """Start it and wait until all its actors have started."""
        python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("site_runner.py")), str(self._file)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": python_path},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        for actor in ("recorder", "a", "driver", "b1", "b2"):
            self.wait(actor=actor, what="started")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End it, by force if need be."""
        pids = [] if self.process.poll() is not None else self.pids()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in pids:
            self.ended(pid)
        self._reader.join()

    def order(self, receiver: str, what: str, argument: str = "") -> None:
        """Have the driver tell `receiver` to do something."""
        with self.orders.open("a", encoding="utf-8") as file:
            file.write(f"{receiver} {what} {argument}\n")

    def wait(self, count: int = 1, **fields: str) -> Event:
        """Return the `count`-th event with these fields (`reason` need only be contained)."""
        deadline_s = time.monotonic() + PATIENCE_S
        with self._changed:
            while len(found := [e for e in self.events if _matches(e, fields)]) < count:
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, f"no event {count} with {fields} in {self.events}"
                self._changed.wait(left_s)
        return found[count - 1]

    def until(self, what: str, holds: Callable[[], object]) -> None:
        """Wait until `holds`."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline_s, f"{what}: not within {PATIENCE_S} s"
            time.sleep(0.01)

    def ended(self, pid: int) -> None:
        """Wait until a process has ended."""
        self.until(f"end of {pid}", lambda: not alive(pid))

    def heard(self, text: str) -> None:
        """Wait until the recorder has got a message that contains `text`."""
        self.until(f"{text!r} at the recorder", lambda: text in self.recorded())

    def recorded(self) -> str:
        """Return what the recorder got so far."""
        return self.record.read_text(encoding="utf-8") if self.record.exists() else ""

    def pid(self, cell: str) -> int:
        """Return the process of a cell as the process list names it."""
        found: list[int] = []

        def named() -> bool:
            found[:] = [pid for pid in self.pids() if title(pid) == f"toys: cell {cell}"]
            return bool(found)

        self.until(f"a process of {cell}", named)
        return found[0]

    def pids(self) -> list[int]:
        """Return the processes of all cells."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text(encoding="ascii").split()]

    def signal(self, cell: str, number: signal.Signals) -> int:
        """Send a signal to a cell's process and return its id."""
        pid = self.pid(cell)
        os.kill(pid, number)
        return pid

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._changed:
                    self.events.append(Event(*msgspec.json.decode(line)))
                    self._changed.notify_all()

    def _cells(self) -> list[CellSpec]:
        toy = "tests.supervision.toys"
        config = {"to": "recorder", "stop_file": str(self.stops)}
        return [
            self._cell(
                "control",
                CellKind.CRITICAL,
                _child("recorder", f"{toy}:build_recorder", {"file": str(self.record)}),
                _child("a", f"{toy}:build", config),
                _child("driver", f"{toy}:build_driver", {"file": str(self.orders)}),
            ),
            self._cell(
                "b",
                CellKind.DEGRADABLE,
                _child("b1", f"{toy}:build", config),
                _child("b2", f"{toy}:build", config),
            ),
            self._cell("once", CellKind.ON_DEMAND, _child("o", f"{toy}:build", config)),
        ]

    def _cell(self, name: str, kind: CellKind, *children: ChildSpec) -> CellSpec:
        return CellSpec(
            name=name,
            kind=kind,
            children=children,
            codec="tests.supervision.toys:CODEC",
            beat_s=0.05,
            liveness_s=1.0,
            shutdown_s=4.0,
            quarantine_s=1.0,
            memory_limit_mb=200,
            backoff=Backoff(initial_s=0.02, max_s=0.1),
        )

    def _adapt(self, cell: CellSpec, changes: dict[str, dict[str, Any]]) -> CellSpec:
        own = changes.get(cell.name, {})
        by_actor = {
            key: own.pop(key) for key in list(own) if key in {c.name for c in cell.children}
        }
        children = tuple(
            msgspec.structs.replace(c, **by_actor.get(c.name, {}))
            for c in own.pop("children", cell.children)
        )
        return msgspec.structs.replace(cell, children=children, **own)


def _child(name: str, factory: str, config: dict[str, str]) -> ChildSpec:
    return ChildSpec(
        name=name,
        factory=factory,
        config=msgspec.json.encode(config),
        tick_s=0.02,
        liveness_s=0.5,
        shutdown_s=1.0,
        intensity=Intensity(max_restarts=3, window_s=10.0),
    )


def _matches(event: Event, fields: dict[str, str]) -> bool:
    return all(
        value in event.reason if key == "reason" else getattr(event, key) == value
        for key, value in fields.items()
    )


def title(pid: int) -> str:
    """Return what the process list shows for a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").rstrip("\0 ")
    except FileNotFoundError:
        return ""


def alive(pid: int) -> bool:
    """Return whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
