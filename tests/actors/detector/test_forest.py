from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from actors.detector.config import DetectorConfig
from actors.detector.ensemble import Forest, ModelFailedError, ModelRefusedError
from actors.detector.files import FOREST
from actors.detector.forest_export import export_forest
from actors.detector.trainer import train
from actors.model_file import ModelManifest, sha256_hex, write_model
from actors.onnx_model import OnnxModel
from tests.actors.detector.rows import POINTS, ordinary_rows, training_set
from tests.actors.models import store_linear

CONFIG = DetectorConfig(state_dir="unused")
ORDINARY: dict[str, float] = dict(zip(POINTS, (100.0, 25.0, 50.0, 50.0), strict=True))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("forest") / "forest.onnx"
    write_model(path, *train(training_set(), CONFIG))
    return path


def both(rows: int, trees: int, folder: Path) -> tuple[IsolationForest, OnnxModel]:
    data = ordinary_rows(rows)
    forest = IsolationForest(n_estimators=trees, random_state=3).fit(data)
    model = export_forest(forest, features=len(POINTS))
    manifest = ModelManifest(kind=FOREST, sha256=sha256_hex(model), features=POINTS)
    write_model(folder / "forest.onnx", model, manifest)
    return forest, OnnxModel(folder / "forest.onnx", kind=FOREST)


@pytest.mark.parametrize(("rows", "trees"), [(600, 100), (2, 10), (40, 1)])
def test_the_exported_forest_scores_as_scikit_learn_does(
    rows: int, trees: int, tmp_path: Path
) -> None:
    forest, model = both(rows, trees, tmp_path)
    wild = np.random.default_rng(5).normal(0, 3000, (4000, len(POINTS))).astype(np.float32)
    asked = np.concatenate([ordinary_rows(4000, seed=9), wild])
    difference = np.abs(model.run(asked)[:, 0] + forest.score_samples(asked))
    assert difference.max() <= 1e-6


def test_rows_on_a_threshold_go_the_way_scikit_learn_sends_them(tmp_path: Path) -> None:
    forest, model = both(300, 20, tmp_path)
    tree = forest.estimators_[0].tree_
    asked = ordinary_rows(int(tree.node_count), seed=4)
    for node in np.flatnonzero(tree.feature >= 0):
        asked[node, tree.feature[node]] = np.float32(tree.threshold[node])
    difference = np.abs(model.run(asked)[:, 0] + forest.score_samples(asked))
    assert difference.max() <= 1e-6


def test_the_manifest_tells_what_the_forest_was_made_from() -> None:
    model, manifest = train(training_set(), CONFIG)
    assert manifest.sha256 == sha256_hex(model)
    assert (manifest.features, manifest.training_rows) == (POINTS, 400)
    assert manifest.trained_from == "2001-09-09T01:46:40+00:00"
    assert {"scikit-learn", "onnx"} <= set(manifest.versions)


def test_the_same_rows_give_the_same_forest() -> None:
    assert train(training_set(), CONFIG)[0] == train(training_set(), CONFIG)[0]


def test_an_odd_row_is_stranger_than_an_ordinary_one(stored: Path) -> None:
    forest = Forest(stored, points=POINTS)
    ordinary, odd = (
        forest.score(ORDINARY),
        forest.score({**ORDINARY, "battery_temperature_c": 70.0}),
    )
    assert ordinary is not None
    assert odd is not None
    assert odd > ordinary


def test_a_row_with_a_gap_has_no_score(stored: Path) -> None:
    gap = {name: value for name, value in ORDINARY.items() if name != "soc_pct"}
    assert Forest(stored, points=POINTS).score(gap) is None


def test_a_value_beyond_single_precision_has_no_score(stored: Path) -> None:
    assert Forest(stored, points=POINTS).score({**ORDINARY, "soc_pct": 1e300}) is None


@settings(max_examples=200)
@given(values=st.lists(st.floats(-3e38, 3e38), min_size=len(POINTS), max_size=len(POINTS)))
def test_every_score_lies_between_0_and_1(stored: Path, values: list[float]) -> None:
    score = Forest(stored, points=POINTS).score(dict(zip(POINTS, values, strict=True)))
    assert score is not None
    assert 0 <= score <= 1


def test_a_forest_of_other_points_is_refused(stored: Path) -> None:
    with pytest.raises(ModelRefusedError, match="other points"):
        Forest(stored, points=(*POINTS[:3], "other_c"))


def test_an_answer_beyond_0_to_1_is_not_believed(tmp_path: Path) -> None:
    store_linear(tmp_path / "forest.onnx", ("x_w",), [1.0], kind=FOREST)
    forest = Forest(tmp_path / "forest.onnx", points=("x_w",))
    with pytest.raises(ModelFailedError, match="expected 0 to 1"):
        forest.score({"x_w": 5.0})
