"""The gateway and a simulated site as processes, for tests and benchmarks: ours and yours.

    with SimulatedSite(directory, devices=2) as site, Gateway(site, directory) as gateway:
        gateway.wait_until_healthy()
        breach = site.break_soc_limit("d1")
        assert site.answer_s(breach) < 1.0

A site judges the gateway from the devices' own record; nothing here asks the gateway how it fared.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from bessai.simulator.control import SimulatorClient
from bessai.simulator.record import ExposureRecord, WriteRecord
from bessai.simulator.site import Ready

FORCED_MODE = 47100
"""Huawei register "forcible charge/discharge": 0 stop, 1 charge, 2 discharge."""
_DISCHARGE = {"forced_mode": 2, "forced_period_min": 30, "forced_discharge_power_w": 2000}
_DISCHARGING_W = 500.0
_EAGER = {"battery.response_time_constant_s": 0.0, "discharge_cutoff_soc_pct": 0.0}
SOC_REGISTERS = ("esu1_soc_pct", "storage_soc_pct")
_NS_PER_S = 1_000_000_000
_T = TypeVar("_T")


class NotInTimeError(AssertionError):
    """What was waited for did not come."""


def wait_for(
    what: str, probe: Callable[[], _T | None], *, timeout_s: float = 15.0, pause_s: float = 0.01
) -> _T:
    """Return the first thing that `probe` returns other than None or False.

    Raises:
        NotInTimeError: it returned nothing within `timeout_s`.
    """
    deadline_s = time.monotonic() + timeout_s
    while True:
        found = probe()
        if found is not None and found is not False:
            return found
        if time.monotonic() > deadline_s:
            raise NotInTimeError(f"{what} did not happen within {timeout_s} s")
        time.sleep(pause_s)


class Breach(NamedTuple):
    """A limit that a device breaks from now on."""

    device: str
    exposure: int
    """Index of the change in the device's record."""
    writes_before: int
    """Index of the first write that may answer it."""


class SimulatedSite:
    """A simulator process and its control channel."""

    def __init__(
        self, directory: Path, *, devices: int = 3, settings: Mapping[str, float] | None = None
    ) -> None:
        """Describe a site whose log goes to `directory`; `settings` are start values of every device.

        Unless they say otherwise, batteries follow commands at once and do not protect themselves from deep discharge:
        only the gateway does.
        """
        self._log = directory / "simulator.log"
        self._devices = devices
        self._settings = {**_EAGER, **(settings or {})}

    def __enter__(self) -> Self:
        """Start the simulator and wait until it listens."""
        options = [f"--set={name}={value}" for name, value in self._settings.items()]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    sys.executable,
                    "-m",
                    "bessai.simulator",
                    f"--devices={self._devices}",
                    "--port=0",
                    "--json",
                    *options,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.ready = msgspec.json.decode(self._first_line(), type=Ready)
        self.client = SimulatorClient(self.ready.control_host, self.ready.control_port)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """End the simulator."""
        self.client.close()
        _end(self._process)

    @property
    def names(self) -> list[str]:
        """The devices' names."""
        return [device.name for device in self.ready.devices]

    def break_soc_limit(self, device: str, *, soc_pct: float = 2.0) -> Breach:
        """Let `device` be all but empty and discharged by force, as by a foreign master."""
        before = self._writes_so_far(device)
        exposure = self.client.set_state(device, soc_pct=soc_pct, **_DISCHARGE)
        return Breach(device, exposure, before)

    def empty_while_discharging(self, device: str, *, soc_pct: float = 2.0) -> Breach:
        """Let `device` be discharged by force first and become all but empty then.

        From the first response that shows the empty battery, nothing is missing for a verdict: the case to time.
        """
        while True:
            self.client.set_state(device, **_DISCHARGE)
            wait_for("discharge, or a stop", lambda: self._discharges_or_stopped(device))
            before = self._writes_so_far(device)
            if self.client.truth(device).forced_mode == _DISCHARGE["forced_mode"]:
                return Breach(device, self.client.set_state(device, soc_pct=soc_pct), before)

    def _discharges_or_stopped(self, device: str) -> bool:
        truth = self.client.truth(device)
        return truth.battery_power_w < -_DISCHARGING_W or truth.forced_mode == 0

    def _writes_so_far(self, device: str) -> int:
        writes = self.client.writes(device)
        return writes[-1].index + 1 if writes else 0

    def mend(self, device: str) -> None:
        """Give `device` a healthy battery at rest again."""
        self.client.set_state(device, soc_pct=50.0, temperature_c=25.0, forced_mode=0)

    def answer(self, breach: Breach, *, timeout_s: float = 10.0) -> WriteRecord:
        """Return the write that ended the forced discharge.

        Raises:
            NotInTimeError: there was none within `timeout_s`.
        """

        def stop_written() -> WriteRecord | None:
            for write in self.client.writes(breach.device, breach.writes_before):
                if write.address == FORCED_MODE and write.words == [0] and write.result == "ok":
                    return write
            return None

        return wait_for(f"the answer to {breach}", stop_written, timeout_s=timeout_s)

    def answer_s(self, breach: Breach, *, timeout_s: float = 10.0) -> float:
        """Return the seconds from the breach itself to the stop at the device."""
        write = self.answer(breach, timeout_s=timeout_s)
        return (write.mono_ns - self._exposure(breach).set_mono_ns) / _NS_PER_S

    def reaction_s(self, breach: Breach, *, timeout_s: float = 10.0) -> float | None:
        """Return the seconds from the first response that showed the empty battery to the stop at the device.

        None if the stop was under way for another reason before any response showed it.
        """
        write = self.answer(breach, timeout_s=timeout_s)
        registers = self._exposure(breach).registers
        shown_ns = min(
            (registers[name] for name in SOC_REGISTERS if name in registers), default=None
        )
        if shown_ns is None or shown_ns > write.mono_ns:
            return None
        return (write.mono_ns - shown_ns) / _NS_PER_S

    def _exposure(self, breach: Breach) -> ExposureRecord:
        return self.client.exposures(breach.device, breach.exposure)[0]

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(20.0):
                _end(self._process)
                raise NotInTimeError(f"the simulator did not listen; its log: {self._log}")
        line = self._process.stdout.readline()
        if not line:
            raise NotInTimeError(f"the simulator ended: {self._log.read_text(encoding='utf-8')}")
        return line


class Gateway:
    """A `bessai run` process on a simulated site."""

    def __init__(
        self,
        site: SimulatedSite,
        directory: Path,
        *,
        poll_s: float = 0.1,
        extra: str = "",
        command: Sequence[str] = (),
    ) -> None:
        """Describe a gateway with its state, log and chaos orders in `directory`.

        `extra` is appended to the configuration (TOML); `command` replaces `bessai run` by a program that takes the
        same options.
        """
        self.directory = directory
        self.state_dir = directory / "state"
        self.chaos_dir = directory / "chaos"
        self.log = directory / "gateway.log"
        self.port = free_port()
        self.config = directory / "site.toml"
        self._command = list(command) or [sys.executable, "-m", "bessai", "run"]
        self.config.write_text(
            _site_toml(site, self.state_dir, self.port, poll_s) + extra, encoding="utf-8"
        )

    def __enter__(self) -> Self:
        """Start the gateway; it may not answer yet."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop it in order, and by force if that takes too long."""
        _end(self.process)

    def start(self) -> None:
        """Start the process."""
        self.chaos_dir.mkdir(exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [*self._command, f"--config={self.config}", f"--chaos-dir={self.chaos_dir}"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LOG_LEVEL": "info"},
            )

    def health(self) -> dict[str, Any] | None:
        """Return what /health answers now, whatever its status; None if nothing answers."""
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self.port}/health", timeout=2.0
            ) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                found = json.load(error)
        except OSError:
            return None
        return found

    def wait_until(
        self, what: str, holds: Callable[[dict[str, Any]], object], *, timeout_s: float = 20.0
    ) -> dict[str, Any]:
        """Return the first answer of /health for which `holds` is true."""

        def probe() -> dict[str, Any] | None:
            health = self.health()
            return health if health is not None and holds(health) else None

        try:
            return wait_for(what, probe, timeout_s=timeout_s, pause_s=0.05)
        except NotInTimeError as error:
            raise NotInTimeError(f"{error}; /health says {json.dumps(self.health())}") from None

    def wait_until_healthy(self, *, timeout_s: float = 20.0) -> dict[str, Any]:
        """Return the first answer of /health that says healthy."""
        return self.wait_until(
            "status healthy", lambda health: health["status"] == "healthy", timeout_s=timeout_s
        )

    def order(self, actor: str, fault: str) -> None:
        """Have `actor` suffer `fault` (see `bessai.chaos`)."""
        path = self.chaos_dir / f"{actor.replace('/', '_')}.fault"
        fresh = path.with_suffix(".new")
        fresh.write_text(fault, encoding="utf-8")
        fresh.rename(path)

    def pid_of(self, cell: str) -> int:
        """Return the process id of a running cell."""
        health = self.wait_until(f"cell {cell} runs", lambda h: h["cells"].get(cell, {}).get("pid"))
        return int(health["cells"][cell]["pid"])

    def signal_cell(self, cell: str, number: signal.Signals) -> int:
        """Send a signal to a cell and return its process id."""
        pid = self.pid_of(cell)
        os.kill(pid, number)
        return pid


def free_port() -> int:
    """Return a TCP port of the loopback that is free now."""
    import socket  # noqa: PLC0415 - needed here only

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _end(process: subprocess.Popen[bytes], *, patience_s: float = 15.0) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _site_toml(site: SimulatedSite, state_dir: Path, port: int, poll_s: float) -> str:
    lines = [
        "[site]",
        'id = "SITE-TEST"',
        f'state_dir = "{state_dir}"',
        "",
        "[api]",
        f"port = {port}",
        "",
    ]
    for device in site.ready.devices:
        lines += [
            "[[devices]]",
            f'id = "{device.name}"',
            f'host = "{device.host}"',
            f"port = {device.port}",
            f"unit_id = {device.unit}",
            f"poll_s = {poll_s}",
            "connect_delay_s = 0.0",
            "gap_s = 0.0",
            "",
        ]
    return "\n".join(lines)
