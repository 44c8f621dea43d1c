"""An ONNX model that has been checked before it is used and is checked each time it is used.

The only module that imports ONNX Runtime; DetectorActor and DispatcherActor share it, each in its
own process. One thread, in sequence, without spinning: nothing is left running between two rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from actors.model_file import ModelManifest, ModelRefusedError, read_model

Matrix = npt.NDArray[np.float32]
"""Shape (rows, features) or (rows, outputs)."""

_QUIET = 3  # ONNX Runtime's severity "error": what matters is raised


class ModelFailedError(Exception):
    """A model could not answer, was asked something it must not answer, or answered nonsense."""


class OnnxModel:
    """One verified model: (rows, features) of float32 in, (rows, outputs) of float32 out."""

    def __init__(self, path: Path, *, kind: str, pinned_sha256: str = "") -> None:
        """Read, verify and load the model at `path`.

        Raises:
            ModelRefusedError: hash, kind, shape or content is not what it has to be.
        """
        data, self.manifest = read_model(path, pinned_sha256=pinned_sha256)
        if self.manifest.kind != kind:
            raise ModelRefusedError(
                f"model {path} is of kind {self.manifest.kind!r}: expected {kind!r}"
            )
        self._session = _open(path, data)
        self._input = _check_signature(path, self._session, self.manifest)

    def run(self, rows: Matrix) -> Matrix:
        """Return the model's answer to `rows`, one row each.

        Raises:
            ModelFailedError: a value in or out is not finite, a shape is wrong, or the runtime failed.
        """
        asked = _checked(rows, len(self.manifest.features), "input")
        try:
            raw = self._session.run(None, {self._input: asked})[0]
        except Exception as error:  # the runtime's own errors have no common base but this one
            raise ModelFailedError(f"the model did not answer: {error}") from error
        answer = _checked(raw, self.manifest.outputs, "output")
        if len(answer) != len(asked):
            raise ModelFailedError(f"the model answered {len(asked)} rows with {len(answer)}")
        return answer


def _open(path: Path, data: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _QUIET
    try:
        return ort.InferenceSession(data, sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's own errors have no common base but this one
        raise ModelRefusedError(f"model {path} cannot be loaded: {error}") from error


def _check_signature(path: Path, session: ort.InferenceSession, manifest: ModelManifest) -> str:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    expected = ([[len(manifest.features)]], [[manifest.outputs]])
    found = ([place.shape[1:] for place in inputs], [place.shape[1:] for place in outputs])
    floats = all(place.type == "tensor(float)" for place in (*inputs, *outputs))
    if not floats or found != expected:
        raise ModelRefusedError(
            f"model {path} has columns {found[0]} in and {found[1]} out: its manifest names"
            f" {expected[0]} and {expected[1]} of float32"
        )
    name: str = inputs[0].name
    return name


def _checked(values: object, columns: int, what: str) -> Matrix:
    shape: tuple[int, ...] = getattr(values, "shape", ())
    if len(shape) != 2 or shape[1] != columns:  # noqa: PLR2004 - rows and columns
        raise ModelFailedError(f"{what} has shape {shape}: expected (rows, {columns})")
    matrix: Matrix = np.asarray(values, dtype=np.float32)
    if not np.isfinite(matrix).all():
        raise ModelFailedError(f"{what} holds a value that is not finite")
    return matrix


__all__ = ["Matrix", "ModelFailedError", "ModelManifest", "ModelRefusedError", "OnnxModel"]
