"""One simulated device seen three ways at once: by its own truth, by our reader and by a client of somebody else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from pymodbus.client import ModbusTcpClient

from actors.inverter.point_reading import PointReading
from actors.inverter.probe import probe
from bessai.simulator.control import SimulatorClient
from bessai.simulator.record import TruthRecord
from tests.actors.inverter.driven import PROFILE, config
from tests.bessai.simulator.simulated import settings, started

SCRIPT = Path(__file__).with_name("read_with_huawei_solar.py")
POINTS = {point.name: point for block in PROFILE.blocks for point in block.points}
STATE = {
    "soc_pct": 62.5,
    "temperature_c": 31.2,
    "pv_w": 3300,
    "load_w": 1250,
    "forced_mode": 1,
    "battery_power_w": 2345,
    "alarm_1": 0b1000_0000_1000_0001,
    "alarm_2": 0b1000,
    "alarm_3": 0b0101_0000_0000_0000,
}
"""A battery that is charged by force, so that nothing is zero; the start values make the command last."""
START = (
    "forced_period_min=60",
    "forced_charge_power_w=2345",
    "battery.response_time_constant_s=0",
)


TABLES = {
    47028: [1, 60, 120, 0, 1234, *[0] * 36],
    47255: [2, 0, 360, 0x007F, 1020, 1260, 0x013E, *[0] * 36],
}
"""Time tables as a client writes them: a price, and charging every night, discharging on weekday evenings."""


class Views(NamedTuple):
    """The device's truth, our readings by address, and what the stranger calls each register and reads there."""

    truth: TruthRecord
    ours: dict[int, PointReading]
    theirs: dict[int, dict[str, dict[str, Any]]]

    def value(self, name: str) -> Any:
        """Return what the stranger reads under its own `name`."""
        found = next(told[name] for told in self.theirs.values() if name in told)
        assert "value" in found, found
        return found["value"]

    def our(self, name: str) -> float | None:
        """Return what our reader reads under our `name`."""
        return self.ours[POINTS[name].address].value


def look(stranger: Path, addresses: Iterable[int], *extra: str, **state: float) -> Views:
    """Start a device with `extra` settings, bring it into `state` and have it read."""
    with (
        started("--devices", "1", "--step-hz", "1", *settings(*START, *extra)) as (_, ready),
        SimulatorClient(ready.control_host, ready.control_port) as client,
    ):
        client.set_state("d1", **{**STATE, **state})
        port = ready.devices[0].port
        with ModbusTcpClient("127.0.0.1", port=port, timeout=5) as writer:
            for address, words in TABLES.items():
                assert not writer.write_registers(address, words, device_id=1).isError()
        theirs = told_by_huawei_solar(stranger, port, addresses)
        report = probe(config(port))
        assert report.usable, report.fault
        ours = {reading.address: reading for reading in report.readings}
        return Views(client.truth("d1"), ours, theirs)


def told_by_huawei_solar(
    stranger: Path, port: int, addresses: Iterable[int]
) -> dict[int, dict[str, dict[str, Any]]]:
    """Return by address what the package calls each register, and its value or why there is none."""
    done = subprocess.run(
        [str(stranger), str(SCRIPT), "127.0.0.1", str(port), "1"],
        input=json.dumps(sorted(addresses)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {int(address): told for address, told in json.loads(done.stdout).items()}
