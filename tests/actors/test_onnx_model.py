import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, load_model_from_string

from actors.model_file import sha256_hex
from actors.onnx_model import ModelFailedError, ModelRefusedError, OnnxModel
from tests.actors.models import linear_model, restate, store_linear

FEATURES = ("x", "y")
ROW = np.array([[2.0, 10.0]], dtype=np.float32)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    store_linear(path, FEATURES, [1.0, 0.5])
    return path


def load(path: Path, pinned_sha256: str = "") -> OnnxModel:
    return OnnxModel(path, kind="linear", pinned_sha256=pinned_sha256)


def test_an_intact_model_answers(stored: Path) -> None:
    assert load(stored).run(ROW).tolist() == [[7.0]]


def test_rows_in_a_batch_get_the_answers_they_get_alone(stored: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    model = load(stored)
    alone = np.concatenate([model.run(row[None, :]) for row in rows])
    assert np.array_equal(model.run(rows), alone)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_any_flipped_bit_is_refused(stored: Path, data: st.DataObject) -> None:
    intact = linear_model([1.0, 0.5])
    bit = data.draw(st.integers(0, len(intact) * 8 - 1))
    flipped = bytearray(intact)
    flipped[bit // 8] ^= 1 << bit % 8
    stored.write_bytes(flipped)
    with pytest.raises(ModelRefusedError, match="sha256"):
        load(stored)


def test_a_truncated_model_is_refused(stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:-20])
    with pytest.raises(ModelRefusedError, match="sha256"):
        load(stored)


def test_a_model_other_than_the_pinned_one_is_refused(stored: Path) -> None:
    load(stored, sha256_hex(stored.read_bytes()))
    with pytest.raises(ModelRefusedError, match="the configuration names 00ff"):
        load(stored, "00ff")


def test_bytes_that_are_no_model_are_refused_though_their_hash_fits(stored: Path) -> None:
    stored.write_bytes(b"no model")
    restate(stored, sha256=sha256_hex(b"no model"))
    with pytest.raises(ModelRefusedError, match="cannot be loaded"):
        load(stored)


def test_a_model_with_external_data_is_refused(stored: Path) -> None:
    model = load_model_from_string(linear_model([1.0, 0.5]))
    weights = model.graph.initializer[0]
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")
    stored.write_bytes(model.SerializeToString())
    restate(stored, sha256=sha256_hex(stored.read_bytes()))
    with pytest.raises(ModelRefusedError, match="external data"):
        load(stored)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"features": ["x"]}, "columns"),
        ({"outputs": 2}, "columns"),
        ({"kind": "other"}, "kind"),
        ({"features": []}, "no features"),
        ({"sha256": ""}, "no sha256"),
        ({"sha256": 5}, "not valid"),
    ],
)
def test_a_model_its_manifest_does_not_describe_is_refused(
    stored: Path, change: dict[str, object], why: str
) -> None:
    restate(stored, **change)
    with pytest.raises(ModelRefusedError, match=why):
        load(stored)


@pytest.mark.parametrize("suffix", [".onnx", ".json"])
def test_a_missing_file_is_refused_by_name(stored: Path, suffix: str) -> None:
    stored.with_suffix(suffix).unlink()
    with pytest.raises(ModelRefusedError, match=f"model{suffix} cannot be read"):
        load(stored)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_row_that_is_not_finite_is_not_asked(stored: Path, bad: float) -> None:
    with pytest.raises(ModelFailedError, match="input"):
        load(stored).run(np.array([[1.0, bad]], dtype=np.float32))


def test_a_row_of_another_shape_is_not_asked(stored: Path) -> None:
    with pytest.raises(ModelFailedError, match="input has shape"):
        load(stored).run(np.ones((1, 3), dtype=np.float32))


def test_an_answer_that_is_not_finite_is_not_believed(stored: Path) -> None:
    largest = np.full((1, 2), np.finfo(np.float32).max, dtype=np.float32)
    with pytest.raises(ModelFailedError, match="output"):
        load(stored).run(largest)


def test_a_runtime_that_fails_says_so(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    store_linear(path, FEATURES, [1.0, 0.5])
    path.write_bytes(_reshaping_model())
    restate(path, sha256=sha256_hex(path.read_bytes()))
    model = load(path)
    with pytest.raises(ModelFailedError, match="did not answer"):
        model.run(np.ones((3, 2), dtype=np.float32))


def test_an_answer_to_other_rows_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    store_linear(path, FEATURES, [1.0, 0.5])
    path.write_bytes(_reshaping_model())
    restate(path, sha256=sha256_hex(path.read_bytes()))
    with pytest.raises(ModelFailedError, match="2 rows with 4"):
        load(path).run(np.ones((2, 2), dtype=np.float32))


def test_reading_and_writing_models_needs_no_runtime() -> None:
    code = "import sys, actors.model_file; sys.exit('onnxruntime' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _reshaping_model() -> bytes:
    """Return a model that wants exactly two rows and answers them with four."""
    graph = helper.make_graph(
        [helper.make_node("Reshape", ["row", "four"], ["answer"])],
        "reshaping",
        [helper.make_tensor_value_info("row", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("answer", TensorProto.FLOAT, [None, 1])],
        [helper.make_tensor("four", TensorProto.INT64, [2], [4, 1])],
    )
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
