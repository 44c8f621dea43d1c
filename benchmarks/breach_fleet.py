"""From a breach to the stop with hundreds of devices in one control cell, while everything else is as busy as it gets.

500 devices are polled once a second. Beside them forests are trained without a pause, a crowd reads /metrics and
/health, and the publisher is killed again and again, so that it fills up what it has missed. Each trial is as in
`breach`: the time runs from the first response of the device that shows the breach to the stop at the device, and the
device's own clock is asked.

The control cell has a real-time priority (`cells.control_realtime`), which takes root or a permission. The simulator
goes before the others where the operating system lets it: devices have processors of their own.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Generator
from pathlib import Path

from benchmarks.figures import Figure, figure
from bessai.testing import Gateway, NotInTimeError, SimulatedSite

DEVICES = 500
TRIALS = 60
CROWD = 4
KILL_EVERY_S = 15.0
P99_LIMIT_MS = 40.0
REALTIME = "\n[cells]\ncontrol_realtime = true\n"


def run() -> list[Figure]:
    """Measure with and without the others' work; about ten minutes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with (
            SimulatedSite(directory, devices=DEVICES) as site,
            Gateway(site, directory, poll_s=1.0, takes_orders=False, extra=REALTIME) as gateway,
        ):
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, site.pid, -10)
            gateway.wait_until("all devices to be watched", _all_online, timeout_s=180.0)
            quiet_ms = _reactions_ms(site)
            with _training(), _crowd(gateway), _killing(gateway):
                busy_ms = _reactions_ms(site)
    return [
        figure(f"breach to stop, {DEVICES} devices at 1 Hz", "ms", quiet_ms),
        figure(
            "the same beside training, back-fill and a flood of requests",
            "ms",
            busy_ms,
            p99_limit=P99_LIMIT_MS,
        ),
    ]


def _all_online(health: dict[str, dict[str, dict[str, str]]]) -> bool:
    states = [device.get("state") for device in health["devices"].values()]
    return len(states) == DEVICES and set(states) == {"online"}


def _reactions_ms(site: SimulatedSite) -> list[float]:
    chosen = random.Random(1).sample(site.names, TRIALS)
    return [1000 * reaction_s for name in chosen if (reaction_s := _trial(site, name)) is not None]


def _trial(site: SimulatedSite, device: str) -> float | None:
    """Return the reaction, or None if the stop was under way before any response showed the breach."""
    breach = site.empty_while_discharging(device)
    try:
        return site.reaction_s(breach, timeout_s=10.0)
    finally:
        site.mend(device)


@contextlib.contextmanager
def _training() -> Generator[None]:
    with subprocess.Popen([sys.executable, "-m", "benchmarks.train"]) as trainer:
        try:
            yield
        finally:
            trainer.kill()


@contextlib.contextmanager
def _crowd(gateway: Gateway) -> Generator[None]:
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            for path in ("metrics", "health"):
                with (
                    contextlib.suppress(OSError),
                    urllib.request.urlopen(
                        f"http://127.0.0.1:{gateway.port}/{path}", timeout=10.0
                    ) as answer,
                ):
                    answer.read()

    crowd = [threading.Thread(target=ask) for _ in range(CROWD)]
    for each in crowd:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in crowd:
            each.join()


@contextlib.contextmanager
def _killing(gateway: Gateway) -> Generator[None]:
    over = threading.Event()

    def kill() -> None:
        while not over.wait(KILL_EVERY_S):
            with contextlib.suppress(NotInTimeError, ProcessLookupError):
                gateway.signal_cell("publisher", signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()
