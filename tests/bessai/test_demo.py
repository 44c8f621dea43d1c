"""The demonstration: its configuration, what it shows, and that nothing survives it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from bessai.attached import stop_with_parent
from bessai.cli import UNUSABLE, main
from bessai.config import data_directory, load_config
from bessai.demo import _cells_line, _last_words, _readings, _status_line, _url, ask, demo_config
from bessai.simulator.site import Endpoint, Ready
from bessai.testing import free_port, wait_for

READY = Ready(
    control_host="127.0.0.1",
    control_port=1,
    devices=[Endpoint(name=f"d{n}", host="127.0.0.1", port=5000 + n, unit=1) for n in (1, 2)],
)


def offspring(pid: int) -> set[int]:
    """Return the processes that `pid` has started, and those that these have started."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found, fresh = set[int](), {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh}
        found |= fresh
    return found


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_its_configuration_is_valid_and_names_the_model_by_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "demo.toml"
    path.write_text(demo_config(READY, tmp_path / "state", "127.0.0.1", 8001), encoding="utf-8")
    config = load_config(path, {})
    assert [(device.device_id, device.port) for device in config.devices] == [
        ("d1", 5001),
        ("d2", 5002),
    ]
    assert config.dispatcher.model is not None
    assert Path(config.dispatcher.model.path).is_file()


def test_the_view_shows_unknown_as_unknown() -> None:
    assert _status_line({}, "").endswith("no answer yet")
    assert _cells_line({}) == "cells:    not heard of yet"
    health = {"status": "degraded", "devices": {"d1": {}}, "reason": ["a", "b", "c"]}
    assert _status_line(health, "").endswith("degraded | d1 ? unknown | a | b")


def test_the_view_shows_what_metrics_and_health_say() -> None:
    metrics = (
        "# HELP bessai_battery_soc_percent x\n"
        'bessai_battery_soc_percent{device="d1"} 51.26\n'
        'bessai_battery_power_watts{device="d1"} -1200.0\n'
        'other{device="d1"} 3\n'
    )
    health = {"status": "healthy", "devices": {"d1": {"safety": {"state": "normal"}}}}
    assert len(_readings(metrics)) == 2
    assert _status_line(health, metrics).endswith("healthy | d1 51.3 % -1200 W normal")
    cells = {"cells": {"control": {"pid": 7}, "trainer": {"pid": None}}}
    assert _cells_line(cells) == "cells:    control 7"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:1"),  # noqa: S104 - asked, not served
        ("::", "http://[::1]:1"),
        ("10.0.0.1", "http://10.0.0.1:1"),
    ],
)
def test_a_server_on_every_address_is_asked_on_the_loopback(host: str, url: str) -> None:
    assert _url(host, 1) == url


def test_the_gateway_s_own_words_explain_its_end(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("bessai: of an earlier run\n")
    begins = log.stat().st_size
    assert _last_words(1, log, begins) == f"the gateway ended with status 1: its log is {log}"
    with log.open("a") as file:
        file.write("{}\nbessai: disk full\n")
    assert _last_words(3, log, begins) == "the gateway ended with status 3: disk full"


def test_a_taken_port_ends_it_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shown = CliRunner().invoke(main, ["demo", "--health-port", str(port)])
    assert shown.exit_code == UNUSABLE
    assert "or: bessai demo --health-port 0" in shown.output


def test_a_child_whose_parent_is_gone_does_not_start() -> None:
    with pytest.raises(ProcessLookupError, match="parent 1 is gone"):
        stop_with_parent(1 if os.getppid() != 1 else 2)


def test_a_module_is_run_with_its_options() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bessai.attached", str(os.getpid()), "bessai", "version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    )
    assert done.stdout == "0.1.0\n"


def test_nothing_survives_a_demonstration_that_is_killed(tmp_path: Path) -> None:
    """The gateway is told to stop by the kernel, so that it still stops in order."""
    port = free_port()
    with (tmp_path / "output").open("wb") as output:
        demo = subprocess.Popen(
            [
                *(sys.executable, "-m", "bessai", "demo", "--devices=1"),
                *(f"--health-port={port}", f"--state-dir={tmp_path}"),
            ],
            stdout=output,
        )
    try:
        shown = tmp_path / "output"
        wait_for("cells", lambda: "cells:    control" in shown.read_text(), timeout_s=20.0)
        started = offspring(demo.pid)
    finally:
        demo.send_signal(signal.SIGKILL)
        demo.wait(10.0)
    assert len(started) >= 4, "simulator, root, control and api at least"
    wait_for("the end of all", lambda: not any(map(runs, started)), timeout_s=20.0)
    lines = (tmp_path / "gateway.log").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert any({"cell": "control", "event": "stopped"}.items() <= line.items() for line in told)


def test_the_same_site_in_two_terminals_is_valid_and_has_the_simulator_s_ports() -> None:
    config = load_config(data_directory() / "demo.toml", {})
    manifest = json.loads((data_directory() / "demo" / "dispatch.json").read_text())
    assert [device.port for device in config.devices] == [5020, 5021, 5022]
    assert config.dispatcher.model is not None
    assert config.dispatcher.model.sha256 == manifest["sha256"]
    assert Path(config.dispatcher.prices_path or "").is_file()


def test_a_directory_that_cannot_be_made_ends_it_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "state"
    shown = CliRunner().invoke(main, ["demo", "--health-port=0", f"--state-dir={place}"])
    assert shown.exit_code == UNUSABLE
    assert shown.output.startswith(f"bessai: state_dir = {str(place)!r} cannot be written: ")


def test_a_program_is_told_the_same_as_json_lines_until_it_says_stop(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [
            *(sys.executable, "-m", "bessai", "demo", "--json", "--devices=1"),
            *("--health-port=0", f"--state-dir={tmp_path}"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    with demo.stdout:
        try:
            started = json.loads(demo.stdout.readline())
            health = next(line["health"] for line in map(json.loads, demo.stdout) if line["health"])
        finally:
            demo.send_signal(signal.SIGTERM)
        events = [json.loads(line)["event"] for line in demo.stdout]
        assert demo.wait(30.0) == 0
    assert started["event"] == "started"
    assert started["simulator"]["devices"][0]["name"] == "d1"
    assert health["site_id"] == "SITE-CL-001"
    assert events[-1] == "stopping"


def test_an_answer_that_breaks_off_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def break_off() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

        peer = threading.Thread(target=break_off)
        peer.start()
        assert ask(f"http://127.0.0.1:{server.getsockname()[1]}/health") == {}
        peer.join()
