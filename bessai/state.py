"""The state directory: everything durable is under it, and one gateway at a time uses it.

The lock itself is `actors.safety.statedir`'s, because the latches are what it protects.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_GENERATION = "generation"
_SPARE = 64
"""How far a generation jumps when the clock cannot be trusted: epochs of a long run must not reach the next one."""


def default_state_dir() -> Path:
    """Return where state goes if nothing is configured."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "bessai"


def next_generation(state_dir: Path, *, wall_s: float | None = None) -> int:
    """Return a number larger than at every earlier start, and make it durable first.

    It is the wall clock in seconds, unless that has gone back. A corrupt file is set aside, and the clock alone
    decides.

    Raises:
        OSError: the directory cannot be written.
    """
    now_s = int(time.time() if wall_s is None else wall_s)
    path = state_dir / _GENERATION
    generation = max(_stored(path) + _SPARE, now_s)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(f"{generation}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_directory(state_dir)
    return generation


def _stored(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return 0
    except ValueError:
        path.replace(path.with_name(f"{path.name}.set-aside-{time.time_ns()}"))
        return 0


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
