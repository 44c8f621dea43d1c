"""`python -m bessai.simulator` as a process."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from pymodbus.client import ModbusTcpClient

from bessai.simulator.control import SimulatorClient
from bessai.simulator.record import TruthRecord, WriteRecord
from tests.bessai.simulator.simulated import started

COMMAND = [sys.executable, "-m", "bessai.simulator"]


def test_it_records_truth_and_writes_as_json_lines_and_ends_cleanly_on_sigterm(
    tmp_path: Path,
) -> None:
    with started("--devices", "3", "--record", str(tmp_path), "--truth-hz", "0") as (
        process,
        ready,
    ):
        ports = {device.port for device in ready.devices}
        assert len(ports) == 3
        with ModbusTcpClient("127.0.0.1", port=ready.devices[2].port, retries=0) as client:
            assert not client.write_register(47083, 2).isError()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    writes = (tmp_path / "writes.jsonl").read_bytes().splitlines()
    assert [msgspec.json.decode(line, type=WriteRecord).device for line in writes] == ["d3"]
    truths = (tmp_path / "truth.jsonl").read_bytes().splitlines()
    devices = {msgspec.json.decode(line, type=TruthRecord).device for line in truths}
    assert devices <= {"d1", "d2", "d3"}


def test_quit_on_the_control_channel_ends_it() -> None:
    with started("--devices", "1") as (process, ready):
        with SimulatorClient(ready.control_host, ready.control_port) as client:
            client.quit()
        assert process.wait(timeout=10) == 0


def test_the_serial_numbers_come_from_the_seed() -> None:
    with (
        started("--devices", "1", "--seed", "7") as (_, ready),
        SimulatorClient(ready.control_host, ready.control_port) as client,
    ):
        assert client.devices()[0].serial_number == "SIM00007-d1"


def test_a_port_in_use_is_named_with_the_fix() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "--devices", "1", "--port", str(port)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: address already in use" in done.stderr
    assert "another port" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--devices", "0"], "devices=0 must be 1 to 1000"),
        (["--port", "65535"], "port of the last device=65537"),
        (["--set", "soc=5"], "unknown field `soc`"),
        (["--set", "soc_pct"], "NAME=NUMBER"),
        (["--set", "battery.capacity_wh=0"], "capacity_wh=0"),
        (["--record", "/dev/null/record"], "/dev/null/record"),
    ],
)
def test_wrong_options_are_named_and_refused(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode in {1, 2}
    assert said in done.stderr


def test_help_teaches_by_example() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    assert "--devices 3 --port 5020" in done.stdout
