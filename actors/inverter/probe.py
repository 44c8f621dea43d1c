"""Asks a device once who it is and what it reads, for people who set a site up."""

from __future__ import annotations

import asyncio
import time

import msgspec

from actors.inverter.config import InverterConfig
from actors.inverter.errors import KINDS, DeviceError, LinkClosedError, LinkError
from actors.inverter.found import Found
from actors.inverter.jobs import BlockAnswer, BlockRef, PollPart
from actors.inverter.line import Line
from actors.inverter.point_reading import PointReading
from actors.inverter.poll import PollBook
from actors.inverter.profile import Timing
from actors.inverter.trunk import Rank, Trunk

_ROUNDS = 5
"""A block that depends on a point is read in a later round; so are the points of one that the device has in part."""


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
    trunk = Trunk(config.address())
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(config, timing, trunk)
    except TimeoutError:
        return ProbeReport(
            device_id=config.device_id, fault=f"not read completely within {timeout_s:g} s"
        )
    except LinkError as error:
        return ProbeReport(device_id=config.device_id, fault=str(error))
    finally:
        trunk.abandon(LinkClosedError("the probe is over"))


async def _ask(config: InverterConfig, timing: Timing, trunk: Trunk) -> ProbeReport:
    wire = await trunk.connect(timing)
    errors = dict.fromkeys(KINDS, 0)
    line = Line(trunk, wire, config.unit(), timing, rank=lambda: Rank.READ, errors=errors)
    found = await line.recognise(config.profile, config.longest_read())
    profile = found.profile
    book = PollBook(config.device_id, 0, profile, extras=len(profile.points))
    asked: set[BlockRef] = set()
    for first in (True, *[False] * _ROUNDS):
        job = book.begin(0, first=first)
        refs = (*job.safety, *job.rest)
        if asked.issuperset(refs):
            break
        asked.update(refs)
        line.refresh()
        answers = [await _answer(ref, line) for ref in refs]
        part = PollPart(
            poll=job.poll, answers=tuple(answers), safety=True, last=True, began_ns=0, mono_ns=0
        )
        book.take(part, time.time_ns())
    return _report(config, found, book)


async def _answer(ref: BlockRef, line: Line) -> BlockAnswer:
    try:
        return BlockAnswer(ref.block, await line.read(ref.address, ref.count))
    except DeviceError as error:
        return BlockAnswer(ref.block, error=error)


def _report(config: InverterConfig, found: Found, book: PollBook) -> ProbeReport:
    faults = book.vitals(0).faults
    return ProbeReport(
        device_id=config.device_id,
        fault=f"safety cannot read {'; '.join(faults)}" if faults else "",
        model=found.model,
        serial=found.serial,
        readings=tuple(book.readings()),
    )
