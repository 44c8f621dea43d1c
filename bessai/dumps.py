"""Keeps the stacks of actors that hung, as files under the state directory: the newest few."""

from __future__ import annotations

import re
from pathlib import Path

from supervision.events import Lifecycle, What

FOLDER = "dumps"
MAX_DUMPS = 32
"""Older ones are deleted. Project's choice."""
MAX_CHARACTERS = 64 * 1024


def keep_dump(state_dir: Path, event: Lifecycle) -> Path | None:
    """Write the stack that `event` tells, and return where; None if it tells none.

    Raises:
        OSError: the disk refuses.
    """
    if event.what is not What.HUNG or not event.detail:
        return None
    folder = state_dir / FOLDER
    folder.mkdir(exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", event.actor or event.cell)
    path = folder / f"{event.wall_ns:020}-{name}.txt"
    text = f"{event.cell} {event.actor}: {event.reason}\n\n{event.detail[:MAX_CHARACTERS]}"
    path.write_text(text, encoding="utf-8")
    for old in list_dumps(state_dir)[:-MAX_DUMPS]:
        old.unlink(missing_ok=True)
    return path


def list_dumps(state_dir: Path) -> list[Path]:
    """Return the dumps that are kept, the oldest first."""
    return sorted((state_dir / FOLDER).glob("*.txt"))
