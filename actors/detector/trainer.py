"""The trainer: the only actor that imports scikit-learn, alone in a cell that is started to train and then exits.

It trains one IsolationForest per training set the detector stored, unless the model beside it
already comes from that very set; writes model and manifest, tells the detector and ends.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import sklearn
import structlog
from sklearn.ensemble import IsolationForest

from actors.detector.config import DetectorConfig
from actors.detector.files import (
    FOREST,
    BadTrainingSetError,
    TrainingSet,
    forest_path,
    group_of,
    read_training_set,
    set_aside,
)
from actors.detector.forest_export import export_forest
from actors.messages import DETECTOR, ModelReady
from actors.model_file import ModelManifest, ModelRefusedError, read_model, sha256_hex, write_model
from supervision.actor import Actor, ActorContext
from supervision.envelope import Header, Lane

log = structlog.get_logger()


class _TrainNext(msgspec.Struct, frozen=True):
    """Own event: train on the next of these files; one unit of work each."""

    paths: tuple[Path, ...]


class Trainer(Actor):
    """Trains what there is to train, once."""

    def __init__(self, config: DetectorConfig) -> None:
        self._config = config
        self._context: ActorContext

    def on_start(self, context: ActorContext) -> None:
        """Find the training sets; each is trained on in its own unit of work."""
        self._context = context
        paths = tuple(sorted(Path(self._config.state_dir).glob("training-*.npz")))
        context.post(_TrainNext(paths))

    def on_message(self, message: object, header: Header) -> None:
        """Ignore whatever comes: the trainer takes its orders from the files."""

    def on_event(self, event: object) -> None:
        """Train on one file, or end when none is left."""
        if not isinstance(event, _TrainNext) or not event.paths:
            self._context.finish()
            return
        self._train_file(event.paths[0])
        self._context.post(_TrainNext(event.paths[1:]))

    def _train_file(self, path: Path) -> None:
        try:
            training = read_training_set(path)
        except BadTrainingSetError as error:
            log.warning("training set set aside", reason=str(error), kept_as=str(set_aside(path)))
            return
        model_path = forest_path(path.parent, group_of(training.points))
        started_s = self._context.clock.monotonic_s()
        digest = trained_model(model_path, training) or self._write(model_path, training)
        seconds = self._context.clock.monotonic_s() - started_s
        log.info("model ready", path=str(model_path), sha256=digest, rows=len(training.rows))
        ready = ModelReady(
            path=str(model_path), sha256=digest, samples=len(training.rows), seconds=seconds
        )
        self._context.send(ready, DETECTOR, lane=Lane.CONTROL)

    def _write(self, path: Path, training: TrainingSet) -> str:
        model, manifest = train(training, self._config)
        write_model(path, model, manifest)
        return manifest.sha256


def trained_model(path: Path, training: TrainingSet) -> str:
    """Return the hash of the model at `path` if it is intact and comes from `training`, else an empty string."""
    try:
        _, manifest = read_model(path)
    except ModelRefusedError:
        return ""
    return manifest.sha256 if manifest.training_sha256 == training.sha256 else ""


def train(training: TrainingSet, config: DetectorConfig) -> tuple[bytes, ModelManifest]:
    """Return an ONNX IsolationForest of the rows of `training`, and its manifest."""
    options: dict[
        str, Any
    ] = {  # a whole number of rows is a valid max_samples, whatever its default
        "n_estimators": config.trees,
        "max_samples": min(config.rows_per_tree, len(training.rows)),
        "random_state": config.seed,
    }
    forest = IsolationForest(**options).fit(training.rows)
    model = export_forest(forest, features=len(training.points))
    manifest = ModelManifest(
        kind=FOREST,
        sha256=sha256_hex(model),
        features=training.points,
        trained_from=_iso(training.first_wall_ns),
        trained_to=_iso(training.last_wall_ns),
        training_rows=len(training.rows),
        training_sha256=training.sha256,
        versions={
            "python": sys.version.split()[0],
            "scikit-learn": sklearn.__version__,
            "onnx": onnx.__version__,
            "numpy": np.__version__,
        },
        parameters={
            "trees": float(config.trees),
            "rows_per_tree": float(forest.max_samples_),
            "seed": float(config.seed),
            "strangest_seen": float(-forest.score_samples(training.rows).min()),
        },
    )
    return model, manifest


def _iso(wall_ns: int) -> str:
    return dt.datetime.fromtimestamp(wall_ns / 1e9, tz=dt.UTC).isoformat(timespec="seconds")


def build(config: bytes) -> Actor:
    """Return the trainer for a msgpack-encoded `DetectorConfig`."""
    return Trainer(msgspec.msgpack.decode(config, type=DetectorConfig))
