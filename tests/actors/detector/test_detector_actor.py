import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from actors.detector.actor import DetectorActor, build
from actors.detector.config import DetectorConfig
from actors.detector.files import FOREST, forest_path, group_of
from actors.detector.trainer import build as build_trainer
from actors.messages import (
    API,
    DETECTOR,
    PUBLISHER,
    AnomalyScore,
    DescribeDevice,
    DeviceSchema,
    ModelReady,
    PointInfo,
    Quality,
    Sample,
)
from supervision.clock import ManualClock
from supervision.envelope import Header
from tests.actors.fakes import RecordingContext
from tests.actors.models import store_linear

SCHEMA = DeviceSchema(
    device_id="a",
    schema_id=1,
    points=(
        PointInfo("soc_pct", "%"),
        PointInfo("battery_temperature_c", "degC"),
        PointInfo("battery_power_w", "W"),
        PointInfo("device_status", ""),
        PointInfo("grid_power_w", "W"),
    ),
)
HEADER = Header(receiver=DETECTOR, sender="inverter/a", epoch=1)
POINTS = ("battery_power_w", "battery_temperature_c", "soc_pct")
"""What the forest sees: the device delivers no grid_power_w."""
GROUP = group_of(POINTS)


class Rig:
    """A detector and what it did."""

    def __init__(self, state_dir: Path) -> None:
        self.clock = ManualClock()
        self.context = RecordingContext(DETECTOR, clock=self.clock)
        self.state_dir = state_dir
        self.config = DetectorConfig(
            state_dir=str(state_dir), window=40, warm_up=10, refresh=1, training_rows=50, trees=20
        )
        self.random = random.Random(1)
        self.seq = 0
        self.actor: DetectorActor = self.start()

    def start(self) -> DetectorActor:
        actor = build(msgspec.msgpack.encode(self.config))
        assert isinstance(actor, DetectorActor)
        actor.on_start(self.context)
        return actor

    def sample(self, *values: float | None, quality: bytes = b"") -> AnomalyScore | None:
        before = len(self.scores())
        self.seq += 1
        sample = Sample(
            device_id="a",
            schema_id=1,
            seq=self.seq,
            epoch=1,
            wall_ns=self.clock.wall_ns(),
            mono_ns=self.clock.monotonic_ns(),
            values=values,
            quality=quality,
        )
        self.actor.on_message(sample, HEADER)
        self.clock.advance(1.0)
        return self.scores()[-1] if len(self.scores()) > before else None

    def ordinary(self, count: int = 1) -> AnomalyScore | None:
        score = None
        for _ in range(count):
            noise = self.random.gauss
            score = self.sample(noise(50, 0.5), noise(25, 0.5), noise(0, 3000), 512.0, None)
        return score

    def scores(self) -> list[AnomalyScore]:
        return self.context.messages(AnomalyScore)

    def train(self) -> ModelReady:
        context = RecordingContext("trainer")
        trainer = build_trainer(msgspec.msgpack.encode(self.config))
        trainer.on_start(context)
        while not context.finished:
            for event in context.take_posted():
                trainer.on_event(event)
        (ready,) = context.messages(ModelReady, DETECTOR)
        return ready


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path / "state")
    made.actor.on_message(SCHEMA, HEADER)
    return made


def test_a_sample_is_scored_for_api_and_publisher_under_its_own_number_and_stamps(rig: Rig) -> None:
    score = rig.ordinary()
    assert score is not None
    assert (score.device_id, score.seq, score.z_max, score.forest_score) == ("a", 1, None, None)
    assert rig.context.sent[-1].receivers == (API, PUBLISHER)


def test_a_spike_is_anomalous_and_names_its_point(rig: Rig) -> None:
    calm = rig.ordinary(20)
    assert calm is not None
    assert not calm.anomalous
    spike = rig.sample(50.0, 60.0, 0.0, 512.0, None)
    assert spike is not None
    assert (spike.anomalous, spike.z_point) == (True, "battery_temperature_c")


def test_a_change_of_power_alone_is_no_anomaly_of_its_own(rig: Rig) -> None:
    rig.ordinary(20)
    jump = rig.sample(50.0, 25.0, 5000.0, 2.0, None)
    assert jump is not None
    assert not jump.anomalous


def test_a_sample_without_any_good_value_has_no_score_and_not_a_low_one(rig: Rig) -> None:
    rig.ordinary(20)
    score = rig.sample(None, 25.0, None, None, None, quality=bytes([3, Quality.STALE, 3, 3, 3]))
    assert score is not None
    assert (score.z_max, score.z_point, score.forest_score) == (None, "", None)


def test_the_schema_of_an_unknown_device_is_asked_for_at_most_once_a_second(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for _ in range(4):
        rig.ordinary()
        rig.clock.advance(-0.6)
    assert len(rig.context.messages(DescribeDevice, "inverter/a")) == 2
    assert not rig.scores()


def test_training_is_asked_for_once_there_is_enough_and_again_only_after_a_while(rig: Rig) -> None:
    rig.ordinary(50)
    rig.actor.on_tick()
    assert not rig.context.started_cells, "the rows of the warm-up are no good rows"
    rig.ordinary(20)
    rig.actor.on_tick()
    rig.actor.on_tick()
    assert rig.context.started_cells == ["trainer"]
    rig.clock.advance(rig.config.retry_training_s)
    rig.actor.on_tick()
    assert rig.context.started_cells == ["trainer", "trainer"]


def test_the_detector_learns_to_score_with_a_forest_of_its_own_rows(rig: Rig) -> None:
    rig.ordinary(70)
    rig.actor.on_tick()
    ready = rig.train()
    rig.actor.on_message(ready, HEADER)
    score = rig.ordinary()
    assert score is not None
    assert score.forest_score is not None
    assert 0 < score.forest_score < 1
    assert score.model == ready.sha256


def test_a_restarted_detector_uses_the_model_it_finds(rig: Rig) -> None:
    rig.ordinary(70)
    rig.actor.on_tick()
    ready = rig.train()
    rig.actor = rig.start()
    rig.actor.on_message(SCHEMA, HEADER)
    score = rig.ordinary(rig.config.warm_up)
    assert score is not None
    assert score.model == ready.sha256


def test_a_damaged_model_is_refused_and_trained_anew(rig: Rig) -> None:
    rig.ordinary(70)
    rig.actor.on_tick()
    rig.train()
    path = forest_path(rig.state_dir, GROUP)
    path.write_bytes(path.read_bytes()[:-1])
    with capture_logs() as logs:
        rig.actor = rig.start()
        rig.actor.on_message(SCHEMA, HEADER)
        rig.ordinary(rig.config.warm_up)
    assert [entry["event"] for entry in logs] == ["model refused"]
    rig.ordinary(70)
    rig.actor.on_tick()
    assert rig.context.started_cells == ["trainer", "trainer"]


def test_a_model_that_answers_nonsense_gives_no_score_and_is_reported(rig: Rig) -> None:
    store_linear(forest_path(rig.state_dir, GROUP), POINTS, [1.0] * len(POINTS), kind=FOREST)
    with capture_logs() as logs:
        score = rig.ordinary(30)
    assert score is not None
    assert score.forest_score is None
    assert [entry["event"] for entry in logs] == ["model loaded", "model failed"]


def test_messages_meant_for_others_are_passed_over(rig: Rig) -> None:
    rig.actor.on_message(DescribeDevice(device_id="a"), HEADER)
    assert not rig.context.sent


def test_a_model_other_than_the_one_told_of_is_refused(rig: Rig) -> None:
    rig.ordinary(70)
    rig.actor.on_tick()
    ready = msgspec.structs.replace(rig.train(), sha256="0" * 64)
    rig.actor.on_message(ready, HEADER)
    score = rig.ordinary()
    assert score is not None
    assert score.model == ""


def test_samples_that_are_anomalous_are_not_learned_from(rig: Rig) -> None:
    rig.ordinary(30)
    learned = len(rig.actor._learning[GROUP])
    for _ in range(10):
        rig.sample(50.0, 90.0, 0.0, 512.0, None)
    assert len(rig.actor._learning[GROUP]) == learned


def test_a_state_folder_that_cannot_be_written_is_reported_and_scoring_goes_on(rig: Rig) -> None:
    rig.ordinary(70)
    rig.state_dir.rename(rig.state_dir.with_name("gone"))
    with capture_logs() as logs:
        rig.actor.on_tick()
    assert logs[0]["event"] == "training set not written"
    assert rig.ordinary() is not None


def test_the_detector_does_not_import_scikit_learn_or_onnx() -> None:
    code = "import sys, actors.detector.actor; sys.exit(bool({'sklearn', 'onnx', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "wrong",
    [{"window": 5}, {"warm_up": 1000}, {"refresh": 0}, {"training_rows": 10_000}, {"z_limit": 0}],
)
def test_a_configuration_that_cannot_work_is_refused_by_name(wrong: dict[str, int]) -> None:
    (field,) = wrong
    with pytest.raises(ValueError, match=f"detector.{field} = "):
        DetectorConfig(state_dir="x", **wrong)  # type: ignore[arg-type]
