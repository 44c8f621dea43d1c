"""Polls a device with the package huawei-solar and prints as JSON what a poll takes.

Runs in the peers' environment, as a program of its own: `python peers_huawei.py HOST PORT UNIT WAY RUNS POLLS`, the
addresses wanted as a JSON list on the standard input. The way is `singles`, or `batches` as long and with such gaps as
the package's own bridge makes them. Nothing of this project is imported here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

from huawei_solar import (  # pyright: ignore[reportMissingImports]
    AsyncHuaweiSolar,
    HuaweiSolarException,
)
from huawei_solar.const import (  # pyright: ignore[reportMissingImports]
    MAX_BATCHED_REGISTERS_COUNT,
    MAX_BATCHED_REGISTERS_GAP,
)
from huawei_solar.registers import REGISTERS, TargetDevice  # pyright: ignore[reportMissingImports]


def names_at(addresses: set[int]) -> list[str]:
    """Return the package's name for each of `addresses` that it has one for, in the order of the addresses."""
    found = {
        register.register: str(name)
        for name, register in REGISTERS.items()
        if TargetDevice.SUN2000 in register.target_device
        and register.readable
        and register.register in addresses
    }
    return [found[address] for address in sorted(found)]


def batches_of(names: list[str]) -> list[list[str]]:
    """Return `names` in groups that are read at once."""
    groups: list[list[str]] = []
    begin = end = 0
    for name in names:
        at, length = REGISTERS[name].register, REGISTERS[name].length
        near = at - end < MAX_BATCHED_REGISTERS_GAP
        if groups and near and at + length - begin <= MAX_BATCHED_REGISTERS_COUNT:
            groups[-1].append(name)
        else:
            groups.append([name])
            begin = at
        end = at + length
    return groups


async def read(client: AsyncHuaweiSolar, names: list[str]) -> int:
    """Return how many values came of reading `names` at once."""
    try:
        return len(await client.get_multiple(names))
    except HuaweiSolarException:
        return 0


async def cost(poll: Callable[[], Awaitable[int]], runs: int, polls: int) -> dict[str, object]:
    """Return what `poll` takes."""
    points = await poll()
    cpu_us, wall_ms = [], []
    for _ in range(runs):
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for _ in range(polls):
            await poll()
        cpu_us.append((time.process_time() - cpu_s) * 1e6 / polls)
        wall_ms.append((time.perf_counter() - wall_s) * 1e3 / polls)
    return {"points": points, "cpu_us": cpu_us, "wall_ms": wall_ms}


async def main() -> None:
    """Measure what the command line says."""
    host, port, unit, way, runs, polls = sys.argv[1:]
    client = await AsyncHuaweiSolar.create(host, int(port), int(unit), cooldown_time=0.0)
    names = names_at(set(json.load(sys.stdin)))
    groups = batches_of(names) if way == "batches" else [[name] for name in names]

    async def poll() -> int:
        return sum([await read(client, group) for group in groups])

    print(json.dumps(await cost(poll, int(runs), int(polls))))
    await client.stop()


if __name__ == "__main__":
    asyncio.run(main())
