"""A finished file becomes a smaller one of the same content; a crash at any moment leaves one of the two whole."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from typing import Final

PART: Final = ".part"
"""Ends the name of a file that is still being compressed; one that a crash left behind is overwritten."""
_LEVEL: Final = 6
_CHUNK_BYTES: Final = 1 << 18


def compress(path: Path) -> Path:
    """Replace `path` by `path`.gz, durably, and return the new name; a file that is gone is none to compress.

    Raises:
        OSError: the directory cannot be written.
    """
    target = path.with_name(f"{path.name}.gz")
    part = path.with_name(f"{target.name}{PART}")
    try:
        plain = path.open("rb")
    except FileNotFoundError:
        return target
    with plain, part.open("wb") as raw:
        with gzip.GzipFile(path.name, "wb", _LEVEL, raw) as packed:
            shutil.copyfileobj(plain, packed, _CHUNK_BYTES)
        raw.flush()
        os.fsync(raw.fileno())
    part.replace(target)
    path.unlink(missing_ok=True)
    return target
