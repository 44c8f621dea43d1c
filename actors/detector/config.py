"""Configuration of DetectorActor and of the trainer it has started."""

from __future__ import annotations

import msgspec


class DetectorConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the detector learns and when it calls a sample anomalous; the trainer gets the same."""

    state_dir: str
    """Folder of training sets and models; made if it does not exist."""
    window: int = 300
    """Samples per device over which the centre and spread of each point are taken."""
    warm_up: int = 60
    """Good values of a point before it is scored."""
    refresh: int = 10
    """Centre and spread are taken again after this many samples of a device."""
    z_limit: float = 8.0
    """Robust z-score from which a sample is anomalous."""
    forest_limit: float = 0.65
    """Forest score from which a sample is anomalous, unless training has seen stranger ones."""
    training_rows: int = 300
    """Good rows of a group of like devices before its forest is trained."""
    training_rows_kept: int = 4096
    """The newest so many rows of a group are kept for training."""
    retry_training_s: float = 120.0
    """How long to wait for a model before the trainer is started again."""
    trainer_cell: str = "trainer"
    trees: int = 100
    rows_per_tree: int = 256
    seed: int = 20260101
    """Of the forest's random splits: the same rows give the same forest."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot work."""
        _require("window", self.window, low=10, high=100_000)
        _require("warm_up", self.warm_up, low=5, high=self.window)
        _require("refresh", self.refresh, low=1, high=self.window)
        _require("training_rows", self.training_rows, low=16, high=self.training_rows_kept)
        _require("training_rows_kept", self.training_rows_kept, low=16, high=100_000)
        _require("trees", self.trees, low=1, high=1000)
        _require("rows_per_tree", self.rows_per_tree, low=2, high=4096)
        _require("z_limit", self.z_limit, low=1, high=1e6)
        _require("forest_limit", self.forest_limit, low=0, high=1)
        _require("retry_training_s", self.retry_training_s, low=1, high=86_400)


def _require(field: str, value: float, *, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"detector.{field} = {value} is not allowed: expected {low} to {high}")
