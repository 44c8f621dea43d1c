"""The processes of a running gateway, found without asking it: its own report may be what suffers."""

from __future__ import annotations

from pathlib import Path


def process_of(cell: str, root_pid: int) -> int | None:
    """Return the process id of `cell` (or of `root`), or None while it has none."""
    if cell == "root":
        return root_pid
    for pid in _children(root_pid):
        if _title(pid).endswith(f": cell {cell}"):
            return pid
    return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text(encoding="ascii").split()]
        except OSError:
            continue  # the thread has ended meanwhile
    return found


def _title(pid: int) -> str:
    try:
        shown = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return shown.replace(b"\0", b" ").decode("utf-8", "replace").strip()
