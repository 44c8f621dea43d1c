"""What must hold before the gateway starts, and what one device's absence means for the others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from actors.safety.statedir import GatewayRunningError, lock_state_dir
from bessai.config import load_config
from bessai.gateway import PortInUseError, check_port, log_event, run_gateway
from bessai.testing import Gateway, SimulatedSite, free_port
from supervision.events import Lifecycle, What


def test_a_free_port_is_no_reason_to_refuse() -> None:
    check_port("127.0.0.1", free_port())
    check_port("127.0.0.1", 0)


def test_a_taken_port_is_named_with_both_ways_to_choose_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{port}.*HEALTH_PORT or api\.port"):
            check_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_this_machine_s_is_named(host: str) -> None:
    with pytest.raises(PortInUseError, match=f"cannot be served on {host}"):
        check_port(host, 8000)


@pytest.mark.parametrize(
    ("what", "level"), [(What.STARTED, "info"), (What.CRASHED, "warning"), (What.HUNG, "warning")]
)
def test_an_event_is_logged_with_what_is_known_and_no_more(what: What, level: str) -> None:
    event = Lifecycle(cell="api", actor="", what=what, wall_ns=1, reason="why", count=3, epoch=1)
    with structlog.testing.capture_logs() as lines:
        log_event(event)
    assert lines == [
        {"event": what.value, "log_level": level, "cell": "api", "reason": "why", "count": "3"}
    ]


def test_a_device_that_is_not_there_degrades_the_site_and_stops_nobody_else(tmp_path: Path) -> None:
    absent = free_port()
    device = f"[[devices]]\nid = 'absent'\nhost = '127.0.0.1'\nport = {absent}\n"
    with (
        SimulatedSite(tmp_path, devices=1) as site,
        Gateway(site, tmp_path, extra=device) as gateway,
    ):
        health = gateway.wait_until(
            "one device online",
            lambda health: (
                health["status"] == "degraded"
                and health["devices"]["d1"]["safety"]["state"] == "normal"
            ),
        )
        assert any(reason.startswith("device absent is ") for reason in health["reason"])
        assert site.answer_s(site.break_soc_limit("d1")) < 2.0
        checked = subprocess.run(
            [sys.executable, "-m", "bessai", "check", f"--config={gateway.config}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert checked.returncode == 3
    assert f"FAILED  absent at 127.0.0.1:{absent}" in checked.stdout
    assert "ok      d1 at 127.0.0.1:" in checked.stdout


def test_a_second_gateway_is_told_which_process_is_the_first(tmp_path: Path) -> None:
    names = {"SITE_ID": "S", "INVERTER_IP": "127.0.0.1", "BESSAI_STATE_DIR": str(tmp_path)}
    config = load_config(None, names)
    with lock_state_dir(tmp_path), pytest.raises(GatewayRunningError) as caught:
        run_gateway(config)
    assert str(caught.value) == (
        f"state_dir = {str(tmp_path)!r} is in use by a running gateway; stop it first,"
        f" or name another state_dir (the gateway is process {os.getpid()})"
    )


def test_a_port_that_is_taken_leaves_the_directory_to_others(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"SITE_ID": "S", "INVERTER_IP": "127.0.0.1", "BESSAI_STATE_DIR": str(tmp_path)}
        names["HEALTH_PORT"] = str(taken.getsockname()[1])
        with pytest.raises(PortInUseError):
            run_gateway(load_config(None, names))
    with lock_state_dir(tmp_path):
        pass
