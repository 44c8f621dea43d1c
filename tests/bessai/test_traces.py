"""A whole gateway with a collector in a process of its own: one trace from a poll to the published sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bessai.testing import Gateway, SimulatedSite
from tests.actors.publisher.collector import Collector

ASKING = """
[dispatcher]
decide_s = 0.5
ttl_s = 2.0
time_of_use = {{ charge_hours_utc = [{hours}] }}

[tracing]
endpoint = "http://127.0.0.1:{port}"
polls = 1.0
"""
COMMANDED = {"poll", "judge", "decide", "approve", "write"}
PUBLISHED = {"poll", "judge", "publish"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.end()


def test_one_trace_leads_from_a_poll_to_the_write_and_to_the_published_sample(
    tmp_path: Path, collector: Collector
) -> None:
    hours = ", ".join(map(str, range(24)))
    extra = ASKING.format(hours=hours, port=collector.ports["http"])
    traces: dict[str, set[str]] = {}
    with (
        SimulatedSite(tmp_path, devices=1, settings={"charge_from_grid": 1}) as site,
        Gateway(site, tmp_path, extra=extra),
    ):
        while not (_one_has(COMMANDED, traces) and _one_has(PUBLISHED, traces)):
            span = collector.take()
            traces.setdefault(span["trace"], set()).add(span["name"])


def _one_has(names: set[str], traces: dict[str, set[str]]) -> bool:
    return any(found >= names for found in traces.values())


def test_a_collector_that_hangs_changes_nothing(tmp_path: Path, collector: Collector) -> None:
    collector.mood("hang")
    extra = ASKING.format(hours="0", port=collector.ports["http"])
    with (
        SimulatedSite(tmp_path, devices=1) as site,
        Gateway(site, tmp_path, extra=extra) as gateway,
    ):
        gateway.wait_until_healthy(timeout_s=40.0)
        breach = site.break_soc_limit("d1")
        assert site.answer_s(breach) < 5.0
    assert gateway.process.returncode == 0
