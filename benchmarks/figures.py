"""How a figure is taken and shown: several runs, median and p99, beside a limit or a peer of the same run."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the report."""

    name: str
    unit: str
    p50: float
    p99: float
    worst: float
    runs: int
    limit: str = ""
    """What it must reach, in words, or empty for a comparison."""
    holds: bool | None = None
    """Whether it does; None for a comparison."""


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of `values` that at least `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def figure(
    name: str,
    unit: str,
    values: Sequence[float],
    *,
    p50_limit: float | None = None,
    p99_limit: float | None = None,
    worst_limit: float | None = None,
) -> Figure:
    """Summarise `values` and hold them against the limits that are given."""
    got = (statistics.median(values), quantile(values, 0.99), max(values))
    limits = (("p50", p50_limit), ("p99", p99_limit), ("max", worst_limit))
    checked = [
        (label, limit, value)
        for (label, limit), value in zip(limits, got, strict=True)
        if limit is not None
    ]
    return Figure(
        name=name,
        unit=unit,
        p50=got[0],
        p99=got[1],
        worst=got[2],
        runs=len(values),
        limit=", ".join(f"{label} < {limit:g}" for label, limit, _ in checked),
        holds=all(value < limit for _, limit, value in checked) if checked else None,
    )


def repeat_us(work: Callable[[], object], *, runs: int = 30, calls: int = 1000) -> list[float]:
    """Return the microseconds per call of `work` in each of `runs` runs of `calls` calls."""
    work()
    gc.collect()
    spent = []
    for _ in range(runs):
        begin_ns = time.perf_counter_ns()
        for _ in range(calls):
            work()
        spent.append((time.perf_counter_ns() - begin_ns) / calls / 1000)
    return spent


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| figure | p50 | p99 | max | unit | runs | limit | holds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in figures:
        holds = {True: "yes", False: "**no**", None: ""}[row.holds]
        spread = f"{row.p50:.3g} | {row.p99:.3g} | {row.worst:.3g}"
        lines.append(f"| {row.name} | {spread} | {row.unit} | {row.runs} | {row.limit} | {holds} |")
    return "\n".join(lines)
