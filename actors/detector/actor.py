"""DetectorActor: says of each sample how unusual it is, and has a forest trained when it has seen enough.

A device is scored against its own past by robust z-scores, and against its group (devices with the same points) by an
IsolationForest. What is not known is None: a sample without trusted values has no score, which is not a low one.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from actors.detector.config import DetectorConfig
from actors.detector.ensemble import Forest, ModelFailedError, ModelRefusedError, row_of
from actors.detector.features import Z_FLOORS, forest_points, unit_of
from actors.detector.files import forest_path, group_of
from actors.detector.learning import GroupLearning
from actors.detector.zscore import DeviceZScores, strangest
from actors.messages import (
    API,
    PUBLISHER,
    AnomalyScore,
    DescribeDevice,
    DeviceSchema,
    ModelReady,
    Sample,
)
from actors.schemas import SchemaBook, good_values
from supervision.actor import Actor, ActorContext
from supervision.envelope import Header

log = structlog.get_logger()


class DetectorActor(Actor):
    """A thin shell around z-scores, forests and the rows kept for training."""

    def __init__(self, config: DetectorConfig) -> None:
        self._config = config
        self._state_dir = Path(config.state_dir)
        self._context: ActorContext
        self._schemas = SchemaBook()
        self._z_scores: dict[str, DeviceZScores] = {}
        self._points: dict[str, tuple[str, ...]] = {}
        self._learning: dict[str, GroupLearning] = {}
        self._forests: dict[str, Forest] = {}

    def on_start(self, context: ActorContext) -> None:
        """Make the state folder; models are loaded when a schema tells which one is needed."""
        self._context = context
        self._state_dir.mkdir(parents=True, exist_ok=True)

    def on_message(self, message: object, header: Header) -> None:
        """Learn a schema, score a sample, or load a new model."""
        match message:
            case Sample():
                self._on_sample(message, header)
            case DeviceSchema():
                if self._schemas.learn(message):
                    self._on_new_schema(message)
            case ModelReady():
                self._on_model_ready(message)
            case _:
                pass

    def on_tick(self) -> None:
        """Hand rows to the trainer once there are enough."""
        now_s = self._context.clock.monotonic_s()
        for learning in self._learning.values():
            if learning.is_due(now_s, self._config.retry_training_s):
                self._start_training(learning, now_s)

    def _on_new_schema(self, schema: DeviceSchema) -> None:
        floors = {
            point.name: Z_FLOORS[unit_of(point.name)].at
            for point in schema.points
            if unit_of(point.name) in Z_FLOORS
        }
        self._z_scores[schema.device_id] = DeviceZScores(
            floors,
            window=self._config.window,
            warm_up=self._config.warm_up,
            refresh=self._config.refresh,
        )
        points = forest_points(schema)
        self._points[schema.device_id] = points
        group = group_of(points)
        if points and group not in self._forests and group not in self._learning:
            self._begin_group(group, points)

    def _begin_group(self, group: str, points: tuple[str, ...]) -> None:
        if forest_path(self._state_dir, group).exists():
            self._load_forest(group, points)
        if group not in self._forests:
            self._learning[group] = GroupLearning(
                group,
                points,
                rows_wanted=self._config.training_rows,
                rows_kept=self._config.training_rows_kept,
            )

    def _on_model_ready(self, ready: ModelReady) -> None:
        for group, points in {group_of(points): points for points in self._points.values()}.items():
            if forest_path(self._state_dir, group) == Path(ready.path):
                self._load_forest(group, points, pinned_sha256=ready.sha256)

    def _load_forest(self, group: str, points: tuple[str, ...], *, pinned_sha256: str = "") -> None:
        path = forest_path(self._state_dir, group)
        try:
            self._forests[group] = Forest(path, points=points, pinned_sha256=pinned_sha256)
        except ModelRefusedError as error:
            log.warning("model refused", reason=str(error))
            return
        self._learning.pop(group, None)
        log.info("model loaded", path=str(path), sha256=self._forests[group].sha256)

    def _start_training(self, learning: GroupLearning, now_s: float) -> None:
        try:
            learning.store(self._state_dir, now_s)
        except OSError as error:
            log.warning(
                "training set not written", reason=str(error), fix="make the state folder writable"
            )
            return
        log.info("training asked for", group=learning.group, rows=len(learning))
        self._context.start_cell(self._config.trainer_cell)

    def _on_sample(self, sample: Sample, header: Header) -> None:
        schema = self._schemas.schema_of(sample)
        if schema is None:
            if self._schemas.should_ask(sample.device_id, self._context.clock.monotonic_s()):
                self._context.send(DescribeDevice(device_id=sample.device_id), header.sender)
            return
        good = good_values(schema, sample)
        z_max, z_point = strangest(self._z_scores[sample.device_id].score(good))
        group = group_of(self._points[sample.device_id])
        forest_score, model, limit = self._second_opinion(group, good)
        strange_z = z_max is not None and z_max >= self._config.z_limit
        strange_row = forest_score is not None and forest_score > limit
        score = AnomalyScore(
            device_id=sample.device_id,
            seq=sample.seq,
            mono_ns=sample.mono_ns,
            wall_ns=sample.wall_ns,
            z_max=z_max,
            z_point=z_point,
            forest_score=forest_score,
            anomalous=strange_z or strange_row,
            model=model,
        )
        self._context.send(score, API, PUBLISHER)
        if z_max is not None and not strange_z:
            self._learn(group, sample, good)

    def _second_opinion(
        self, group: str, good: dict[str, float]
    ) -> tuple[float | None, str, float]:
        """Return the forest's score, its hash and the score from which it is anomalous."""
        forest = self._forests.get(group)
        if forest is None:
            return None, "", 1.0
        try:
            score = forest.score(good)
        except ModelFailedError as error:
            log.warning("model failed", reason=str(error), sha256=forest.sha256)
            score = None
        return score, forest.sha256, max(self._config.forest_limit, forest.strangest_seen)

    def _learn(self, group: str, sample: Sample, good: dict[str, float]) -> None:
        learning = self._learning.get(group)
        if learning is not None:
            row = row_of(self._points[sample.device_id], good)
            if row is not None:
                learning.add(sample.wall_ns, row)


def build(config: bytes) -> Actor:
    """Return the DetectorActor for a msgpack-encoded `DetectorConfig`."""
    return DetectorActor(msgspec.msgpack.decode(config, type=DetectorConfig))
