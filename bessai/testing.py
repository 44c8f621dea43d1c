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
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from bessai.config import DEFAULT_PROFILE, data_directory
from bessai.demo import ask
from bessai.simulator.control import SimulatorClient
from bessai.simulator.kinds import DeviceKind
from bessai.simulator.record import ExposureRecord, WriteRecord
from bessai.simulator.site import Ready

FORCED_MODE = 47100
"""Huawei register "forcible charge/discharge": 0 stop, 1 charge, 2 discharge."""
_DISCHARGE = {"forced_mode": 2, "forced_period_min": 30, "forced_discharge_power_w": 2000}
_DISCHARGING_W = 500.0
_AT_ONCE = {"battery.response_time_constant_s": 0.0}
_UNPROTECTED = {"discharge_cutoff_soc_pct": 0.0}
_NO_PAUSES = {"connect_delay_s": 0.0, "gap_s": 0.0}
"""Simulated devices need none, unless they have manners."""
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
        self,
        directory: Path,
        *,
        devices: int = 3,
        kind: DeviceKind = DeviceKind.HUAWEI,
        plan: Path | None = None,
        settings: Mapping[str, float] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        """Describe a site of `kind` that suffers `plan`; `settings` are start values of every device.

        `options` are more options of `bessai simulate`.

        Its log goes to `directory`. Unless the settings say otherwise, batteries follow commands at once, and those of
        Huawei do not protect themselves from deep discharge: only the gateway does.
        """
        self.kind = kind
        self._log = directory / "simulator.log"
        eager = {**_AT_ONCE, **(_UNPROTECTED if kind is DeviceKind.HUAWEI else {})}
        self._options = [
            f"--devices={devices}",
            f"--kind={kind.value}",
            *([] if plan is None else [f"--plan={plan}"]),
            *(f"--set={name}={value}" for name, value in {**eager, **(settings or {})}.items()),
            *options,
        ]

    def __enter__(self) -> Self:
        """Start the simulator and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "bessai.simulator", "--port=0", "--json", *self._options],
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
    def pid(self) -> int:
        """The simulator's process."""
        return self._process.pid

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
        """Give `device` a healthy battery at rest again, and wait until a client has read that it is half full.

        Only then is the next breach a new one for the gateway, and not what it has just stopped going on.
        """
        was_pct = self.client.truth(device).soc_pct
        exposure = self.client.set_state(device, soc_pct=50.0, temperature_c=25.0, forced_mode=0)
        if abs(was_pct - 50.0) > 1.0:
            wait_for(
                f"the mended {device} to be read",
                lambda: SOC_REGISTERS[0] in self.client.exposures(device, exposure)[0].registers,
            )

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
        profile: str = "",
        keys: Mapping[str, float] | None = None,
        extra: str = "",
        command: Sequence[str] = (),
        takes_orders: bool = True,
    ) -> None:
        """Describe a gateway with its state, log and chaos orders in `directory`.

        One that takes no orders costs what it would at a site: with hundreds of devices, looking for them does not.

        `profile` is that of every device, by default `credulous_profile`; `keys` are more keys of every device. `extra`
        is appended to the configuration (TOML), so that keys before its first section are those of the last device;
        `command` replaces `bessai run` by a program that takes the same options.
        """
        directory = directory.resolve()  # a site's file takes relative paths from where it is
        self.directory = directory
        self.state_dir = directory / "state"
        self.chaos_dir = directory / "chaos"
        self.log = directory / "gateway.log"
        self.port = free_port()
        self.config = directory / "site.toml"
        self._command = list(command) or [sys.executable, "-m", "bessai", "run"]
        self._command += [f"--config={self.config}"]
        self._command += [f"--chaos-dir={self.chaos_dir}"] if takes_orders else []
        if not profile:
            credulous = directory / "credulous.toml"
            credulous.write_text(credulous_profile(), encoding="utf-8")
            profile = str(credulous)
        of_device = {"profile": profile, "poll_s": poll_s, **_NO_PAUSES, **(keys or {})}
        self.config.write_text(
            _site_toml(site, self.state_dir, self.port, of_device) + extra, encoding="utf-8"
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
                self._command,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LOG_LEVEL": "info"},
            )

    def health(self) -> dict[str, Any] | None:
        """Return what /health answers now, whatever its status; None if nothing answers, or not to its end."""
        return ask(f"http://127.0.0.1:{self.port}/health") or None

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
        path = self.order_file(actor)
        fresh = path.with_suffix(".new")
        fresh.write_text(fault, encoding="utf-8")
        fresh.rename(path)

    def order_file(self, actor: str) -> Path:
        """Return the file that holds an order until `actor` takes it."""
        return self.chaos_dir / f"{actor.replace('/', '_')}.fault"

    def pid_of(self, cell: str) -> int:
        """Return the process id of a running cell."""
        health = self.wait_until(f"cell {cell} runs", lambda h: h["cells"].get(cell, {}).get("pid"))
        return int(health["cells"][cell]["pid"])

    def pids(self) -> list[int]:
        """Return the process ids of root and of every running cell."""
        health = self.wait_until("an answer", lambda health: health["cells"])
        cells = [cell["pid"] for cell in health["cells"].values() if cell.get("pid")]
        return [self.process.pid, *cells]

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


def usual_profile() -> str:
    """Return the text of the profile that a device has unless it is told otherwise."""
    return (data_directory() / "profiles" / f"{DEFAULT_PROFILE}.toml").read_text(encoding="utf-8")


def credulous_profile() -> str:
    """Return the usual profile without its checks of plausibility, and blind to foreign writes.

    Breaches here empty and fill a battery within one poll, as none can: the checks would call that no measurement at
    all, and believe it two minutes later only. And they force power as a foreign master does: that is ended at once.
    """
    text = usual_profile().partition("\n[plausibility]")[0]
    return re.sub(r"^watched = \[.*?^\]\n", "", text, flags=re.MULTILINE | re.DOTALL)


def _site_toml(site: SimulatedSite, state_dir: Path, port: int, keys: Mapping[str, object]) -> str:
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
            *(f"{key} = {json.dumps(value)}" for key, value in keys.items()),
            "",
        ]
    return "\n".join(lines)
