"""Settings that read back late: for a while after a write the registers still say what they said before. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class LateSettings:
    """What settings say until their writes show."""

    def __init__(self, late_s: float) -> None:
        """Let each write show after `late_s` seconds; 0 shows it at once."""
        self.late_s = late_s
        self._now_s = 0.0
        self._old: dict[str, tuple[float, float]] = {}
        """The value said so far, and the time at which the new one shows."""

    def written(self, names: Iterable[str], before: Mapping[str, float]) -> None:
        """Take note that the settings `names`, which were as in `before`, have been written."""
        if self.late_s > 0.0:
            for name in names:
                said = self._old[name][0] if name in self._old else before[name]
                self._old[name] = (said, self._now_s + self.late_s)

    def step(self, dt_s: float) -> None:
        """Let `dt_s` seconds pass."""
        self._now_s += dt_s
        if self._old:
            self._old = {name: old for name, old in self._old.items() if old[1] > self._now_s}

    def shown(self, name: str, value: float) -> float:
        """Return what the register of the setting `name` says, which truly is `value`."""
        return self._old[name][0] if name in self._old else value
