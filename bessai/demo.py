"""`bessai demo`: a simulated site, the gateway on it, and a view of both.

Simulator and gateway are processes of their own, started as a user would start them; this one only watches.
"""

from __future__ import annotations

import http.client
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec

from actors.safety.statedir import StateDirError, check_state_dir
from bessai.config import data_directory
from bessai.gateway import PortInUseError, check_port
from bessai.simulator.site import Ready
from supervision.process import reap_strangers

_VIEW_S = 2.0
_PATIENCE_S = 20.0
_PRICE_SECONDS_PER_SECOND = 180


class DemoError(Exception):
    """The demonstration cannot run here; the message says why and what to do."""


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of `bessai demo`."""

    devices: int
    state_dir: Path | None
    host: str
    health_port: int
    duration_s: float | None
    simulator_port: int
    as_json: bool = False
    """Tell everything as one JSON object a line, for programs."""


class _Stop:
    """Whether a signal has asked for the end."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def run_demo(options: DemoOptions) -> int:
    """Run until a signal or `duration_s`; return the gateway's exit status.

    Raises:
        DemoError: a port is taken, the directory cannot be written, or a process ended that should not have.
    """
    stop = _Stop()
    with ExitStack() as stack:
        directory = options.state_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="bessai-"))
        )
        port = options.health_port or _free_port()
        _check_premises(directory, options.host, port)
        simulator, ready = _start_simulator(options, directory)
        stack.callback(_end, simulator)
        config = directory / "demo.toml"
        config.write_text(
            demo_config(ready, directory / "state", options.host, port), encoding="utf-8"
        )
        log = directory / "gateway.log"
        log_begins = log.stat().st_size if log.exists() else 0
        gateway = _start_gateway(config, log)
        stack.callback(_end, gateway)
        view = (_JsonView if options.as_json else _TextView)(_url(options.host, port))
        view.introduce(ready, directory)
        _watch((gateway, simulator), view, stop, options.duration_s)
        if gateway.poll() is not None:
            raise DemoError(_last_words(gateway.returncode, log, log_begins))
        if simulator.poll() is not None:
            raise DemoError(f"the simulator ended with status {simulator.returncode}")
        view.stopping()
        status = _end(gateway)
        # It ends by the signal itself only before it listens for it, and then it has not started anything.
        return 0 if status == -signal.SIGTERM else abs(status)


def _check_premises(directory: Path, host: str, port: int) -> None:
    try:
        check_state_dir(directory)
        check_port(host, port)
    except StateDirError as error:
        raise DemoError(str(error)) from error
    except PortInUseError as error:
        raise DemoError(f"{error}, or: bessai demo --health-port 0") from error


def demo_config(ready: Ready, state_dir: Path, host: str, port: int) -> str:
    """Return the configuration (TOML) of a site with the simulated devices."""
    demo = data_directory() / "demo"
    manifest = json.loads((demo / "dispatch.json").read_text(encoding="utf-8"))
    lines = [
        "# Written by `bessai demo`. The waits that a real SUN2000 needs are off: simulated devices need none.",
        "[site]",
        'id = "SITE-CL-001"',
        f"state_dir = {json.dumps(str(state_dir))}",
        "",
        "[api]",
        f"host = {json.dumps(host)}",
        f"port = {port}",
        "",
        "[dispatcher]",
        f"prices_path = {json.dumps(str(demo / 'prices.csv'))}",
        f"replay_speed = {_PRICE_SECONDS_PER_SECOND} # an hour of prices in 20 s",
        f"model = {{ path = {json.dumps(str(demo / 'dispatch.onnx'))}, sha256 = {json.dumps(manifest['sha256'])} }}",
    ]
    for device in ready.devices:
        lines += [
            "",
            "[[devices]]",
            f"id = {json.dumps(device.name)}",
            f"host = {json.dumps(device.host)}",
            f"port = {device.port}",
            f"unit_id = {device.unit}",
            "poll_s = 0.5",
            "connect_delay_s = 0.0",
            "gap_s = 0.0",
            "reconnect_initial_s = 0.2",
        ]
    return "\n".join(lines) + "\n"


def _start_simulator(
    options: DemoOptions, directory: Path
) -> tuple[subprocess.Popen[bytes], Ready]:
    record = directory / "devices"
    process = subprocess.Popen(  # noqa: S603 - our own program
        [
            *_attached("bessai.simulator"),
            f"--devices={options.devices}",
            f"--port={options.simulator_port}",
            "--json",
            f"--record={record}",
            "--set=pv_w=1500",
            "--set=load_w=800",
            "--set=variation=0.1",
        ],
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which stops the others in order
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_PATIENCE_S) else b""
    if not line:
        _end(process)
        raise DemoError("the simulator did not start: what it said stands above")
    return process, msgspec.json.decode(line, type=Ready)


def _start_gateway(config: Path, log_path: Path) -> subprocess.Popen[bytes]:
    with log_path.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own program
            [*_attached("bessai"), "run", f"--config={config}"],
            stderr=log,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if not _is_override(name)},
        )


def _attached(module: str) -> list[str]:
    """Return the command that runs `module`, and stops it in order even if this process is killed."""
    return [sys.executable, "-m", "bessai.attached", str(os.getpid()), module]


def _is_override(name: str) -> bool:
    """Whether a variable would change the demonstration's own configuration."""
    return name.startswith(("INVERTER_", "HEALTH_", "GCP_", "OTEL_")) or name in {
        "SITE_ID",
        "BESSAI_STATE_DIR",
    }


class _TextView:
    """Shows the demonstration to a person."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._shown_cells = ""

    def introduce(self, ready: Ready, directory: Path) -> None:
        """Say what runs, and what to open."""
        devices = ", ".join(
            f"{device.name} on {device.host}:{device.port}" for device in ready.devices
        )
        click.echo(
            f"simulated batteries: {devices} (control channel: port {ready.control_port})\n"
            f"health:   {self._url}/health\n"
            f"metrics:  {self._url}/metrics\n"
            f"log:      {directory / 'gateway.log'}\n"
            f"devices' own record: {directory / 'devices'}\n"
            "Kill any part and watch it come back; the process ids stand below. Ctrl-C stops everything in order.\n"
        )

    def show(self) -> None:
        """Say how the site stands now, and the process ids where they have changed."""
        health = ask(f"{self._url}/health")
        cells = _cells_line(health)
        if cells != self._shown_cells:
            click.echo(cells)
            self._shown_cells = cells
        click.echo(_status_line(health, _ask_text(f"{self._url}/metrics")))

    def stopping(self) -> None:
        """Say that the end has begun."""
        click.echo("stopping: every battery is left in its safe state first")


class _JsonView:
    """Tells a program the same: one JSON object a line, told apart by its `event`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def introduce(self, ready: Ready, directory: Path) -> None:
        """Say what runs, and what to open."""
        self._tell(
            "started",
            health=f"{self._url}/health",
            metrics=f"{self._url}/metrics",
            log=str(directory / "gateway.log"),
            record=str(directory / "devices"),
            simulator=msgspec.to_builtins(ready),
        )

    def show(self) -> None:
        """Pass on what /health answers; null while it does not answer."""
        self._tell("health", health=ask(f"{self._url}/health") or None)

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._tell("stopping")

    def _tell(self, event: str, **told: object) -> None:
        click.echo(json.dumps({"event": event, **told}))


def _watch(
    processes: tuple[subprocess.Popen[bytes], ...],
    view: _TextView | _JsonView,
    stop: _Stop,
    duration_s: float | None,
) -> None:
    """Show how the site stands until it is to end or one of `processes` has ended."""
    end_s = time.monotonic() + (float("inf") if duration_s is None else duration_s)
    view_s = 0.0
    while not stop.asked and time.monotonic() < end_s and all(p.poll() is None for p in processes):
        if os.getpid() == 1:
            reap_strangers({process.pid for process in processes})
        if time.monotonic() >= view_s:
            view_s = time.monotonic() + _VIEW_S
            view.show()
        time.sleep(0.1)


def _last_words(status: int, log: Path, begins: int) -> str:
    """Return why the gateway ended, as far as its log from byte `begins` on tells."""
    lines = log.read_bytes()[begins:].decode("utf-8", errors="replace").splitlines()
    said = next((line for line in reversed(lines) if line.startswith("bessai: ")), "")
    why = said.removeprefix("bessai: ") or f"its log is {log}"
    return f"the gateway ended with status {status}: {why}"


def _cells_line(health: dict[str, Any]) -> str:
    cells = [
        f"{name} {cell['pid']}" for name, cell in health.get("cells", {}).items() if cell.get("pid")
    ]
    return f"cells:    {', '.join(cells)}" if cells else "cells:    not heard of yet"


def _status_line(health: dict[str, Any], metrics: str) -> str:
    status = health.get("status", "no answer yet")
    readings = _readings(metrics)
    parts = [f"{time.strftime('%H:%M:%S')}  {status}"]
    for name, device in health.get("devices", {}).items():
        soc, power = (
            readings.get(("bessai_battery_soc_percent", name)),
            readings.get(("bessai_battery_power_watts", name)),
        )
        shown = f"{soc:.1f} % {power:+.0f} W" if soc is not None and power is not None else "?"
        parts.append(f"{name} {shown} {device.get('safety', {}).get('state', 'unknown')}")
    return " | ".join([*parts, *health.get("reason", [])[:2]])


def _readings(metrics: str) -> dict[tuple[str, str], float]:
    found = {}
    for line in metrics.splitlines():
        name, brace, rest = line.partition('{device="')
        if brace and name.startswith("bessai_battery_"):
            device, _, value = rest.partition('"}')
            found[name, device] = float(value)
    return found


def _url(host: str, port: int) -> str:
    """Return where a server that listens on `host` can be asked from this machine."""
    place = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked, not served
    return f"http://[{place}]:{port}" if ":" in place else f"http://{place}:{port}"


def ask(url: str) -> dict[str, Any]:
    """Return the JSON object that is answered, empty if there is none."""
    text = _ask_text(url)
    answer: dict[str, Any] = json.loads(text) if text else {}
    return answer


def _ask_text(url: str) -> str:
    """Return what is answered, whatever its status; empty if nothing is, or who answers was killed amid it."""
    try:
        return _read(url).decode()
    except (OSError, http.client.HTTPException):
        return ""


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:  # noqa: S310 - our own URL
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.read()


def _free_port() -> int:
    import socket  # noqa: PLC0415 - needed here only

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> int:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    status = process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return status
