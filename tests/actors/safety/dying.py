"""A program: runs a SafetyActor in processes that are killed by SIGKILL, each one step later than the one before.

`python -m tests.actors.safety.dying SCENARIO DIRECTORY`. A step is anything that the actor does to its disk (the middle
of a write too) or says to others. Process K has its state directory in DIRECTORY/K, and `told` in it holds what it
had announced. The last one is not killed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from actors.messages import ResetAnswer, SafetyEvent
from actors.safety.disk import Disk
from actors.safety.latch import JOURNAL_NAME
from tests.actors.fakes import RecordingContext
from tests.actors.safety.measured import World

MOST_STEPS = 200


class Fate:
    """Counts steps down once it is armed, and ends the process at zero."""

    def __init__(self, step: int) -> None:
        self.left = step
        self.armed = False

    def step(self) -> None:
        if self.armed:
            self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingDisk(Disk):
    """The real disk, with a step before everything, in the middle of every write, and after it."""

    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    def open(self, path: Path) -> int:
        self._fate.step()
        return super().open(path)

    def write(self, descriptor: int, data: bytes) -> int:
        self._fate.step()
        half = super().write(descriptor, data[: len(data) // 2])
        self._fate.step()
        return half + super().write(descriptor, data[half:])

    def sync(self, descriptor: int) -> None:
        self._fate.step()
        super().sync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        self._fate.step()
        super().truncate(descriptor, length)

    def rename(self, path: Path, to: Path) -> None:
        self._fate.step()
        super().rename(path, to)
        self._fate.step()

    def sync_folder(self, folder: Path) -> None:
        self._fate.step()
        super().sync_folder(folder)
        self._fate.step()


class DyingWorld(World):
    """A world whose announcements are steps too, and are kept in `told`."""

    def __init__(self, state_dir: Path, fate: Fate) -> None:
        self._fate = fate
        self._told = os.open(state_dir / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        super().__init__(state_dir, disk=DyingDisk(fate))

    def new_context(self) -> RecordingContext:
        context = super().new_context()
        send = context.send

        def say(message: msgspec.Struct, *receivers: str, **how: Any) -> None:
            self._fate.step()
            send(message, *receivers, **how)
            if isinstance(message, SafetyEvent):
                os.write(self._told, f"{message.kind}\n".encode())
            if isinstance(message, ResetAnswer):
                os.write(self._told, f"answered {message.done}\n".encode())

        context.send = say  # type: ignore[method-assign]
        return context


def trip(state_dir: Path, fate: Fate) -> None:
    """Trip."""
    world = DyingWorld(state_dir, fate)
    world.open_up()
    fate.armed = True
    world.trip()
    world.tick(0.3)


def reset(state_dir: Path, fate: Fate) -> None:
    """Reset a trip."""
    world = DyingWorld(state_dir, fate)
    world.trip()
    world.cool_down()
    fate.armed = True
    world.reset()


def start_corrupt(state_dir: Path, fate: Fate) -> None:
    """Start with a journal that cannot be read."""
    (state_dir / JOURNAL_NAME).write_bytes(b"corrupt")
    fate.armed = True
    DyingWorld(state_dir, fate)


SCENARIOS: dict[str, Callable[[Path, Fate], None]] = {
    "trip": trip,
    "reset": reset,
    "start_corrupt": start_corrupt,
}


def main(scenario: str, directory: Path) -> int:
    """Let one process after the other die, until one lives."""
    for step in range(1, MOST_STEPS):
        state_dir = directory / str(step)
        state_dir.mkdir()
        pid = os.fork()
        if pid == 0:
            SCENARIOS[scenario](state_dir, Fate(step))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
