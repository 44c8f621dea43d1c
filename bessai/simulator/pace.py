"""When each device of a site is stepped: evenly spread over the interval, and seldom enough for their number.

Stepped all at once, hundreds of devices would keep every client waiting for as long as that takes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

MOST_HZ, LEAST_HZ = 20.0, 1.0
STEPS_PER_S = 400.0
"""Of all devices together, as long as none is stepped less often than `LEAST_HZ`."""
MIN_SLOT_S = 0.005
"""Devices are stepped in groups rather than more often than this."""
MAX_CATCH_UP_S = 1.0
"""A longer pause of the process is made up in one long step, which the physics allows, rather than in many."""

Stepped = TypeVar("Stepped")


def usual_step_hz(devices: int) -> float:
    """Return how often each of so many devices is stepped a second, unless told otherwise."""
    return min(max(STEPS_PER_S / max(devices, 1), LEAST_HZ), MOST_HZ)


def slots(devices: Sequence[Stepped], interval_s: float) -> list[list[Stepped]]:
    """Return the devices in as many groups as are stepped one after the other within `interval_s`."""
    count = max(min(len(devices), int(interval_s / MIN_SLOT_S)), 1)
    return [list(devices[first::count]) for first in range(count)]


async def step_forever(
    devices: Sequence[Stepped],
    step_hz: float,
    step: Callable[[Stepped, float, int], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call `step(device, seconds, turn)` for every device `step_hz` times a second by the steady `clock`.

    Every device is stepped by the same interval each time, so that a run does not depend on how busy the machine was,
    except after a pause longer than `MAX_CATCH_UP_S`.
    """
    interval_s = 1.0 / step_hz
    groups = slots(devices, interval_s)
    owed_s = [0.0] * len(groups)
    due_s = clock()
    turn = 0
    while True:
        for number, group in enumerate(groups):
            due_s += interval_s / len(groups)
            await asyncio.sleep(max(due_s - clock(), 0.0))
            late_s = clock() - due_s
            if late_s > MAX_CATCH_UP_S:
                due_s += late_s
                owed_s = [each + late_s for each in owed_s]
            dt_s, owed_s[number] = interval_s + owed_s[number], 0.0
            for device in group:
                step(device, dt_s, turn)
        turn += 1
