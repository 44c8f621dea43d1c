"""Whether bad devices hurt good ones: of fifty, ten are dead, ten slow, ten flapping and five talk nonsense.

The period of the fifteen good ones is taken from the published samples, first without the others' trouble and then with
it. Every bad device must also stand in /health with its reason. Polls once a second, as at a site.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, figure, quantile
from benchmarks.published import published
from bessai.config import data_directory
from bessai.testing import Gateway, SimulatedSite

DEVICES, GOOD = 50, 15
POLL_S = 1.0
SETTLE_S = 60.0
"""By then every bad device has been found out: a slow one needs half a minute for the polls that show it."""
SECONDS = 120.0
PATIENCE = {"connect_delay_s": 1.0, "gap_s": 0.05}
"""What the slow ones need, and what the usual profile gives every device."""


def run() -> list[Figure]:
    """Measure; about six minutes."""
    quiet, _ = _measure(None)
    disturbed, unnamed = _measure(data_directory() / "plans" / "neighbours.toml")
    return [
        figure("period jitter of 15 devices, 35 good neighbours", "ms", quiet),
        figure(
            "the same, 35 bad neighbours",
            "ms",
            disturbed,
            p99_limit=2 * quantile(quiet, 0.99),
        ),
        figure("bad devices without a reason in /health", "devices", [unnamed], worst_limit=1),
    ]


def _measure(plan: Path | None) -> tuple[list[float], float]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (
            SimulatedSite(directory, devices=DEVICES, plan=plan) as site,
            Gateway(site, directory, poll_s=POLL_S, keys=PATIENCE) as gateway,
        ):
            good = site.names[-GOOD:]
            gateway.wait_until(
                "the good devices are sampled",
                lambda health: all(
                    health["devices"].get(device, {}).get("state") == "online" for device in good
                ),
                timeout_s=60.0,
            )
            time.sleep(SETTLE_S)
            since_ns = time.time_ns()
            unnamed = 0.0
            while time.time_ns() - since_ns < SECONDS * 1e9:
                time.sleep(5.0)
                unnamed = max(unnamed, float(_unnamed(gateway, site)) if plan else 0.0)
            return _jitter_ms(gateway, good, since_ns), unnamed


def _unnamed(gateway: Gateway, site: SimulatedSite) -> int:
    """Return how many bad devices are not told with a reason, whether they answer or not."""
    told = (gateway.health() or {}).get("devices", {})
    return sum(not told.get(name, {}).get("reason") for name in site.names[:-GOOD])


def _jitter_ms(gateway: Gateway, devices: list[str], since_ns: int) -> list[float]:
    stamps: dict[str, list[int]] = {device: [] for device in devices}
    for record in published(gateway.state_dir):
        if record["kind"] == "sample" and record["wall_ns"] > since_ns:
            stamps.get(record["device_id"], []).append(record["wall_ns"])
    return [
        abs((late - early) / 1e6 - 1000 * POLL_S)
        for times in stamps.values()
        for early, late in itertools.pairwise(times)
    ]
