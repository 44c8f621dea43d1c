"""Configuration of WatchdogActor."""

from __future__ import annotations

import msgspec


class WatchdogConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who must make progress, and how long each may take. All times are the project's choice."""

    cell: str
    """The cell whose actors are watched."""
    critical: tuple[str, ...]
    """Names of the actors without which batteries are not watched."""
    progress_s: float = 1.5
    """Longest age of an actor's last completed work: its liveness of 1 s and the way of the report."""
    evaluation_s: float = 2.5
    """Longest time without a new safety evaluation: SafetyActor tells about once a second."""
    site_report_s: float = 2.0
    """Longest time without word from root, which reports four times a second."""
    settle_s: float = 1.0
    """How long a new incarnation must run before watchdogs are kicked on its word: one that hangs again and again never
    does."""
    report_s: float = 0.25
    """Period of `WatchdogReport`."""

    def __post_init__(self) -> None:
        """Refuse a watchdog that would watch nothing or bark at everything."""
        if not self.critical:
            raise ValueError(
                "watchdog.critical = () is not allowed: name the actors that must make progress"
            )
        _require("report_s", self.report_s, low=0.05, high=1.0)
        _require("progress_s", self.progress_s, low=0.5, high=10.0)
        _require("evaluation_s", self.evaluation_s, low=0.5, high=10.0)
        _require("settle_s", self.settle_s, low=0.5, high=10.0)
        _require("site_report_s", self.site_report_s, low=0.5, high=10.0)


def _require(field: str, value: float, *, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"watchdog.{field} = {value} is not allowed: expected {low} to {high} s")
