"""The rows a forest is to learn from: the newest good rows of a group, until its model is there."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from actors.detector.files import Rows, training_path, write_training_set


class GroupLearning:
    """The good rows of one group, and when they were last handed to the trainer."""

    def __init__(
        self, group: str, points: tuple[str, ...], *, rows_wanted: int, rows_kept: int
    ) -> None:
        """Keep the newest `rows_kept` rows of `points`; `rows_wanted` of them are enough."""
        self.group = group
        self._points = points
        self._rows_wanted = rows_wanted
        self._rows: deque[tuple[int, Rows]] = deque(maxlen=rows_kept)
        self._asked_s = float("-inf")

    def __len__(self) -> int:
        """Return how many rows are kept."""
        return len(self._rows)

    def add(self, wall_ns: int, row: Rows) -> None:
        """Keep one good row of shape (1, points)."""
        self._rows.append((wall_ns, row))

    def is_due(self, now_s: float, retry_s: float) -> bool:
        """Return whether there is enough to train on, and no attempt in the last `retry_s`."""
        return len(self._rows) >= self._rows_wanted and now_s - self._asked_s >= retry_s

    def store(self, state_dir: Path, now_s: float) -> None:
        """Write the rows for the trainer.

        Raises:
            OSError: the state folder cannot be written.
        """
        self._asked_s = now_s
        stamps = [stamp for stamp, _ in self._rows]
        write_training_set(
            training_path(state_dir, self.group),
            self._points,
            np.concatenate([row for _, row in self._rows]),
            first_wall_ns=min(stamps),
            last_wall_ns=max(stamps),
        )
