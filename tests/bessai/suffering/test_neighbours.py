"""Twenty devices of which fifteen are bad neighbours: the five good ones do not notice, and every bad one is named."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from bessai.config import DEFAULT_PROFILE
from bessai.testing import Gateway, SimulatedSite, wait_for
from tests.bessai.suffering.evidence import by_device, metrics, published

PLAN = """
lasts_s = 600

[[step]]
devices = ["d1", "d2"]
fault = "hang"

[[step]]
devices = ["d3", "d4"]
fault = "refuse"

[[manners]]
devices = "d5-d8"
latency_s = [0.08, 0.12]

[[step]]
devices = "d9-d12"
fault = "refuse"
at_s = 3
for_s = 0.5
every_s = 1.5

[[step]]
devices = "d13"
fault = "garbage"

[[step]]
devices = "d14"
fault = "wrong_transaction"

[[step]]
devices = "d15"
fault = "wrong_length"
"""
POLL_S = 0.5
POLLS = 6
"""So many of each good device are looked at when every bad one has been named."""
BAD = [f"d{number}" for number in range(1, 16)]
GOOD = [f"d{number}" for number in range(16, 21)]
SLOW = BAD[4:8]
LAG = "polls are skipped: a poll takes "
KEYS = {"timeout_s": 1.0, "reconnect_initial_s": 0.2, "reconnect_max_s": 1.0}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


def test_bad_devices_are_named_and_good_ones_are_sampled_in_every_period(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    with (
        SimulatedSite(tmp_path, devices=20, plan=plan) as site,
        Gateway(site, tmp_path, poll_s=POLL_S, profile=DEFAULT_PROFILE, keys=KEYS) as gateway,
    ):
        health = gateway.wait_until("every bad device is named", all_are_named, timeout_s=60.0)
        since = len(samples(gateway, GOOD[0]))
        wait_for("polls", lambda: len(samples(gateway, GOOD[0])) >= since + POLLS)
        counted = metrics(gateway)
        told = {device: samples(gateway, device) for device in GOOD}
    for device, lines in told.items():
        assert [late["seq"] - early["seq"] for early, late in itertools.pairwise(lines)] == [1] * (
            len(lines) - 1
        )
        # A machine that stands still for half a second costs a poll, whatever the neighbours do.
        assert counted["bessai_device_skipped_polls_total", device, ""] <= 1
        assert health["devices"][device]["reason"] == ""
        assert len(lines) >= POLLS


def all_are_named(health: dict[str, Any]) -> bool:
    """Tell whether /health has a reason for each bad device, and the good ones are online."""
    devices = health["devices"]
    named = all(devices[device]["reason"] for device in BAD)
    named &= all(devices[device]["reason"].startswith(LAG) for device in SLOW)
    return named and all(devices[device]["state"] == "online" for device in GOOD)


def samples(gateway: Gateway, device: str) -> list[dict[str, Any]]:
    return by_device(published(gateway), "device_id").get(device, [])
