from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from actors.detector.config import DetectorConfig
from actors.detector.files import forest_path, group_of, training_path, write_training_set
from actors.detector.trainer import build
from actors.messages import DETECTOR, ModelReady
from actors.model_file import read_model
from tests.actors.detector.rows import POINTS, ordinary_rows
from tests.actors.fakes import RecordingContext

GROUP = group_of(POINTS)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    write_training_set(
        training_path(tmp_path, GROUP), POINTS, ordinary_rows(100), first_wall_ns=1, last_wall_ns=2
    )
    return tmp_path


def run(state_dir: Path) -> RecordingContext:
    context = RecordingContext("trainer")
    trainer = build(msgspec.msgpack.encode(DetectorConfig(state_dir=str(state_dir), trees=20)))
    trainer.on_start(context)
    while not context.finished:
        for event in context.take_posted():
            trainer.on_event(event)
    return context


def test_a_model_is_trained_told_of_and_the_trainer_ends(state_dir: Path) -> None:
    (ready,) = run(state_dir).messages(ModelReady, DETECTOR)
    _, manifest = read_model(forest_path(state_dir, GROUP), pinned_sha256=ready.sha256)
    assert (manifest.features, ready.samples) == (POINTS, 100)


def test_a_set_that_was_trained_on_is_not_trained_on_again(state_dir: Path) -> None:
    run(state_dir)
    written_ns = forest_path(state_dir, GROUP).stat().st_mtime_ns
    assert len(run(state_dir).messages(ModelReady, DETECTOR)) == 1
    assert forest_path(state_dir, GROUP).stat().st_mtime_ns == written_ns


def test_a_damaged_model_is_trained_again(state_dir: Path) -> None:
    run(state_dir)
    forest_path(state_dir, GROUP).write_bytes(b"damaged")
    (ready,) = run(state_dir).messages(ModelReady)
    assert read_model(forest_path(state_dir, GROUP))[1].sha256 == ready.sha256


def test_a_corrupt_training_set_is_set_aside_and_reported(state_dir: Path) -> None:
    training_path(state_dir, GROUP).write_bytes(b"corrupt")
    with capture_logs() as logs:
        context = run(state_dir)
    assert not context.messages(ModelReady)
    assert logs[0]["event"] == "training set set aside"
    assert Path(logs[0]["kept_as"]).read_bytes() == b"corrupt"


def test_with_nothing_to_train_on_the_trainer_ends(tmp_path: Path) -> None:
    assert not run(tmp_path).sent
