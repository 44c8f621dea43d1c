"""Reads what a gateway under measurement has published into files, finished and compressed ones too."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def published(state_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield every record in the order of the files."""
    for path in sorted((state_dir / "published").glob("*.jsonl*")):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
            yield from map(json.loads, lines)
