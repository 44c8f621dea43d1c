"""What reading 50 registers costs the gateway's processor: our wire, a whole link, and pymodbus' own client."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator

import uvloop
from pymodbus.client import AsyncModbusTcpClient

from actors.inverter.config import InverterConfig
from actors.inverter.io_loop import IoLoop
from actors.inverter.jobs import BlockRef, LinkChanged, LinkEvent, PollJob, PollPart
from actors.inverter.link import Endpoint, ModbusLink
from actors.inverter.profile_file import load_profile
from actors.inverter.wire import Address, Wire
from actors.messages import LinkState
from benchmarks.figures import Figure, figure
from supervision.clock import SystemClock

COUNT = 50
BLOCKS = 6
"""Requests of a poll, as in the fleet."""
REQUESTS = 3000
RUNS = 7
LIMIT_US = 60.0

Ask = Callable[[], Awaitable[object]]


def run() -> list[Figure]:
    """Measure; about fifteen seconds."""
    with _server() as port:
        return [
            figure(
                f"poll of {BLOCKS} blocks through a link, for each request",
                "us CPU",
                _link(port),
                p50_limit=LIMIT_US,
            ),
            figure("the wire alone", "us CPU", uvloop.run(_wire(port))),
            figure("peer: pymodbus' client on uvloop", "us CPU", uvloop.run(_pymodbus(port))),
        ]


@contextlib.contextmanager
def _server() -> Generator[int]:
    """A server on a processor of its own, where there are several."""
    command = [sys.executable, "-m", "benchmarks.lean_server"]
    cores = sorted(os.sched_getaffinity(0))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        os.sched_setaffinity(server.pid, cores[-1:])
        os.sched_setaffinity(0, cores[:1])
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.kill()
            os.sched_setaffinity(0, cores)


async def _wire(port: int) -> list[float]:
    wire = Wire(Address(host="127.0.0.1", port=port), lambda: None)
    await wire.open(5.0)
    return await _costs(lambda: wire.read(1, 0, COUNT, 5.0))


async def _pymodbus(port: int) -> list[float]:
    client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, reconnect_delay=0)
    assert await client.connect()
    spent = await _costs(lambda: client.read_holding_registers(0, count=COUNT, device_id=1))
    client.close()
    return spent


async def _costs(ask: Ask) -> list[float]:
    spent = []
    for _ in range(RUNS):
        for _ in range(REQUESTS // 10):
            await ask()
        begin_s = time.process_time()
        for _ in range(REQUESTS):
            await ask()
        spent.append((time.process_time() - begin_s) * 1e6 / REQUESTS)
    return spent


class _Reader:
    """Has a link poll again as soon as it has polled, as often as is wanted."""

    def __init__(self, port: int) -> None:
        profile = load_profile("huawei_sun2000_luna2000")
        config = InverterConfig(
            device_id="d", host="127.0.0.1", port=port, profile=profile, gap_s=0, connect_delay_s=0
        )
        endpoint = Endpoint(
            device_id="d",
            address=config.address(),
            unit_id=config.unit(),
            profile=profile,
            timing=config.timing(),
            max_registers=config.longest_read(),
        )
        self.ready, self.done = threading.Event(), threading.Event()
        self._left = 0
        self._refs = tuple(BlockRef(number, 0, COUNT) for number in range(BLOCKS))
        self.link = ModbusLink(endpoint, IoLoop(), SystemClock(), self._hear)
        self.link.start()

    def poll(self, times: int) -> None:
        self._left = times
        self.done.clear()
        self._next()
        assert self.done.wait(60.0)

    def _next(self) -> None:
        self.link.submit(PollJob(self._left, self._refs[:1], self._refs[1:]))

    def _hear(self, event: LinkEvent) -> None:
        match event:
            case LinkChanged(state=LinkState.ONLINE):
                self.ready.set()
            case PollPart(last=True):
                assert event.answers[0].words is not None
                self._left -= 1
                self._next() if self._left else self.done.set()
            case _:
                pass


def _link(port: int) -> list[float]:
    reader = _Reader(port)
    assert reader.ready.wait(10.0)
    spent = []
    for _ in range(RUNS):
        reader.poll(REQUESTS // BLOCKS // 10)
        begin_s = time.process_time()
        reader.poll(REQUESTS // BLOCKS)
        spent.append((time.process_time() - begin_s) * 1e6 / REQUESTS)
    reader.link.close()
    return spent
