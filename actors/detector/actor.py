"""DetectorActor: says of each sample how unusual it is, and has a forest trained when it has seen enough.

A device is scored against its own past by robust z-scores, and against its group (devices with the same points) by an
IsolationForest. What is not known is None: a sample without trusted values has no score, which is not a low one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import structlog

from actors.detector.config import DetectorConfig
from actors.detector.device import DeviceWatch
from actors.detector.ensemble import Forest, ModelFailedError, ModelRefusedError, row_of
from actors.detector.files import forest_path
from actors.detector.learning import GroupLearning
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
        self._devices: dict[str, DeviceWatch] = {}
        self._learning: dict[str, GroupLearning] = {}
        self._forests: dict[str, Forest] = {}

    def on_start(self, context: ActorContext) -> None:
        """Make the state folder; a model is loaded once it is known what a device delivers."""
        self._context = context
        self._state_dir.mkdir(parents=True, exist_ok=True)

    def on_message(self, message: object, header: Header) -> None:
        """Learn a schema, score a sample, or load a new model."""
        match message:
            case Sample():
                self._on_sample(message, header)
            case DeviceSchema():
                if self._schemas.learn(message):
                    self._devices[message.device_id] = DeviceWatch(message, self._config)
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

    def _join_group(self, group: str, points: tuple[str, ...]) -> None:
        if group in self._forests or group in self._learning:
            return
        if forest_path(self._state_dir, group).exists():
            self._load_forest(group, points)
        if group not in self._forests:
            self._begin_learning(group, points)

    def _begin_learning(self, group: str, points: tuple[str, ...]) -> None:
        self._learning[group] = GroupLearning(
            group,
            points,
            rows_wanted=self._config.training_rows,
            rows_kept=self._config.training_rows_kept,
        )

    def _on_model_ready(self, ready: ModelReady) -> None:
        for group, points in {
            watch.group: watch.points for watch in self._devices.values()
        }.items():
            if group and forest_path(self._state_dir, group) == Path(ready.path):
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
        self._score(self._devices[sample.device_id], sample, good_values(schema, sample))

    def _score(self, watch: DeviceWatch, sample: Sample, good: Mapping[str, float]) -> None:
        if watch.finds_group(good):
            self._join_group(watch.group, watch.points)
        z_max, z_point = watch.score(good)
        forest_score, model, limit = self._second_opinion(watch, good)
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
            self._learn(watch, sample.wall_ns, good)

    def _second_opinion(
        self, watch: DeviceWatch, good: Mapping[str, float]
    ) -> tuple[float | None, str, float]:
        """Return the forest's score, its hash and the score above which a row is anomalous."""
        forest = self._forests.get(watch.group)
        if forest is None:
            return None, "", 1.0
        try:
            score = forest.score(good)
        except ModelFailedError as error:
            log.warning("model failed", reason=str(error), sha256=forest.sha256)
            del self._forests[watch.group]
            self._begin_learning(watch.group, watch.points)
            return None, "", 1.0
        return score, forest.sha256, max(self._config.forest_limit, forest.strangest_seen)

    def _learn(self, watch: DeviceWatch, wall_ns: int, good: Mapping[str, float]) -> None:
        learning = self._learning.get(watch.group)
        row = row_of(watch.points, good)
        if learning is not None and row is not None:
            learning.add(wall_ns, row)


def build(config: bytes) -> Actor:
    """Return the DetectorActor for a msgpack-encoded `DetectorConfig`."""
    return DetectorActor(msgspec.msgpack.decode(config, type=DetectorConfig))
