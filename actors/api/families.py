"""Metric families built from rows; a family without rows is absent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

Row = tuple[tuple[str, ...], float | None]
"""Label values and the value; None where it is unknown, which exports nothing."""


def gauge(
    name: str, help_text: str, labels: tuple[str, ...], rows: Iterable[Row]
) -> Iterator[Metric]:
    """Yield the gauge `bessai_<name>`, unless no row has a value."""
    yield from _filled(GaugeMetricFamily(f"bessai_{name}", help_text, labels=labels), rows)


def counter(
    name: str, help_text: str, labels: tuple[str, ...], rows: Iterable[Row]
) -> Iterator[Metric]:
    """Yield the counter `bessai_<name>_total`, unless no row has a value."""
    yield from _filled(CounterMetricFamily(f"bessai_{name}", help_text, labels=labels), rows)


def _filled(
    family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[Row]
) -> Iterator[Metric]:
    for labels, value in rows:
        if value is not None:
            family.add_metric(labels, value)
    if family.samples:
        yield family
