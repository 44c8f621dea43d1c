"""Puts back what a hold has changed in a device's flash, while no gateway runs: for people, and read back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from actors.inverter.config import InverterConfig
from actors.inverter.errors import KINDS, LinkClosedError, LinkError
from actors.inverter.flash import Flash, utc_day
from actors.inverter.jobs import RegisterWords, WriteJob
from actors.inverter.ledger_file import LedgerFile
from actors.inverter.line import Line
from actors.inverter.profile import WriteSpec
from actors.inverter.trunk import Rank, Trunk
from actors.inverter.write_run import WriteRun
from actors.messages import WriteResult


class RestoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the originals of a device."""

    restored: tuple[RegisterWords, ...] = ()
    """What was written and read back."""
    left_alone: tuple[RegisterWords, ...] = ()
    """Originals of registers that somebody else has set since; they are forgotten."""
    fault: str = ""
    """Why the rest is not restored, or empty; it stays recorded."""


def restore(config: InverterConfig, timeout_s: float = 30.0) -> RestoreReport:
    """Restore the originals that are recorded for the device of `config`. Blocks for at most `timeout_s` seconds.

    Raises:
        LedgerError: what is recorded cannot be trusted.
    """
    file = LedgerFile(Path(config.state_dir), config.device_id)
    file.load()
    flash = Flash(file, lambda: utc_day(time.time_ns()))
    return asyncio.run(_within(config, flash, timeout_s)) if flash.holding else RestoreReport()


async def _within(config: InverterConfig, flash: Flash, timeout_s: float) -> RestoreReport:
    trunk = Trunk(config.address())
    try:
        async with asyncio.timeout(timeout_s):
            return await _restore(config, flash, trunk)
    except TimeoutError:
        return RestoreReport(fault=f"not done within {timeout_s:g} s")
    except LinkError as error:
        return RestoreReport(fault=str(error))
    finally:
        trunk.abandon(LinkClosedError("the restoration is over"))


async def _restore(config: InverterConfig, flash: Flash, trunk: Trunk) -> RestoreReport:
    timing = config.timing()
    wire = await trunk.connect(timing)
    errors = dict.fromkeys(KINDS, 0)
    line = Line(trunk, wire, config.unit(), timing, rank=lambda: Rank.COMMAND, errors=errors)
    found = await line.recognise(config.profile, config.longest_read())
    flash.serial(found.serial)
    if flash.fault:
        return RestoreReport(fault=flash.fault)
    return await _write(found.profile.write, flash, line, timing.readback_s)


async def _write(spec: WriteSpec, flash: Flash, line: Line, readback_s: float) -> RestoreReport:
    originals = flash.originals
    now = {
        each.address: tuple(await line.read(each.address, len(each.words))) for each in originals
    }
    plan, settles = flash.release(spec, now)
    written = {step.address for step in plan.steps}
    left = tuple(each for each in originals if each.address not in written)
    job = WriteJob(number=1, safe=True, steps=plan.steps, checks=plan.checks)
    outcome = await WriteRun(job, line, readback_s, lambda _job: "").carry_out()
    if outcome.result is not WriteResult.VERIFIED:
        return RestoreReport(left_alone=left, fault=f"{outcome.result.value}: {outcome.detail}")
    fault = flash.settled(settles) if settles is not None else flash.keep()
    return RestoreReport(restored=plan.steps, left_alone=left, fault=fault)
