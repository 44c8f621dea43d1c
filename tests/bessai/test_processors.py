"""What the control cell gets of the processors: one that all its threads stay on, and a real-time priority if asked."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from bessai.cli import UNUSABLE
from bessai.testing import Gateway, SimulatedSite
from supervision.process import may_go_first

REALTIME = "\n[cells]\ncontrol_realtime = true\n"


def _policies(pid: int) -> set[int]:
    return {os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}


def _processors(pid: int) -> set[frozenset[int]]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {frozenset(os.sched_getaffinity(int(task.name))) for task in tasks}


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="there is one processor only")
def test_control_stays_on_one_processor_and_is_on_another_after_a_restart(tmp_path: Path) -> None:
    with SimulatedSite(tmp_path, devices=1) as site, Gateway(site, tmp_path) as gateway:
        gateway.wait_until_healthy()
        (first,) = _processors(gateway.pid_of("control"))
        others = [gateway.process.pid, *(gateway.pid_of(cell) for cell in ("api", "publisher"))]
        assert set().union(*map(_processors, others)) == {frozenset(os.sched_getaffinity(0))}

        killed = gateway.signal_cell("control", signal.SIGKILL)
        gateway.wait_until(
            "another control cell",
            lambda health: health["cells"]["control"].get("pid") not in {None, killed},
        )
        gateway.wait_until_healthy()
        (second,) = _processors(gateway.pid_of("control"))
    assert len(first) == len(second) == 1
    assert first != second


def test_control_uses_all_processors_where_that_is_configured(tmp_path: Path) -> None:
    spread = "\n[cells]\ncontrol_one_processor = false\n"
    with (
        SimulatedSite(tmp_path, devices=1) as site,
        Gateway(site, tmp_path, extra=spread) as gateway,
    ):
        gateway.wait_until_healthy()
        assert _processors(gateway.pid_of("control")) == {frozenset(os.sched_getaffinity(0))}


@pytest.mark.skipif(not may_go_first(), reason="a real-time priority takes CAP_SYS_NICE")
def test_the_threads_of_control_go_first_and_nobody_elses_do(tmp_path: Path) -> None:
    with SimulatedSite(tmp_path, devices=1) as site, Gateway(site, tmp_path, extra=REALTIME) as gw:
        gw.wait_until_healthy()
        assert _policies(gw.pid_of("control")) == {os.SCHED_RR}
        others = [gw.process.pid, *(gw.pid_of(cell) for cell in ("api", "publisher"))]
        assert set().union(*map(_policies, others)) == {os.SCHED_OTHER}


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="takes setpriv of util-linux")
def test_a_gateway_that_may_not_go_first_does_not_start_and_says_what_it_needs(
    tmp_path: Path,
) -> None:
    unprivileged = ["prlimit", "--rtprio=0", "setpriv"]
    if os.geteuid() == 0:
        unprivileged += ["--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]
    command = [*unprivileged, sys.executable, "-m", "bessai", "run"]
    with (
        SimulatedSite(tmp_path, devices=1) as site,
        Gateway(site, tmp_path, extra=REALTIME, command=command) as gateway,
    ):
        assert gateway.process.wait(20.0) == UNUSABLE
    assert "cells.control_realtime = true is not permitted here" in gateway.log.read_text()
