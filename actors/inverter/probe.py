"""Asks a device once who it is and what it reads, for people who set a site up."""

from __future__ import annotations

import asyncio
import time

import msgspec

from actors.inverter.config import InverterConfig
from actors.inverter.errors import DeviceError, LinkClosedError, LinkError
from actors.inverter.identity import Found, identify
from actors.inverter.poll import PollBook
from actors.inverter.profile import Timing
from actors.inverter.wire import Wire


class PointReading(msgspec.Struct, frozen=True, kw_only=True):
    """One point as it was read."""

    name: str
    unit: str
    value: float | None
    reason: str = ""
    """Why there is no value."""


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found at a device's address."""

    device_id: str
    fault: str = ""
    """Why the device cannot be used, or empty."""
    model: str = ""
    serial: str = ""
    seconds: float = 0.0
    readings: tuple[PointReading, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the right device answered every safety block."""
        return not self.fault


def probe(config: InverterConfig, timeout_s: float = 30.0) -> ProbeReport:
    """Connect, identify and read every block once; nothing is written. Blocks for at most `timeout_s` seconds."""
    began_s = time.monotonic()
    report = asyncio.run(_within(config, timeout_s))
    return msgspec.structs.replace(report, seconds=time.monotonic() - began_s)


async def _within(config: InverterConfig, timeout_s: float) -> ProbeReport:
    timing = config.timing()
    wire = Wire(config.host, config.port, config.unit_id, timing.timeout_s, lambda: None)
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(config, timing, wire)
    except TimeoutError:
        return ProbeReport(
            device_id=config.device_id, fault=f"not read completely within {timeout_s:g} s"
        )
    except LinkError as error:
        return ProbeReport(device_id=config.device_id, fault=str(error))
    finally:
        wire.end(LinkClosedError("the probe is over"))


async def _ask(config: InverterConfig, timing: Timing, wire: Wire) -> ProbeReport:
    await wire.open()
    await asyncio.sleep(timing.connect_delay_s)

    async def read(address: int, count: int) -> list[int]:
        try:
            return await wire.read(address, count)
        finally:
            await asyncio.sleep(timing.gap_s)

    found = await identify(config.profile.identity, read)
    book = PollBook(config.device_id, 0, config.profile)
    for first in (True, False):  # blocks that depend on a point are read in the second poll
        for job in book.begin(time.time_ns(), first=first):
            try:
                book.arrived(job.poll, job.block, await read(job.address, job.count))
            except DeviceError as error:
                book.failed(job.poll, job.block, str(error))
    return _report(config, found, book)


def _report(config: InverterConfig, found: Found, book: PollBook) -> ProbeReport:
    faults = book.vitals(0).faults
    return ProbeReport(
        device_id=config.device_id,
        fault=f"safety cannot read {'; '.join(faults)}" if faults else "",
        model=found.model,
        serial=found.serial,
        readings=tuple(
            PointReading(name=name, unit=unit, value=value, reason=reason)
            for name, unit, value, reason in book.readings()
        ),
    )
