"""Runs a Root on the cells in a JSON file and prints each lifecycle event as a JSON line: `site_runner.py FILE`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import msgspec

from supervision.events import Lifecycle
from supervision.root import Root
from supervision.spec import CellSpec


def show(event: Lifecycle) -> None:
    line = [event.cell, event.actor, event.what.value, event.reason, event.epoch]
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    cells = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=tuple[CellSpec, ...])
    root = Root(
        cells, generation=int(time.time()), reporters=("recorder",), title="toys", on_event=show
    )
    sys.exit(root.run())
