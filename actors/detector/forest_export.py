"""A scikit-learn IsolationForest as four ONNX nodes, scored in microseconds instead of milliseconds.

The score of the paper (Liu, Ting, Zhou: Isolation Forest, ICDM 2008) is 2 ** (-mean depth / c). Leaves of one
TreeEnsembleRegressor hold depths, their sum is scaled and raised. scikit-learn compares float32 values with float64
thresholds; a threshold rounded *down* to float32 decides every float32 value the same way.

Only the trainer imports this module: it needs `onnx` and scikit-learn's fitted trees.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from sklearn.ensemble import IsolationForest
from sklearn.tree import ExtraTreeRegressor

OPSET = 17
ML_OPSET = 3
IR_VERSION = 8
"""Old enough for every ONNX Runtime since 1.12."""


def export_forest(forest: IsolationForest, *, features: int) -> bytes:
    """Return `forest`, a fitted `IsolationForest`, as an ONNX model: (rows, features) -> (rows, 1) in [0, 1]."""
    attributes: dict[str, Any] = {}
    for number, estimator in enumerate(forest.estimators_):
        for key, values in _tree_attributes(number, estimator).items():
            attributes.setdefault(key, []).extend(values)
    scale = -math.log(2) / (
        len(forest.estimators_) * max(average_path_length(int(forest.max_samples_)), 1e-9)
    )
    return _model(attributes, scale, features)


def average_path_length(rows: int) -> float:
    """Return the mean depth of an unsuccessful search in a binary tree of `rows`: c(n) of the paper."""
    if rows <= 1:
        return 0.0
    if rows == 2:  # noqa: PLR2004 - as the paper and scikit-learn define it
        return 1.0
    return float(2 * (math.log(rows - 1) + np.euler_gamma) - 2 * (rows - 1) / rows)


def _tree_attributes(number: int, estimator: ExtraTreeRegressor) -> dict[str, list[Any]]:
    tree = estimator.tree_
    count = int(tree.node_count)
    leaf = tree.children_left < 0
    depth = _depths(tree.children_left, tree.children_right)
    weights = [
        float(depth[node] + average_path_length(int(tree.n_node_samples[node])))
        for node in np.flatnonzero(leaf)
    ]
    leaves = [int(node) for node in np.flatnonzero(leaf)]
    return {
        "nodes_treeids": [number] * count,
        "nodes_nodeids": list(range(count)),
        "nodes_modes": ["LEAF" if end else "BRANCH_LEQ" for end in leaf],
        "nodes_featureids": [int(f) for f in np.where(leaf, 0, tree.feature)],
        "nodes_values": [float(v) for v in np.where(leaf, 0.0, _round_down(tree.threshold))],
        "nodes_truenodeids": [int(n) for n in np.where(leaf, 0, tree.children_left)],
        "nodes_falsenodeids": [int(n) for n in np.where(leaf, 0, tree.children_right)],
        "nodes_hitrates": [1.0] * count,
        "nodes_missing_value_tracks_true": [0] * count,
        "target_treeids": [number] * len(leaves),
        "target_nodeids": leaves,
        "target_ids": [0] * len(leaves),
        "target_weights": weights,
    }


def _depths(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    depth = np.zeros(len(left), dtype=np.int64)
    for node in range(len(left)):  # a parent's number is smaller than its children's
        if left[node] >= 0:
            depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth


def _round_down(thresholds: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    rounded = thresholds.astype(np.float32)
    below = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded > thresholds, below, rounded)


def _model(attributes: dict[str, Any], scale: float, features: int) -> bytes:
    nodes = [
        helper.make_node(
            "TreeEnsembleRegressor",
            ["row"],
            ["depth"],
            domain="ai.onnx.ml",
            n_targets=1,
            aggregate_function="SUM",
            post_transform="NONE",
            **attributes,
        ),
        helper.make_node("Mul", ["depth", "scale"], ["exponent"]),
        helper.make_node("Exp", ["exponent"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "isolation_forest",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
