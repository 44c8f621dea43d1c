"""Small real ONNX models and their manifests, for the tests of whatever loads models."""

from __future__ import annotations

from pathlib import Path

import msgspec
from onnx import TensorProto, helper

from actors.model_file import ModelManifest, sha256_hex, write_model


def linear_model(weights: list[float]) -> bytes:
    """Return a model that answers each row with the weighted sum of its columns."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["row", "weights"], ["answer"])],
        "linear",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [None, len(weights)])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [len(weights), 1], weights)],
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def store_linear(
    path: Path, features: tuple[str, ...], weights: list[float], *, kind: str = "linear"
) -> ModelManifest:
    """Write a linear model and its true manifest; return the manifest."""
    model = linear_model(weights)
    manifest = ModelManifest(kind=kind, sha256=sha256_hex(model), features=features)
    write_model(path, model, manifest)
    return manifest


def restate(path: Path, **changes: object) -> None:
    """Rewrite some fields of the manifest beside the model `path`."""
    place = path.with_suffix(".json")
    stated = msgspec.json.decode(place.read_bytes())
    place.write_bytes(msgspec.json.encode({**stated, **changes}))
