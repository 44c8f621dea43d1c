"""A control cell with a real-time priority: nobody else has one, and a gateway without the permission says so."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from bessai.cli import UNUSABLE
from bessai.testing import Gateway, SimulatedSite
from supervision.process import may_go_first

REALTIME = "\n[cells]\ncontrol_realtime = true\n"


def _policies(pid: int) -> set[int]:
    return {os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}


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
