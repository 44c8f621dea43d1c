"""Carries out one write job: every step in order, then what must read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from actors.inverter.errors import DeviceError, RefusedWriteError, told
from actors.inverter.jobs import RegisterWords, WriteJob
from actors.inverter.line import Line, OvertakenError
from actors.messages import WriteResult

_READ_BACK_AGAIN_S = 0.1


class Outcome(NamedTuple):
    """How a job ended."""

    result: WriteResult
    detail: str


class WriteRun:
    """One job on one line."""

    def __init__(
        self, job: WriteJob, line: Line, readback_s: float, obstacle: Callable[[WriteJob], str]
    ) -> None:
        """Prepare; `obstacle` tells why nothing more of the job may be sent, or nothing."""
        self._job = job
        self._line = line
        self._readback_s = readback_s
        self._obstacle = obstacle
        self._written = 0

    async def carry_out(self) -> Outcome:
        """Write and read back.

        Raises:
            LinkError: the link was lost: whether the device did it is not known.
        """
        self._line.refresh()
        job, refusal = self._job, ""
        for step in job.steps:
            try:
                await self._require_unchanged(step)
                await self._line.write(step.address, step.words, self._check)
            except OvertakenError as obstacle:
                return self._ended(str(obstacle))
            except (DeviceError, RefusedWriteError) as error:
                why = told(error, self._line.login) if isinstance(error, DeviceError) else error
                refusal = refusal or f"{step.name}: {why}"
                if not job.safe:
                    return Outcome(WriteResult.REJECTED, refusal)
            else:
                self._written += 1
                await self._line.pause(step.settle_s)
        return self._conclude(refusal, await self._read_back())

    async def _require_unchanged(self, step: RegisterWords) -> None:
        if not step.before:
            return
        words = await self._line.read(step.address, len(step.before), self._check)
        if tuple(words) != step.before:
            msg = f"reads {words} at {step.address}, expected {list(step.before)}: it is left as it is"
            raise RefusedWriteError(msg)

    def _ended(self, obstacle: str) -> Outcome:
        result = WriteResult.UNVERIFIED if self._written else WriteResult.REJECTED
        return Outcome(result, f"{obstacle} after {self._written} of {len(self._job.steps)} writes")

    def _conclude(self, refusal: str, mismatch: str) -> Outcome:
        if not mismatch:
            return Outcome(WriteResult.VERIFIED, refusal)
        if refusal:
            return Outcome(WriteResult.REJECTED, f"{refusal}; {mismatch}")
        return Outcome(WriteResult.UNVERIFIED, mismatch)

    async def _read_back(self) -> str:
        """Return what does not read back as expected, or nothing; some devices show what was written a little later."""
        clock = asyncio.get_running_loop().time
        until_s = clock() + self._readback_s
        for check in self._job.checks:
            while mismatch := await self._mismatch(check):
                if clock() >= until_s or self._line.urgent.is_set():
                    return mismatch
                await self._line.pause(_READ_BACK_AGAIN_S)
        return ""

    async def _mismatch(self, check: RegisterWords) -> str:
        try:
            words = await self._line.read(check.address, len(check.words), self._check_reading)
        except OvertakenError as obstacle:
            return f"{obstacle} before it was read back"
        except DeviceError as error:
            return f"{check.name} cannot be read back: {told(error, self._line.login)}"
        if check.agrees(words):
            return ""
        return f"{check.name} reads {words} at {check.address}, expected {list(check.words)}"

    def _check(self) -> None:
        obstacle = self._obstacle(self._job)
        if obstacle:
            raise OvertakenError(obstacle)

    def _check_reading(self) -> None:
        """A lease that has ended keeps nobody from looking what was written."""
        if self._line.urgent.is_set() and not self._job.safe:
            msg = "overtaken by a safe command"
            raise OvertakenError(msg)
