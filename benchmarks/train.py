"""Trains forests without a pause, as the trainer does; runs until it is ended."""

from __future__ import annotations

import os

import numpy as np
from sklearn.ensemble import IsolationForest

ROWS, POINTS, TREES = 4096, 16, 100
NICE = 10


def main() -> None:
    """Train for ever, standing back as the trainer's cell does."""
    os.nice(NICE)
    rows = np.random.default_rng(1).normal(size=(ROWS, POINTS))
    while True:
        IsolationForest(n_estimators=TREES, random_state=1).fit(rows)


if __name__ == "__main__":
    main()
