"""Models as files: a self-contained ONNX model and, beside it, a manifest that says what it is.

A flipped bit in a model mostly goes unnoticed by ONNX Runtime, so a model is only ever used when the
SHA-256 of the very bytes that are loaded is the one in its manifest and, where the caller pins a
hash, that one too. This module needs no runtime: the trainer writes with it, `actors.onnx_model`
reads with it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec

MAX_MODEL_BYTES = 64 << 20
"""Larger files are refused unread: a forest of 100 trees on 256 rows is half a megabyte."""

_EXTERNAL_DATA_KEY = b"location"
"""Every reference to an external data file carries this key (ONNX `TensorProto.external_data`)."""


class ModelRefusedError(Exception):
    """A model must not be used; the message names the file, what is wrong and the fix."""


class ModelManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is: kept as JSON beside it."""

    kind: str
    """What the model answers: `isolation-forest` or `dispatch-policy`."""
    sha256: str
    """Hash of the model's bytes, in hexadecimal."""
    features: tuple[str, ...]
    """Names of the input's columns, in order."""
    outputs: int = 1
    """Number of the output's columns."""
    trained_from: str = ""
    """Start of the training data, ISO 8601, UTC."""
    trained_to: str = ""
    """End of the training data, ISO 8601, UTC."""
    training_rows: int = 0
    training_sha256: str = ""
    """Hash of the training data's file, or empty."""
    versions: dict[str, str] = {}
    """Versions of the libraries that made the model."""
    parameters: dict[str, float] = {}
    source: str = ""
    """Where the training data comes from and its licence."""


def manifest_path(model: Path) -> Path:
    """Return where the manifest of the model file `model` is: `forest.onnx` has `forest.json`."""
    return model.with_suffix(".json")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_model(path: Path, *, pinned_sha256: str = "") -> tuple[bytes, ModelManifest]:
    """Return the bytes of the model at `path`, proven to be those its manifest describes.

    Args:
        path: The model file; its manifest is beside it.
        pinned_sha256: The only hash that is acceptable, or empty to accept the manifest's.

    Raises:
        ModelRefusedError: a file is missing or unreadable, a hash differs, or the model is not self-contained.
    """
    manifest = _read_manifest(manifest_path(path))
    data = _read_bounded(path)
    found = sha256_hex(data)
    for expected, whose in (
        (manifest.sha256, "its manifest"),
        (pinned_sha256, "the configuration"),
    ):
        if expected and found != expected.lower():
            raise ModelRefusedError(
                f"model {path} has sha256 {found}, {whose} names {expected}: restore the file or train again"
            )
    if _EXTERNAL_DATA_KEY in data:
        raise ModelRefusedError(
            f"model {path} refers to external data: export it as one self-contained file"
        )
    return data, manifest


def write_model(path: Path, model: bytes, manifest: ModelManifest) -> None:
    """Write `model` and its manifest.

    A crash leaves the old pair, the new pair, or a pair whose hashes differ and which is refused.

    Raises:
        OSError: the folder cannot be written.
    """
    write_atomically(path, model)
    write_atomically(
        manifest_path(path), msgspec.json.format(msgspec.json.encode(manifest)) + b"\n"
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`: whoever reads it sees all of the old or all of the new.

    Raises:
        OSError: the folder cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_manifest(path: Path) -> ModelManifest:
    try:
        manifest = msgspec.json.decode(_read_bounded(path), type=ModelManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelRefusedError(f"manifest {path} is not valid: {error}") from error
    if not manifest.sha256 or not manifest.features:
        raise ModelRefusedError(f"manifest {path} names no sha256 or no features: write both")
    return manifest


def _read_bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MODEL_BYTES + 1)
    except OSError as error:
        raise ModelRefusedError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_MODEL_BYTES:
        raise ModelRefusedError(f"{path} is larger than {MAX_MODEL_BYTES} bytes")
    return data
