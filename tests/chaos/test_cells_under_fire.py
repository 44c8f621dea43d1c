"""Every cell is killed and stopped, and so is root; the devices' record is the judge."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from pathlib import Path

import pytest

from bessai.testing import Gateway, SimulatedSite, wait_for
from tests.chaos.conftest import DEGRADABLE, Arena

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]
SIGNALS = (signal.SIGKILL, signal.SIGSTOP)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("cell", DEGRADABLE)
def test_a_degradable_cell_is_replaced_and_control_never_notices(
    calm: Arena, cell: str, number: signal.Signals
) -> None:
    """The cell gets a new process, control keeps its own, and a breach is answered at once."""
    control = calm.gateway.pid_of("control")
    pid = calm.gateway.signal_cell(cell, number)
    breach = calm.site.break_soc_limit("d1")
    assert calm.site.answer_s(breach) < 0.6
    wait_for(f"a new process for {cell}", lambda: calm.gateway.pid_of(cell) != pid)
    assert calm.gateway.pid_of("control") == control


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_control_is_replaced_and_the_breach_meanwhile_is_answered(
    calm: Arena, number: signal.Signals
) -> None:
    """A dead or stopped control cell is replaced by one that starts safe and finds the breach."""
    pid = calm.gateway.signal_cell("control", number)
    breach = calm.site.break_soc_limit("d1")
    assert calm.site.answer_s(breach) < 3.0
    wait_for("a new process for control", lambda: calm.gateway.pid_of("control") != pid)


def test_a_log_that_nobody_reads_stops_nobody(tmp_path: Path) -> None:
    """Standard error is a full pipe, as behind a stopped collector: every process has more to say than it takes."""
    with SimulatedSite(tmp_path, devices=2) as site:
        gateway = Gateway(site, tmp_path)
        os.mkfifo(gateway.log)
        unread = os.open(gateway.log, os.O_RDWR)
        try:
            fcntl.fcntl(unread, fcntl.F_SETPIPE_SZ, 4096)
            with gateway:
                gateway.wait_until_healthy()
                for device in site.names:
                    assert site.answer_s(site.break_soc_limit(device)) < 0.6
                room = bytearray(4)
                fcntl.ioctl(unread, termios.FIONREAD, room)
                assert int.from_bytes(room, sys.byteorder) > 3000  # it was full
                gateway.process.send_signal(signal.SIGTERM)
                assert gateway.process.wait(30.0) == 0
        finally:
            os.close(unread)


def test_a_stopped_root_does_not_stop_the_guard(calm: Arena) -> None:
    """Control enforces limits without root, and nobody is killed when root goes on."""
    control = calm.gateway.pid_of("control")
    os.kill(calm.gateway.process.pid, signal.SIGSTOP)
    try:
        breach = calm.site.break_soc_limit("d1")
        answered_s = calm.site.answer_s(breach)
    finally:
        os.kill(calm.gateway.process.pid, signal.SIGCONT)
    assert answered_s < 0.6
    calm.gateway.wait_until_healthy()
    assert calm.gateway.pid_of("control") == control


def test_when_root_is_killed_control_leaves_every_device_safe_and_all_processes_end(
    tmp_path: Path,
) -> None:
    """Control sees its link close, stops forced power, and exits; the kernel ends the others."""
    with SimulatedSite(tmp_path, devices=2) as site, Gateway(site, tmp_path) as gateway:
        health = gateway.wait_until_healthy(timeout_s=40.0)
        pids = [cell["pid"] for cell in health["cells"].values() if cell.get("pid")]
        before = [len(site.client.writes(name)) for name in site.names]
        for name in site.names:
            site.client.set_state(
                name,
                forced_mode=1,
                forced_period_min=30,
                forced_charge_power_w=1000,
            )
        gateway.process.kill()
        wait_for("the end of all cells", lambda: not any(_alive(pid) for pid in pids))
        for name, count in zip(site.names, before, strict=True):
            stops = [w for w in site.client.writes(name, count) if w.address == 47100]
            assert stops[-1].words == [0]
            assert site.client.truth(name).forced_mode == 0


def test_sigterm_leaves_every_device_safe_and_exits_with_0(tmp_path: Path) -> None:
    """A regular stop releases the devices, verified in their own record."""
    with SimulatedSite(tmp_path, devices=2) as site, Gateway(site, tmp_path) as gateway:
        gateway.wait_until_healthy(timeout_s=40.0)
        gateway.process.terminate()
        assert gateway.process.wait(20.0) == 0
        assert [site.client.truth(name).forced_mode for name in site.names] == [0, 0]


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
