"""The state directory: everything durable is under it, and one gateway at a time uses it.

The lock itself is `actors.safety.statedir`'s, because the latches are what it protects.
"""

from __future__ import annotations

import os
import time
import zlib
from pathlib import Path

from actors.safety.statedir import LOCK_NAME, sync_folder

_GENERATION = "generation"
_LOCKS = Path("/proc/locks")
_LOCK_FIELDS = 6
_SPARE = 64
"""How far a generation jumps when the clock cannot be trusted: epochs of a long run must not reach the next one."""
_SPARE_BLIND = 1 << 20
"""How far it jumps from the youngest file when its own is lost: as many as 16,000 starts without a clock would."""


def default_state_dir() -> Path:
    """Return where state goes if nothing is configured."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "bessai"


def running_gateway(state_dir: Path, *, locks: Path = _LOCKS) -> int | None:
    """Return the process that owns `state_dir`, or None if nobody does or the kernel does not tell.

    The kernel is asked rather than a file with a process id, which a gateway that is killed would leave behind. `locks`
    is in the format of proc_locks(5).
    """
    try:
        lock = (state_dir / LOCK_NAME).stat()
        lines = locks.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    place = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    for fields in map(str.split, lines):
        if len(fields) >= _LOCK_FIELDS and fields[1] == "FLOCK" and fields[5] == place:
            return int(fields[4]) if int(fields[4]) > 0 else None  # 0: in another container
    return None


def next_generation(state_dir: Path, *, wall_s: float | None = None) -> int:
    """Return a number larger than at every earlier start, and make it durable first.

    It is the wall clock in seconds, unless that has gone back. A corrupt file is set aside; then it is far beyond the
    clock and the age of every file in the directory, so that it rises even so.

    Raises:
        OSError: the directory cannot be written.
    """
    now_s = int(time.time() if wall_s is None else wall_s)
    path = state_dir / _GENERATION
    stored = _stored(path)
    if stored is None:
        generation = max(now_s, _youngest_s(state_dir)) + _SPARE_BLIND
        path.replace(path.with_name(f"{path.name}.set-aside-{time.time_ns()}"))
    else:
        generation = max(stored + _SPARE, now_s)
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(_line(generation))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(state_dir)
    return generation


def _line(generation: int) -> str:
    """Return what the file holds: the number and its checksum, since half a number is one too."""
    return f"{generation} {zlib.crc32(str(generation).encode()):08x}\n"


def _stored(path: Path) -> int | None:
    """Return the last generation, 0 if there was none, or None if it cannot be told."""
    try:
        text = path.read_bytes().decode("ascii")
        generation = int(text.partition(" ")[0])
    except FileNotFoundError:
        return 0
    except ValueError:
        return None
    return generation if text == _line(generation) else None


def _youngest_s(directory: Path) -> int:
    """Return when a file of the directory was last written: earlier runs had a clock no later than that."""
    return max(int(path.stat().st_mtime) for path in directory.iterdir() if path.is_file())
