"""Tests of what a link sleeps on, on a real loop."""

from __future__ import annotations

import asyncio

import pytest

from actors.inverter.wake import Wake

PATIENCE_S = 10.0


async def within(task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await task


def test_what_was_set_before_is_not_waited_for() -> None:
    async def run() -> None:
        wake = Wake()
        wake.set()
        await within(asyncio.create_task(wake.wait()))
        await within(asyncio.create_task(wake.wait()))

    asyncio.run(run())


def test_a_sleeper_is_woken_and_sleeps_again_after_clear() -> None:
    async def run() -> None:
        wake = Wake()
        for _ in range(2):
            wake.clear()
            sleeper = asyncio.create_task(wake.wait())
            await asyncio.sleep(0)
            assert not sleeper.done()
            wake.set()
            wake.set()
            await within(sleeper)

    asyncio.run(run())


def test_a_sleeper_that_was_cancelled_is_not_woken() -> None:
    async def run() -> None:
        wake = Wake()
        sleeper = asyncio.create_task(wake.wait())
        await asyncio.sleep(0)
        sleeper.cancel()
        wake.set()
        with pytest.raises(asyncio.CancelledError):
            await within(sleeper)
        await within(asyncio.create_task(wake.wait()))

    asyncio.run(run())
