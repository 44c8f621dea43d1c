"""The simulated site: every device on its own port, stepped on the monotonic clock, in one process."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from bessai.simulator.control import serve_control
from bessai.simulator.device import DeviceConfig, SimulatedDevice
from bessai.simulator.operations import Operations
from bessai.simulator.record import RecordFiles
from bessai.simulator.server import DeviceServer, bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_CATCH_UP_S = 1.0
"""A longer pause of the process is made up in one long step, which the physics allows, rather than in many."""
MAX_DEVICES = 1000
MAX_PORT = 65_535


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to simulate and where to serve it."""

    devices: int = 3
    host: str = "127.0.0.1"
    port: int = 5020
    """Port of the first device; the others count up. 0 gives each device any free port."""
    control_port: int = 0
    """Port of the control channel on the loopback; 0 takes any free one."""
    unit: int = 1
    seed: int = 0
    step_hz: float = 20.0
    truth_hz: float = 1.0
    """Recorded truths per second and device; 0 records every step."""
    record: Path | None = None
    """Directory of truth.jsonl and writes.jsonl; `None` keeps the record in memory only."""
    device: DeviceConfig = msgspec.field(default_factory=DeviceConfig)
    """How every device starts."""

    def __post_init__(self) -> None:
        """Refuse what cannot be served.

        Raises:
            ValueError: naming the field, its value and its range.
        """
        ranges: tuple[tuple[str, float, float, float], ...] = (
            ("devices", self.devices, 1, MAX_DEVICES),
            ("port", self.port, 0, MAX_PORT),
            ("port of the last device", self.port + self.devices - 1, 0, MAX_PORT),
            ("control_port", self.control_port, 0, MAX_PORT),
            ("unit", self.unit, 1, 247),
            ("step_hz", self.step_hz, 0.1, 1000),
            ("truth_hz", self.truth_hz, 0, 1000),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                msg = f"{name}={value:g} must be {low:g} to {high:g}"
                raise ValueError(msg)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where one device is served."""

    name: str
    host: str
    port: int
    unit: int


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Told once every socket listens."""

    devices: list[Endpoint]
    control_host: str
    control_port: int


def run_site(config: SimulatorConfig, on_ready: Callable[[Ready], None]) -> None:
    """Serve the site until SIGTERM, SIGINT or the control channel's `quit`; call `on_ready` when all listen.

    Raises:
        PortInUseError: if a port cannot be bound.
        OSError: if the directory for the record cannot be written.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, on_ready))


async def _serve(config: SimulatorConfig, on_ready: Callable[[Ready], None]) -> None:
    files = None if config.record is None else RecordFiles(config.record)
    servers = _servers(config)
    stop = asyncio.Event()
    operations = Operations({server.device.name: server for server in servers}, stop.set)
    control_socket = bind("127.0.0.1", config.control_port)
    control_port = control_socket.getsockname()[1]
    control = await serve_control(operations, control_socket)
    for server in servers:
        await server.serve_forever(background=True)
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    # What was built at the start lives to the end: the collector need not walk it while clients wait.
    gc.freeze()
    stepping = asyncio.create_task(_step_all(config, [server.device for server in servers], files))
    stepping.add_done_callback(lambda _: stop.set())
    endpoints = [
        Endpoint(name=s.device.name, host=s.host, port=s.port, unit=s.unit) for s in servers
    ]
    on_ready(Ready(devices=endpoints, control_host="127.0.0.1", control_port=control_port))
    await stop.wait()
    await _close(stepping, servers, control, files)


def _servers(config: SimulatorConfig) -> list[DeviceServer]:
    ports = [config.port + i if config.port else 0 for i in range(config.devices)]
    listeners = [bind(config.host, port) for port in ports]
    return [
        DeviceServer(
            SimulatedDevice(f"d{number}", config.device, seed=config.seed),
            listener,
            unit=config.unit,
        )
        for number, listener in enumerate(listeners, 1)
    ]


async def _step_all(
    config: SimulatorConfig, devices: list[SimulatedDevice], files: RecordFiles | None
) -> None:
    """Step every device by a fixed interval, paced by the monotonic clock, and record as configured."""
    interval_s = 1.0 / config.step_hz
    truth_every = max(round(config.step_hz / config.truth_hz), 1) if config.truth_hz else 1
    due_s = time.monotonic()
    tick = 0
    while True:
        due_s += interval_s
        await asyncio.sleep(max(due_s - time.monotonic(), 0.0))
        late_s = time.monotonic() - due_s
        dt_s = interval_s
        if late_s > MAX_CATCH_UP_S:
            dt_s, due_s = interval_s + late_s, due_s + late_s
        for device in devices:
            device.step(dt_s)
            if tick % truth_every == 0:
                device.record.truths.append(device.truth())
            # One device at a time, so that a waiting client is answered between them.
            await asyncio.sleep(0)
        _take(files, devices)
        tick += 1


def _take(files: RecordFiles | None, devices: Iterable[SimulatedDevice]) -> None:
    if files is not None:
        for device in devices:
            files.take(device.name, device.record)


async def _close(
    stepping: asyncio.Task[None],
    servers: list[DeviceServer],
    control: asyncio.Server,
    files: RecordFiles | None,
) -> None:
    """End in reverse order of start, and raise what ended the stepping, if it failed."""
    stepping.cancel()
    outcome = (await asyncio.gather(stepping, return_exceptions=True))[0]
    for server in servers:
        server.close()
    control.close()
    _take(files, [server.device for server in servers])
    if files is not None:
        files.close()
    if isinstance(outcome, Exception):
        raise outcome
