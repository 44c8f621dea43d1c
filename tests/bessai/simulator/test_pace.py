"""Every device gets its turn, at its rate, whatever the number."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bessai.simulator import pace
from bessai.simulator.pace import slots, step_forever, usual_step_hz


@pytest.mark.parametrize(("devices", "hz"), [(1, 20.0), (20, 20.0), (200, 2.0), (1000, 1.0)])
def test_the_more_devices_the_slower_each_is_stepped(devices: int, hz: float) -> None:
    assert usual_step_hz(devices) == hz


@given(st.integers(1, 300), st.floats(0.001, 1.0))
def test_every_device_is_in_one_group_and_groups_are_alike(count: int, interval_s: float) -> None:
    groups = slots(range(count), interval_s)
    assert sorted(each for group in groups for each in group) == list(range(count))
    sizes = {len(group) for group in groups}
    assert max(sizes) - min(sizes) <= 1
    assert len(groups) == 1 or interval_s / len(groups) >= pace.MIN_SLOT_S * 0.99


class StopStepping(Exception):  # noqa: N818 - no error
    pass


def stepped(
    devices: int, turns: int, clock: Callable[[], float] = time.monotonic
) -> list[tuple[int, float, int]]:
    """Return who was stepped by how many seconds in which turn."""
    done: list[tuple[int, float, int]] = []

    def step(device: int, dt_s: float, turn: int) -> None:
        done.append((device, dt_s, turn))
        if len(done) == devices * turns:
            raise StopStepping

    with pytest.raises(StopStepping):
        asyncio.run(step_forever(range(devices), 100.0, step, clock=clock))
    return done


def test_each_turn_steps_each_device_by_the_interval() -> None:
    done = stepped(5, 3)
    assert Counter(device for device, _, _ in done) == dict.fromkeys(range(5), 3)
    assert [turn for _, _, turn in done] == [0] * 5 + [1] * 5 + [2] * 5
    assert {round(dt_s, 9) for _, dt_s, _ in done} == {0.01}


def test_a_long_pause_is_made_up_in_one_step_of_every_device() -> None:
    asked = itertools.count()
    paused = stepped(2, 4, clock=lambda: 10.0 if next(asked) > 4 else 0.0)
    long = [device for device, dt_s, _ in paused if dt_s > 9.0]
    assert sorted(long) == [0, 1]
