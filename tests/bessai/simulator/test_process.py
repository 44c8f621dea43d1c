"""`python -m bessai.simulator` as a process."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from pymodbus.client import ModbusTcpClient

from bessai.simulator.control import SimulatorClient, SimulatorError
from bessai.simulator.director import FaultRecord
from bessai.simulator.record import TruthRecord, WriteRecord
from tests.bessai.simulator.simulated import started, until

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


PLAN = """
seed = 5
lasts_s = 0.6
[[manners]]
devices = "d2"
gap_s = 0.5
[[step]]
devices = "d1"
fault = "refuse"
at_s = 0.05
for_s = 0.3
[[random]]
devices = "all"
per_min = 600
for_s = [0.05, 0.2]
choices = [{ fault = "hang" }, { fault = "stuck", parameters = { register = "soc_pct" } }]
"""


def played(directory: Path, plan: Path) -> list[FaultRecord]:
    """Return the record of a run of `plan` from its start to its end."""
    with started("--devices", "2", "--plan", str(plan), "--record", str(directory)) as (_, ready):
        faults = directory / "faults.jsonl"

        def over() -> bool:
            records = [
                msgspec.json.decode(line, type=FaultRecord)
                for line in faults.read_bytes().splitlines()
            ]
            planned = sum(each.event == "planned" for each in records)
            return 0 < planned == sum(each.event == "ends" for each in records)

        until(over, "the plan has ended")
        with SimulatorClient(ready.control_host, ready.control_port) as client:
            assert [each.manners.gap_s for each in client.devices()] == [0.0, 0.5]
            assert not any(each.faults for each in client.devices())
    return [
        msgspec.json.decode(line, type=FaultRecord) for line in faults.read_bytes().splitlines()
    ]


def test_a_plan_is_played_on_time_recorded_and_the_same_on_every_run(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN)
    first, second = (played(tmp_path / name, plan) for name in ("first", "second"))
    steps = [
        [(e.device, e.name, e.at_s, e.until_s, e.fault) for e in run if e.event == "planned"]
        for run in (first, second)
    ]
    assert steps[0] == steps[1]
    assert len(steps[0]) > 2
    due_s = {e.name: e.at_s for e in first if e.event == "planned"}
    start_ns = first[0].mono_ns
    for begun in (e for e in first if e.event == "begins"):
        assert begun.at_s is None
        assert (begun.mono_ns - start_ns) / 1e9 >= (due_s[begun.name] or 0.0) - 0.001


def test_five_hundred_devices_are_served_with_a_plan(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[step]]\ndevices = "d1-d250"\nfault = "hang"\n')
    with started("--devices", "500", "--plan", str(plan), "--truth-hz", "0.1") as (_, ready):
        assert len({device.port for device in ready.devices}) == 500
        with SimulatorClient(ready.control_host, ready.control_port) as client:
            until(
                lambda: sum(bool(each.faults) for each in client.devices()) == 250,
                "all of them have begun",
            )
            with pytest.raises(SimulatorError, match=r"valid: d1 \(port \d+\) to d500 \(port"):
                client.truth("d501")
        with ModbusTcpClient("127.0.0.1", port=ready.devices[-1].port, retries=0) as modbus:
            assert not modbus.read_holding_registers(37004, count=1).isError()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[step]", "plan.toml: is no TOML"),
        ('[[step]]\ndevices = "d9"\nfault = "hang"', "[[step]] number 1: devices: 'd9' is none"),
        (
            '[[step]]\ndevices = "d1"\nfault = "stuck"\nparameters = { register = "x" }',
            "step 1.1 d1: unknown register name 'x'; valid: soc_pct",
        ),
    ],
)
def test_a_plan_that_cannot_be_carried_out_stops_the_start(
    tmp_path: Path, text: str, said: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    done = subprocess.run(
        [*COMMAND, "--port", "0", "--devices", "2", "--plan", str(plan)],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    assert str(plan) in done.stderr
    assert said in done.stderr


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
