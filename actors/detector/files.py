"""Where the detector and its trainer meet: one training set and one model per group of devices."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from actors.model_file import sha256_hex, write_atomically

FOREST = "isolation-forest"
"""`ModelManifest.kind` of the detector's models."""

Rows = npt.NDArray[np.float32]
"""Shape (rows, points)."""


class TrainingSet(NamedTuple):
    """Good rows of a group of like devices."""

    points: tuple[str, ...]
    rows: Rows
    first_wall_ns: int
    last_wall_ns: int
    sha256: str
    """Hash of the file it was read from."""


class BadTrainingSetError(Exception):
    """A training set cannot be used; it has been or should be set aside."""


def group_of(points: tuple[str, ...]) -> str:
    """Return the name of the group of devices that have `points`."""
    return hashlib.sha256("\n".join(points).encode()).hexdigest()[:12]


def forest_path(state_dir: Path, group: str) -> Path:
    """Return where the forest of `group` is kept."""
    return state_dir / f"forest-{group}.onnx"


def training_path(state_dir: Path, group: str) -> Path:
    """Return where the training set of `group` is kept."""
    return state_dir / f"training-{group}.npz"


def write_training_set(
    path: Path, points: tuple[str, ...], rows: Rows, *, first_wall_ns: int, last_wall_ns: int
) -> None:
    """Write a training set atomically.

    Raises:
        OSError: the folder cannot be written.
    """
    buffer = io.BytesIO()
    window = np.array([first_wall_ns, last_wall_ns], dtype=np.int64)
    np.savez(buffer, points=np.array(points), rows=rows, window=window)
    write_atomically(path, buffer.getvalue())


def read_training_set(path: Path) -> TrainingSet:
    """Return the training set at `path`.

    Raises:
        BadTrainingSetError: the file is not one, or holds a value that is not finite.
    """
    try:
        data = path.read_bytes()
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            points = tuple(str(name) for name in file["points"])
            rows = np.asarray(file["rows"], dtype=np.float32)
            first, last = (int(stamp) for stamp in file["window"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadTrainingSetError(f"training set {path} cannot be read: {error}") from error
    if rows.ndim != 2 or rows.shape[1] != len(points) or not np.isfinite(rows).all():  # noqa: PLR2004 - rows, points
        raise BadTrainingSetError(f"training set {path} holds no table of finite numbers")
    return TrainingSet(points, rows, first, last, sha256_hex(data))


def set_aside(path: Path) -> Path:
    """Rename the file at `path` so that it is kept but no longer used, and return its new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.bad{number}")).exists():
        number += 1
    return path.rename(aside)
