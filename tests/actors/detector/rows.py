"""Rows of a battery that behaves, for training."""

from __future__ import annotations

import numpy as np

from actors.detector.files import Rows, TrainingSet

POINTS = ("battery_power_w", "battery_temperature_c", "grid_frequency_hz", "soc_pct")


def ordinary_rows(count: int, seed: int = 1) -> Rows:
    random = np.random.default_rng(seed)
    columns = [
        random.uniform(-5000, 5000, count),
        random.normal(25, 1, count),
        random.normal(50, 0.02, count),
        np.round(random.uniform(20, 80, count), 1),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def training_set(count: int = 400) -> TrainingSet:
    return TrainingSet(POINTS, ordinary_rows(count), 10**18, 10**18 + 10**9, "hash-of-the-file")
