"""The publisher's process is killed while devices are read; every sample that was taken must be published."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bessai.testing import Gateway, SimulatedSite, wait_for

pytestmark = pytest.mark.chaos
POLL_S = 0.2
KILLS = 2
SLOW_STOP_S = 3.0


def _polls(gateway: Gateway) -> dict[str, int]:
    """Return how many samples each device's actor has taken, as /metrics tells."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/metrics", timeout=2.0) as answer:
        lines = answer.read().decode().splitlines()
    told = [line for line in lines if line.startswith("bessai_device_polls_total{")]
    return {line.split('"')[1]: int(float(line.rpartition(" ")[2])) for line in told}


def _published(gateway: Gateway) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for record in _samples(gateway):
        found[record["device_id"]].append(record["seq"])
    return found


def _samples(gateway: Gateway) -> Iterator[dict[str, Any]]:
    for path in sorted((gateway.state_dir / "published").glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            record = json.loads(line)
            if record["kind"] == "sample":
                yield record


def _newest_wall_ns(gateway: Gateway, device: str) -> int:
    return max(int(each["wall_ns"]) for each in _samples(gateway) if each["device_id"] == device)


def _left_wall_ns(gateway: Gateway, device: str) -> int:
    """Return when `device` was left for good, as the log tells."""
    lines = map(
        json.loads, filter(lambda line: line[:1] == "{", gateway.log.read_text().splitlines())
    )
    left = [x for x in lines if x.get("event") == "device left" and x["device"] == device]
    return int(datetime.fromisoformat(left[-1]["timestamp"]).timestamp() * 1e9)


def _kill_publisher(gateway: Gateway) -> None:
    """Kill it, and wait until another one delivers."""
    killed = gateway.signal_cell("publisher", signal.SIGKILL)

    def replaced(health: dict[str, Any]) -> bool:
        running = health["cells"]["publisher"].get("pid")
        return running not in {None, killed} and health["publisher"]["state"] == "delivering"

    gateway.wait_until("another publisher", replaced)


def test_no_sample_is_missing_though_the_publisher_is_killed(tmp_path: Path) -> None:
    with (
        SimulatedSite(tmp_path, devices=2) as site,
        Gateway(site, tmp_path, poll_s=POLL_S) as gateway,
    ):
        gateway.wait_until_healthy()
        for _ in range(KILLS):
            _kill_publisher(gateway)
        polls = _polls(gateway)
        assert set(polls) == set(site.names)

        def all_published() -> bool:
            published = _published(gateway)
            return all(len(set(published[name])) >= polls[name] for name in site.names)

        wait_for("every sample in the files", all_published)
        for seqs in _published(gateway).values():
            assert list(dict.fromkeys(seqs)) == sorted(set(seqs))


def test_what_is_polled_until_a_device_is_left_is_published(tmp_path: Path) -> None:
    with (
        SimulatedSite(tmp_path, devices=2) as site,
        Gateway(site, tmp_path, poll_s=POLL_S) as gateway,
    ):
        gateway.wait_until_healthy()
        gateway.order("dispatcher", f"hang {SLOW_STOP_S}")  # devices are polled while others stop
        wait_for("the order to be taken", lambda: not gateway.order_file("dispatcher").exists())
    for device in site.names:
        lost_ns = _left_wall_ns(gateway, device) - _newest_wall_ns(gateway, device)
        assert lost_ns < SLOW_STOP_S / 2 * 1e9
