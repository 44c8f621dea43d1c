"""The simulated site: every device on its own port, stepped on the monotonic clock, in one process."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from bessai.simulator.control import serve_control
from bessai.simulator.descriptors import allow_sockets
from bessai.simulator.device import DeviceConfig
from bessai.simulator.director import Director, FaultFile
from bessai.simulator.kinds import AnyDevice, DeviceKind, make
from bessai.simulator.operations import Operations
from bessai.simulator.pace import step_forever, usual_step_hz
from bessai.simulator.plan import Plan, read_plan
from bessai.simulator.record import KEEP, DeviceRecord, RecordFiles
from bessai.simulator.server import DeviceServer, bind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

KEEP_TOGETHER = 1_000_000
"""Records of each kind that all devices together keep in memory."""
MAX_DEVICES = 1000
MAX_PORT = 65_535


class SimulatorConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to simulate and where to serve it."""

    devices: int = 3
    kind: DeviceKind = DeviceKind.HUAWEI
    host: str = "127.0.0.1"
    port: int = 5020
    """Port of the first device; the others count up. 0 gives each device any free port."""
    control_port: int = 0
    """Port of the control channel on the loopback; 0 takes any free one."""
    unit: int = 1
    seed: int = 0
    step_hz: float | None = None
    """Steps of the physics per second and device; `None`: as often as their number allows."""
    truth_hz: float = 1.0
    """Recorded truths per second and device; 0 records every step."""
    record: Path | None = None
    """Directory of truth.jsonl, writes.jsonl and faults.jsonl; `None` keeps the record in memory only."""
    plan: Path | None = None
    """What goes wrong when."""
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
            ("step_hz", self.steps_per_s, 0.1, 1000),
            ("truth_hz", self.truth_hz, 0, 1000),
        )
        for name, value, low, high in ranges:
            if not low <= value <= high:
                msg = f"{name}={value:g} must be {low:g} to {high:g}"
                raise ValueError(msg)

    @property
    def steps_per_s(self) -> float:
        """Steps of the physics per second and device."""
        return usual_step_hz(self.devices) if self.step_hz is None else self.step_hz

    @property
    def names(self) -> list[str]:
        """The names of the devices, in their order."""
        return [f"d{number}" for number in range(1, self.devices + 1)]


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
        PlanError: if the plan cannot be carried out on these devices.
        TooFewDescriptorsError: if the system allows fewer sockets than so many devices need.
        PortInUseError: if a port cannot be bound, or was taken while a device refused connections.
        OSError: if the directory for the record cannot be written.
    """
    plan = None if config.plan is None else read_plan(config.plan, config.names)
    allow_sockets(config.devices + 1)
    site = _Site(config)
    if plan is not None:
        site.director.prepare(plan)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(site.serve(plan, on_ready))


class _Site:
    """The devices of a site, their servers, and what is recorded of them."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._files = None if config.record is None else RecordFiles(config.record)
        self._servers = {server.device.name: server for server in _servers(config)}
        faults = None if config.record is None else FaultFile(config.record)
        self.director = Director(self._servers, faults)
        self._stop = asyncio.Event()
        hz, truth_hz = config.steps_per_s, config.truth_hz
        self._truth_every = max(round(hz / truth_hz), 1) if truth_hz else 1

    async def serve(self, plan: Plan | None, on_ready: Callable[[Ready], None]) -> None:
        """Serve until told to stop, or until what drives the site has failed."""
        operations = Operations(self._servers, self.director, self._stop.set)
        control_socket = bind("127.0.0.1", self._config.control_port)
        control_port = control_socket.getsockname()[1]
        control = await serve_control(operations, control_socket)
        for server in self._servers.values():
            await server.accept()
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, self._stop.set)
        # What was built at the start lives to the end: the collector need not walk it while clients wait.
        gc.freeze()
        driving = [asyncio.create_task(self._step_all())]
        if plan is not None:
            driving.append(asyncio.create_task(self.director.play(plan)))
        for task in driving:
            task.add_done_callback(self._stop_if_failed)
        endpoints = [
            Endpoint(name=name, host=s.host, port=s.port, unit=s.unit)
            for name, s in self._servers.items()
        ]
        on_ready(Ready(devices=endpoints, control_host="127.0.0.1", control_port=control_port))
        await self._stop.wait()
        control.close()
        await self._close(driving)

    def _stop_if_failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._stop.set()

    async def _step_all(self) -> None:
        devices = [server.device for server in self._servers.values()]
        await step_forever(devices, self._config.steps_per_s, self._step)

    def _step(self, device: AnyDevice, dt_s: float, turn: int) -> None:
        """Step one device, and record as configured."""
        device.step(dt_s)
        if turn % self._truth_every == 0:
            device.record.truths.append(device.truth())
        if self._files is not None:
            self._files.take(device.name, device.record)

    async def _close(self, driving: Iterable[asyncio.Task[None]]) -> None:
        """End in reverse order of start, and raise what ended the stepping or the plan, if one failed."""
        for task in driving:
            task.cancel()
        outcomes = await asyncio.gather(*driving, return_exceptions=True)
        self.director.close()
        for server in self._servers.values():
            server.close()
        if self._files is not None:
            for name, server in self._servers.items():
                self._files.take(name, server.device.record)
            self._files.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


def _servers(config: SimulatorConfig) -> list[DeviceServer]:
    ports = [config.port + i if config.port else 0 for i in range(config.devices)]
    listeners = [bind(config.host, port) for port in ports]
    keep = min(KEEP, KEEP_TOGETHER // config.devices)
    servers: list[DeviceServer] = []
    for name, listener in zip(config.names, listeners, strict=True):
        device = make(config.kind, name, config.device, seed=config.seed)
        device.record = DeviceRecord(name, keep)
        servers.append(DeviceServer(device, listener, unit=config.unit, seed=config.seed))
    return servers
