"""One simulated site as a process of its own, and a way to talk to it."""

from collections.abc import Iterator

import pytest
from pymodbus.client import ModbusTcpClient

from bessai.simulator.control import SimulatorClient
from bessai.simulator.site import Ready
from tests.bessai.simulator.simulated import settings, started

FAST = (
    "countdown_s_per_min=0.2",
    "battery.response_time_constant_s=0",
    "soc_pct=60",
    "load_w=0",
)


AT_REST = {
    "forced_mode": 0,
    "working_mode": 2,
    "charge_from_grid": 1,
    "grid_charge_cutoff_soc_pct": 100,
    "remote_control_mode": 0,
    "forced_setting_mode": 0,
    "soc_pct": 60,
    "temperature_c": 25,
    "ambient_c": 25,
    "pv_w": 0,
    "load_w": 0,
    "alarm_1": 0,
}


@pytest.fixture(scope="session")
def site() -> Iterator[Ready]:
    """A site of two quick devices."""
    with started("--devices", "2", "--step-hz", "100", *settings(*FAST)) as (_, ready):
        yield ready


@pytest.fixture
def control(site: Ready) -> Iterator[SimulatorClient]:
    """The control channel of the site, whose devices are at rest."""
    with SimulatorClient(site.control_host, site.control_port) as client:
        for device in client.devices():
            client.end_fault(device.name)
            client.manners(device.name)
            client.clear(device.name)
            client.set_state(device.name, **AT_REST)
        yield client


@pytest.fixture
def modbus(site: Ready, control: SimulatorClient) -> Iterator[ModbusTcpClient]:
    """A Modbus client of the first device."""
    del control
    with ModbusTcpClient("127.0.0.1", port=site.devices[0].port, timeout=2, retries=0) as client:
        yield client
