"""What a killed gateway left in a device's flash is offered for restoring, and comes back: on real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from actors.inverter.hold import FlashLedger
from actors.inverter.jobs import RegisterWords
from actors.inverter.ledger_file import LedgerFile
from actors.safety.statedir import lock_state_dir
from bessai.cli import MISUSED, UNUSABLE, main
from bessai.testing import Gateway, SimulatedSite

CAP = 47077


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedSite]:
    """One device."""
    with SimulatedSite(tmp_path_factory.mktemp("site"), devices=1) as site:
        yield site


@pytest.fixture
def gateway(site: SimulatedSite, tmp_path: Path) -> Gateway:
    """The configuration of a gateway that was killed while it held the device; it is never started."""
    site.client.end_fault("d1")
    site.client.set_state("d1", max_discharging_power_w=0)
    made = Gateway(site, tmp_path)
    made.state_dir.mkdir()
    original = RegisterWords("maximum discharging power", CAP, (0, 4000))
    serial = site.client.devices()[0].serial_number
    LedgerFile(made.state_dir, "d1").store(FlashLedger(serial=serial, originals=(original,)))
    return made


def originals(gateway: Gateway, *words: str) -> Result:
    return CliRunner().invoke(
        main, ["originals", words[0], f"--config={gateway.config}", *words[1:]]
    )


def writes(site: SimulatedSite) -> list[list[int]]:
    return [write.words for write in site.client.writes("d1") if write.address == CAP]


def test_what_is_recorded_is_listed_with_register_and_value(gateway: Gateway) -> None:
    shown = originals(gateway, "list")
    assert "maximum discharging power (register 47077) = 4000" in shown.output


def test_a_restoration_is_written_read_back_and_then_forgotten(
    site: SimulatedSite, gateway: Gateway
) -> None:
    shown = originals(gateway, "restore", "d1")
    assert shown.exit_code == 0, shown.output
    assert "= 4000: restored and read back" in shown.output
    assert writes(site)[-1] == [0, 4000]
    assert "nothing is to be restored" in originals(gateway, "list").output
    assert "nothing is to be restored" in originals(gateway, "restore", "d1").output


def test_a_register_that_its_owner_has_set_since_is_left_alone(
    site: SimulatedSite, gateway: Gateway
) -> None:
    site.client.set_state("d1", max_discharging_power_w=2500)
    before = writes(site)
    shown = originals(gateway, "restore", "d1")
    assert "left alone, somebody else has set the register since" in shown.output
    assert writes(site) == before
    assert "nothing is to be restored" in originals(gateway, "list").output


def test_a_restoration_that_the_device_ignores_stays_recorded(
    site: SimulatedSite, gateway: Gateway
) -> None:
    site.client.fault("d1", "ignore_writes")
    shown = originals(gateway, "restore", "d1")
    assert shown.exit_code == UNUSABLE
    assert "unverified: maximum discharging power reads [0, 0] at 47077" in shown.output
    assert "= 4000" in originals(gateway, "list").output


def test_nothing_is_restored_beside_a_running_gateway_nor_to_an_unknown_device(
    gateway: Gateway,
) -> None:
    with lock_state_dir(gateway.state_dir):
        shown = originals(gateway, "restore", "d1")
        assert shown.exit_code == UNUSABLE
        assert "in use by a running gateway" in shown.output
    assert originals(gateway, "restore", "d9").exit_code == MISUSED


def test_another_device_at_the_address_does_not_get_the_originals(
    site: SimulatedSite, gateway: Gateway
) -> None:
    file = LedgerFile(gateway.state_dir, "d1")
    original = RegisterWords("maximum discharging power", CAP, (0, 4000))
    file.store(FlashLedger(serial="ANOTHER", originals=(original,)))
    before = writes(site)
    shown = originals(gateway, "restore", "d1")
    assert "originals of device 'ANOTHER' are recorded" in shown.output
    assert writes(site) == before
