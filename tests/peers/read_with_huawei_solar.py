"""Reads registers with the package huawei-solar and prints what it made of them as JSON.

Runs in the peers' environment, as a program of its own: `python read_with_huawei_solar.py HOST PORT UNIT`, addresses as
a JSON list on the standard input. Nothing of this project is imported here.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import json
import struct
import sys
from typing import Any

from huawei_solar import AsyncHuaweiSolar  # pyright: ignore[reportMissingImports]
from huawei_solar.exceptions import HuaweiSolarException  # pyright: ignore[reportMissingImports]
from huawei_solar.registers import REGISTERS, TargetDevice  # pyright: ignore[reportMissingImports]


async def read(host: str, port: int, unit: int, addresses: set[int]) -> dict[int, Any]:
    """Return by address what each register is called there, and its value or why there is none."""
    client = await AsyncHuaweiSolar.create(host, port, unit, cooldown_time=0.0)
    found: dict[int, Any] = {}
    try:
        for name, register in REGISTERS.items():
            mine = TargetDevice.SUN2000 in register.target_device
            if mine and register.readable and register.register in addresses:
                told = await one(client, name)
                found.setdefault(register.register, {})[str(name)] = told
    finally:
        await client.stop()
    return found


async def one(client: Any, name: str) -> dict[str, Any]:
    """Return the value of one register, or the exception that the package raised."""
    try:
        return {"value": (await client.get(name)).value}
    except (HuaweiSolarException, AssertionError, struct.error) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def plain(value: object) -> object:
    """Return what JSON knows of a value that it does not know."""
    match value:
        case dt.datetime():
            return value.timestamp()
        case enum.Enum():
            return value.value
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.asdict(value)
        case _:
            return str(value)


if __name__ == "__main__":
    host, port, unit = sys.argv[1:]
    wanted = set(json.load(sys.stdin))
    print(json.dumps(asyncio.run(read(host, int(port), int(unit), wanted)), default=plain))  # noqa: T201
