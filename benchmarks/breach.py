"""From a breach in a device's answer to the stop at the device, by the device's own clock.

Each trial: a battery is being discharged by a foreign command, then becomes all but empty. The time runs from the first
response that shows it to the arrival of the stop. The simulated device sets the profile's gaps to zero. The same is
measured beside processor hogs in other processes, beside degradable cells that crash in a loop, and, for comparison,
beside a hog on a thread of the control cell itself: that is why there are cells.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.figures import Figure, figure
from bessai.testing import Gateway, SimulatedSite, wait_for

TRIALS = 150
POLL_S = 0.1
DEGRADABLE = ("detector", "dispatcher", "publisher", "api")


def run() -> list[Figure]:
    """Measure four situations; about six minutes."""
    return [
        _measure("idle machine", (), p50_limit=1.5, p99_limit=5.0),
        _measure("two hogs in other processes", ("a", "b"), p50_limit=3.0, p99_limit=20.0),
        _measure("degradable cells crash-looping", (), crash=True, p50_limit=3.0, p99_limit=20.0),
        _measure("for comparison: one hog on a thread of control", ("control",)),
    ]


def _measure(
    situation: str,
    hogs: tuple[str, ...],
    *,
    crash: bool = False,
    p50_limit: float | None = None,
    p99_limit: float | None = None,
) -> Figure:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        options = [word for hog in hogs for word in ("--hog", hog)]
        command = [sys.executable, "-m", "benchmarks.hogged_run", *options]
        with SimulatedSite(directory, devices=3) as site:
            gateway = Gateway(site, directory, poll_s=POLL_S, command=command)
            with gateway:
                _wait_until_watched(site)
                over = threading.Event()
                crasher = threading.Thread(target=_keep_crashing, args=(gateway, over))
                if crash:
                    crasher.start()
                reactions_ms = [1000 * _trial(site, device) for device in _rounds(site)]
                over.set()
                if crash:
                    crasher.join()
    return figure(
        f"breach to stop, 10 Hz, {situation}",
        "ms",
        reactions_ms,
        p50_limit=p50_limit,
        p99_limit=p99_limit,
    )


def _rounds(site: SimulatedSite) -> list[str]:
    return list(itertools.islice(itertools.cycle(site.names), TRIALS))


def _wait_until_watched(site: SimulatedSite) -> None:
    """Wait until a breach of every device is answered, so that start-up is not measured."""
    for device in site.names:
        site.answer(site.break_soc_limit(device), timeout_s=60.0)
        site.mend(device)
    time.sleep(3.0)


def _trial(site: SimulatedSite, device: str) -> float:
    reaction_s = None
    while reaction_s is None:
        reaction_s = site.reaction_s(site.empty_while_discharging(device))
        site.mend(device)
        wait_for("rest", lambda: abs(site.client.truth(device).battery_power_w) < 1.0)
        time.sleep(
            2.5 * POLL_S
        )  # let the guard see the battery mended, at a phase of no poll in particular
    return reaction_s


def _keep_crashing(gateway: Gateway, over: threading.Event) -> None:
    for fault in itertools.cycle(("segfault", "raise", "exit", "spin 1")):
        for actor in DEGRADABLE:
            gateway.order(actor, fault)
        if over.wait(0.5):
            return
