"""The command line as a user meets it: real processes, real devices behind sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from actors.safety.latch import LatchKind, LatchRecord, append
from bessai.cli import MISUSED, UNUSABLE, main
from bessai.testing import Gateway, SimulatedSite, free_port, wait_for

COMMANDS = ("run", "check", "demo", "simulate", "version", "latch", "originals", "completion")
DEMO = (sys.executable, "-m", "bessai", "demo", "--devices=2", "--health-port=0")
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SimulatedSite]:
    with SimulatedSite(tmp_path, devices=1) as site:
        yield site


def bessai(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bessai", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    "command", [(), *((name,) for name in COMMANDS), ("latch", "reset"), ("originals", "restore")]
)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*command, "--help"])
    assert shown.exit_code == 0
    assert "Usage:" in shown.output
    assert len(shown.output.splitlines()) > 5


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(main, ["version"]).output == "0.1.0\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell: str) -> None:
    shown = CliRunner().invoke(main, ["completion", shell])
    assert shown.exit_code == 0
    assert "_BESSAI_COMPLETE" in shown.output


def test_a_configuration_that_cannot_be_used_exits_with_2() -> None:
    shown = bessai("run", SITE_ID="", INVERTER_IP="")
    assert shown.returncode == MISUSED
    assert "environment: devices: there are none" in shown.stderr


def test_two_variables_are_enough_to_run(site: SimulatedSite, tmp_path: Path) -> None:
    """INVERTER_IP and SITE_ID, and where the simulated device and /health are."""
    device, port = site.ready.devices[0], free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bessai", "run"],
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "INVERTER_IP": device.host,
            "SITE_ID": "HOME",
            "INVERTER_PORT": str(device.port),
            "HEALTH_PORT": str(port),
            "BESSAI_STATE_DIR": str(tmp_path / "state"),
        },
    )
    try:
        gateway = Gateway(site, tmp_path)
        gateway.port = port
        health = gateway.wait_until_healthy()
        assert health["site_id"] == "HOME"
        assert list(health)[:3] == ["status", "site_id", "uptime_s"]
    finally:
        process.send_signal(signal.SIGTERM)
    assert process.wait(20.0) == 0


def test_check_names_the_device_it_found(site: SimulatedSite, tmp_path: Path) -> None:
    gateway = Gateway(site, tmp_path)
    shown = bessai("check", f"--config={gateway.config}")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "ok      d1 at 127.0.0.1:" in shown.stdout
    assert "SUN2000-10KTL-M1" in shown.stdout
    assert site.client.writes("d1") == []


def test_check_tells_an_unreachable_device_and_exits_with_3(
    site: SimulatedSite, tmp_path: Path
) -> None:
    gateway = Gateway(site, tmp_path)
    site.client.fault("d1", "refuse")
    shown = bessai("check", f"--config={gateway.config}")
    assert shown.returncode == UNUSABLE
    assert "FAILED  d1 at 127.0.0.1:" in shown.stdout


def test_a_device_of_another_model_is_refused_and_never_written(
    site: SimulatedSite, tmp_path: Path
) -> None:
    site.client.override("d1", "model", "SG10RT")
    with Gateway(site, tmp_path) as gateway:
        health = gateway.wait_until(
            "the refusal",
            lambda health: (
                health["devices"]["d1"]["state"] == "refused" and health["status"] == "degraded"
            ),
        )
    assert "SG10RT" in health["devices"]["d1"]["reason"]
    assert site.client.writes("d1") == []


def test_a_port_in_use_is_named_with_the_fix(site: SimulatedSite, tmp_path: Path) -> None:
    gateway = Gateway(site, tmp_path)
    with socket.create_server(("127.0.0.1", gateway.port)):
        shown = bessai("run", f"--config={gateway.config}")
    assert shown.returncode == UNUSABLE
    assert f"/health cannot be served on 127.0.0.1:{gateway.port}" in shown.stderr
    assert "HEALTH_PORT" in shown.stderr


def test_a_state_directory_that_cannot_be_written_is_named(
    site: SimulatedSite, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("in the way")
    gateway = Gateway(site, tmp_path)
    shown = bessai("run", f"--config={gateway.config}")
    assert shown.returncode == UNUSABLE
    assert str(tmp_path / "state") in shown.stderr
    assert "cannot be written" in shown.stderr


def test_a_second_gateway_on_the_same_state_is_refused(site: SimulatedSite, tmp_path: Path) -> None:
    with Gateway(site, tmp_path) as gateway:
        gateway.wait_until_healthy()
        shown = bessai("run", f"--config={gateway.config}", HEALTH_PORT=str(free_port()))
    assert shown.returncode == UNUSABLE
    assert "in use by a running gateway" in shown.stderr


def test_corrupt_files_are_set_aside_and_every_device_starts_tripped(
    site: SimulatedSite, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for name in ("spool.db", "latches.jsonl"):
        (state / name).write_bytes(b"nonsense " * 100)
    with Gateway(site, tmp_path) as gateway:
        gateway.wait_until(
            "a tripped device",
            lambda health: health["devices"]["d1"]["safety"]["state"] == "tripped",
        )
        gateway.wait_until(
            "a running publisher",
            lambda health: health["actors"]["publisher"]["state"] == "running",
        )
    files = [path for path in state.iterdir() if path.is_file()]
    aside = [path for path in files if path.read_bytes().startswith(b"nonsense ")]
    assert len(aside) == 2
    assert not {path.name for path in aside} & {"spool.db", "latches.jsonl"}


def test_a_trip_is_listed_and_reset_with_a_reason(tmp_path: Path) -> None:
    trip = LatchRecord(
        kind=LatchKind.TRIP,
        device_id="d1",
        rule="trip_high",
        reason="61 degC",
        wall_ns=time.time_ns(),
    )
    append(tmp_path, trip)
    options = ["--state-dir", str(tmp_path)]
    run = CliRunner()
    assert "d1: tripped" in run.invoke(main, ["latch", "list", *options]).output
    reset = ["latch", "reset", *options, "d1", "--reason", "fan replaced", "--operator", ""]
    assert "say who resets the trip and why, with --operator" in run.invoke(main, reset).output
    reset[-1] = "ana"
    assert run.invoke(main, reset).output == "d1: reset by ana\n"
    assert "nothing is latched" in run.invoke(main, ["latch", "list", *options]).output
    again = run.invoke(main, reset)
    assert again.exit_code == MISUSED
    assert "device 'd1' is not tripped; tripped are: none" in again.output


def test_the_log_is_one_json_object_a_line(site: SimulatedSite, tmp_path: Path) -> None:
    with Gateway(site, tmp_path) as gateway:
        gateway.wait_until_healthy()
    lines = gateway.log.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    assert {"root", "control", "api"} <= {entry["process"] for entry in entries}
    assert all({"event", "level", "timestamp"} <= entry.keys() for entry in entries)


def test_the_demonstration_runs_shows_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*DEMO, f"--state-dir={tmp_path}"], stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        shown = ""
        while "  healthy | d1 " not in shown:
            line = demo.stdout.readline()
            assert line, shown
            shown += line
        demo.send_signal(signal.SIGINT)
        shown += demo.stdout.read()
    assert demo.returncode == 0, shown
    assert "cells:    control " in shown
    wait_for("the end of all its processes", lambda: not _mentioning(str(tmp_path)))


@pytest.mark.parametrize("duration_s", [0, 1], ids=["before it listens", "after a second"])
def test_the_demonstration_ends_by_itself_when_its_time_is_over(
    tmp_path: Path, duration_s: int
) -> None:
    shown = bessai(*DEMO[3:], f"--duration={duration_s}", f"--state-dir={tmp_path}")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "stopping: every battery is left in its safe state first" in shown.stdout
    wait_for("the end of all its processes", lambda: not _mentioning(str(tmp_path)))


def _mentioning(text: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in command and str(os.getpid()) != path.parts[2]:
            found.append(command)
    return found
