"""The second opinion: an IsolationForest per group of like devices, served with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from actors.detector.files import FOREST
from actors.onnx_model import Matrix, ModelFailedError, ModelRefusedError, OnnxModel


class Forest:
    """A verified IsolationForest: trusted values in, a score in [0, 1] out, larger is stranger."""

    def __init__(self, path: Path, *, points: tuple[str, ...], pinned_sha256: str = "") -> None:
        """Load the forest at `path`, which must have been trained on `points`.

        Raises:
            ModelRefusedError: the file is not that forest, or not intact.
        """
        self._model = OnnxModel(path, kind=FOREST, pinned_sha256=pinned_sha256)
        if self._model.manifest.features != points:
            raise ModelRefusedError(
                f"model {path} was trained on other points than {', '.join(points)}"
            )
        self._points = points

    @property
    def sha256(self) -> str:
        """Hash of the model's bytes, in hexadecimal."""
        return self._model.manifest.sha256

    @property
    def strangest_seen(self) -> float:
        """The largest score of a training row."""
        return self._model.manifest.parameters.get("strangest_seen", 0.0)

    def score(self, good: Mapping[str, float]) -> float | None:
        """Return the score of the trusted values `good`, or None if a point is missing.

        A forest gives any row a finite score, so a row with a gap is not asked at all.

        Raises:
            ModelFailedError: the model answered outside [0, 1], or not at all.
        """
        row = row_of(self._points, good)
        if row is None:
            return None
        score = float(self._model.run(row)[0, 0])
        if not 0.0 <= score <= 1.0:
            raise ModelFailedError(f"the forest answered {score}: expected 0 to 1")
        return score


def row_of(points: tuple[str, ...], good: Mapping[str, float]) -> Matrix | None:
    """Return `good` as a row in the order of `points`, or None if one is missing or too large."""
    if any(name not in good for name in points):
        return None
    row = np.array([[good[name] for name in points]], dtype=np.float64)
    if not (np.abs(row) <= np.finfo(np.float32).max).all():
        return None
    return row.astype(np.float32)


__all__ = ["Forest", "ModelFailedError", "ModelRefusedError", "row_of"]
