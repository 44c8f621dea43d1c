"""What pymodbus' own client and conversions make of the simulators is what our reader makes of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from actors.inverter.probe import probe
from bessai.simulator.control import SimulatorClient
from bessai.simulator.huawei_map import HUAWEI
from bessai.simulator.huawei_quirks import TOGETHER
from bessai.simulator.sunspec_device import DER, LEGACY, LEGACY_FLOAT
from bessai.simulator.sunspec_map import chain
from tests.actors.inverter.driven import config
from tests.actors.inverter.sunspec_site import PROFILE as SUNSPEC
from tests.bessai.simulator.simulated import settings, started
from tests.peers.three_views import POINTS, START, STATE

TABLE = Path(__file__).parents[1] / "data" / "huawei_registers.csv"
CLOCK = 40000
TYPES = {
    "U16": ModbusTcpClient.DATATYPE.UINT16,
    "B16": ModbusTcpClient.DATATYPE.UINT16,
    "I16": ModbusTcpClient.DATATYPE.INT16,
    "U32": ModbusTcpClient.DATATYPE.UINT32,
    "B32": ModbusTcpClient.DATATYPE.UINT32,
    "I32": ModbusTcpClient.DATATYPE.INT32,
    "STR": ModbusTcpClient.DATATYPE.STRING,
}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A Huawei device with every register at work."""
    with (
        started("--devices", "1", "--step-hz", "0.1", *settings(*START)) as (_, ready),
        SimulatorClient(ready.control_host, ready.control_port) as client,
    ):
        client.set_state("d1", **STATE)
        yield ready.devices[0].port


def test_every_register_of_the_table_that_the_device_has_reads_alike(port: int) -> None:
    ours = {reading.address: reading for reading in probe(config(port)).readings}
    flipped = {point.address for point in POINTS.values() if point.flip}
    compared = 0
    with TABLE.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            address = int(row["address"])
            apart = any(address in block for block in TOGETHER)
            if address not in HUAWEI.at or address not in ours or address == CLOCK or apart:
                continue
            if ours[address].reason.startswith("not there"):
                continue
            value = _read(port, address, int(row["count"]), row["type"])
            compared += 1
            if isinstance(value, str):
                assert ours[address].text == value.rstrip("\0"), row["name"]
                continue
            sign, gain = (-1 if address in flipped else 1), float(row["gain"])
            assert ours[address].value == pytest.approx(sign * value / gain, abs=1 / gain), row
    assert compared > 100


def _read(port: int, address: int, count: int, kind: str) -> float | str:
    """Return what the register holds as the package converts it."""
    with ModbusTcpClient("127.0.0.1", port=port, timeout=5) as client:
        answer = client.read_holding_registers(address, count=count, device_id=1)
        assert not answer.isError(), address
        value = client.convert_from_registers(answer.registers, TYPES[kind])
    assert isinstance(value, int | float | str)
    return value


@pytest.mark.parametrize(
    ("kind", "models"),
    [("sunspec", LEGACY), ("sunspec-float", LEGACY_FLOAT), ("sunspec-der", DER)],
)
def test_the_chain_of_models_reads_word_for_word_alike(kind: str, models: tuple[int, ...]) -> None:
    registers = chain(models)
    with started("--devices", "1", "--kind", kind, "--step-hz", "0.1") as (_, ready):
        port = ready.devices[0].port
        readings = probe(config(port, profile=SUNSPEC)).readings
        with ModbusTcpClient("127.0.0.1", port=port, timeout=5) as client:
            words = [
                word
                for start in range(registers.base, registers.end, 100)
                for word in client.read_holding_registers(
                    start, count=min(100, registers.end - start), device_id=1
                ).registers
            ]
    assert len(words) == registers.end - registers.base
    for reading in readings:
        at = reading.address - registers.base
        assert tuple(words[at : at + len(reading.words)]) == reading.words, reading.name
    assert len(readings) > 80
