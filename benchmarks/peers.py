"""A poll of a simulated SUN2000 with about a hundred points, by us and by others, one after the other in the same run.

Ours is a link and a book: identified, read in blocks, decoded, judged, and made into vitals and an encoded sample. The
others only read and decode: pymodbus' client asks for each point, and huawei-solar does it both ways that it offers.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from pymodbus.client import AsyncModbusTcpClient

from actors.inverter.decode_rules import CODES
from actors.inverter.profile import Point
from benchmarks.figures import Figure, figure
from benchmarks.peers_own import Cost, OwnPolls
from bessai.testing import SimulatedSite
from tests.peers.environment import peers_python

POLLS = 40
RUNS = 5
_KINDS = {kind.value[0]: kind for kind in AsyncModbusTcpClient.DATATYPE}
"""By the letter that `struct` has for it."""
_PROGRAM = Path(__file__).parent / "peers_huawei.py"
_PATIENCE_S = 300.0


def run() -> list[Figure]:
    """Measure; about a minute."""
    with tempfile.TemporaryDirectory() as name, SimulatedSite(Path(name), devices=1) as site:
        device = site.ready.devices[0]
        ours = OwnPolls(device.host, device.port, device.unit)
        costs = {"ours, in blocks, with judging and encoding": ours.cost(RUNS, POLLS)}
        wanted = ours.points()
        ours.link.close()
        costs["peer: pymodbus, point by point"] = asyncio.run(
            _pymodbus(device.host, device.port, device.unit, wanted)
        )
        for way in ("batches", "singles"):
            costs[f"peer: huawei-solar, {way}"] = _huawei(
                way, device.host, device.port, device.unit, wanted
            )
    return [row for name, cost in costs.items() for row in _rows(name, cost)]


def _rows(name: str, cost: Cost) -> list[Figure]:
    about = f"{name}: poll of {cost.points} values"
    return [figure(about, "us CPU", cost.cpu_us), figure(about, "ms", cost.wall_ms)]


async def _pymodbus(host: str, port: int, unit: int, points: list[Point]) -> Cost:
    client = AsyncModbusTcpClient(host, port=port, retries=0, reconnect_delay=0)
    assert await client.connect()

    async def poll() -> int:
        values = [await _value(client, unit, point) for point in points]
        return len(values) - values.count(None)

    try:
        return await _measure(poll)
    finally:
        client.close()


async def _value(client: AsyncModbusTcpClient, unit: int, point: Point) -> float | None:
    answer = await client.read_holding_registers(point.address, count=point.count, device_id=unit)
    if answer.isError():
        return None
    number = client.convert_from_registers(answer.registers, _KINDS[CODES[point.type]])
    assert isinstance(number, int | float)
    return number / point.gain


async def _measure(poll: Callable[[], Awaitable[int]]) -> Cost:
    points = await poll()
    cpu_us, wall_ms = [], []
    for _ in range(RUNS):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for _ in range(POLLS):
            await poll()
        cpu_us.append((time.process_time() - cpu_s) * 1e6 / POLLS)
        wall_ms.append((time.perf_counter() - wall_s) * 1e3 / POLLS)
    return Cost(points, cpu_us, wall_ms)


def _huawei(way: str, host: str, port: int, unit: int, points: list[Point]) -> Cost:
    arguments = [host, str(port), str(unit), way, str(RUNS), str(POLLS)]
    done = subprocess.run(
        [str(peers_python()), str(_PROGRAM), *arguments],
        input=json.dumps([point.address for point in points]),
        stdout=subprocess.PIPE,
        text=True,
        timeout=_PATIENCE_S,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Cost)
