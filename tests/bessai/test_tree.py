"""Which actors share a process, in which order they start, and what must never be neighbours."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from actors.api.config import ApiConfig
from actors.inverter.config import InverterConfig, decode_config
from actors.messages import PUBLISHER
from bessai.config import SiteConfig, data_directory, load_config
from bessai.tree import site_cells
from supervision.spec import CellKind, CellSpec, OnExceeded

LEARNING = {"detector", "dispatcher", "publisher", "api", "trainer"}


@pytest.fixture
def config() -> SiteConfig:
    return load_config(data_directory() / "site.example.toml", {})


def names(cell: CellSpec) -> list[str]:
    return [child.name for child in cell.children]


def test_control_is_first_and_safety_is_first_in_it(config: SiteConfig) -> None:
    cells = site_cells(config)
    assert cells[0].kind is CellKind.CRITICAL
    assert names(cells[0]) == ["safety", "inverter/INV-1", "inverter/INV-2", "watchdog"]


def test_nothing_that_may_fail_shares_control(config: SiteConfig) -> None:
    control = site_cells(config)[0]
    assert not LEARNING & set(names(control))


def test_actors_may_share_a_cell_and_every_actor_has_one(config: SiteConfig) -> None:
    cells = {cell.name: names(cell) for cell in site_cells(config)}
    assert cells["learning"] == ["detector", "dispatcher"]
    assert set(cells) == {"control", "api", "learning", "publisher", "trainer"}


def test_one_device_is_quarantined_alone_but_safety_takes_its_cell_along(
    config: SiteConfig,
) -> None:
    policies = {child.name: child.on_exceeded for child in site_cells(config)[0].children}
    assert policies["inverter/INV-1"] is OnExceeded.QUARANTINE
    assert policies["safety"] is policies["watchdog"] is OnExceeded.ESCALATE


def test_there_is_time_to_leave_every_device_safe_before_the_cell_is_given_up(
    config: SiteConfig,
) -> None:
    slow = msgspec.structs.replace(config.devices[0], stop_timeout_s=30.0)
    control = site_cells(msgspec.structs.replace(config, devices=(slow, config.devices[1])))[0]
    shutdown_s = {child.name: child.shutdown_s for child in control.children}
    assert shutdown_s["inverter/INV-1"] > 30.0
    longest_s = shutdown_s["inverter/INV-1"] + shutdown_s["safety"] + shutdown_s["watchdog"]
    assert longest_s < control.shutdown_s < longest_s + 1.0


def test_control_comes_first_when_the_processors_are_short(config: SiteConfig) -> None:
    nice = {cell.name: cell.nice for cell in site_cells(config)}
    assert nice.pop("control") == 0
    assert min(nice.values()) > 0
    assert max(nice, key=lambda name: nice[name]) == "trainer"


@pytest.mark.parametrize(("count", "window"), [(1, 32), (64, 32), (200, 10), (512, 4), (1000, 4)])
def test_what_all_devices_send_again_at_once_fits_between_the_cells(
    config: SiteConfig, count: int, window: int
) -> None:
    assert {each.unacked_window for each in told_devices(config, count)} == {window}


@pytest.mark.parametrize(("count", "slot_ms"), [(1, 20), (600, 20), (601, 5)])
def test_with_many_devices_fewer_polls_begin_together(
    config: SiteConfig, count: int, slot_ms: int
) -> None:
    assert {each.slot_ms for each in told_devices(config, count)} == {slot_ms}


def told_devices(config: SiteConfig, count: int) -> list[InverterConfig]:
    """Return what `count` InverterActors are told."""
    devices = tuple(
        msgspec.structs.replace(config.devices[0], device_id=f"d{n}") for n in range(count)
    )
    control = site_cells(msgspec.structs.replace(config, devices=devices))[0]
    return [
        decode_config(child.config, control.shared[child.shared])
        for child in control.children
        if child.pooled
    ]


def test_the_publisher_hears_control_to_its_end(config: SiteConfig) -> None:
    listening = [cell for cell in site_cells(config) if cell.listens_last]
    assert [PUBLISHER in {child.name for child in cell.children} for cell in listening] == [True]


def test_cells_get_what_they_need_from_the_environment(config: SiteConfig) -> None:
    for cell in site_cells(config):
        assert cell.environment["CELL_SETUP"] == "bessai.logs:configure_cell"
        assert cell.environment["BESSAI_LOG_LEVEL"] == "info"
        assert ("OMP_NUM_THREADS" in cell.environment) == (cell.name != "control")


def test_a_merged_cell_may_use_what_its_actors_may_use_together(config: SiteConfig) -> None:
    limits = {cell.name: cell.memory_limit_mb for cell in site_cells(config)}
    assert limits["learning"] == 512 + 512
    own = msgspec.structs.replace(config.cells, memory_limit_mb={"learning": 700})
    chosen = site_cells(msgspec.structs.replace(config, cells=own))
    assert {cell.name: cell.memory_limit_mb for cell in chosen}["learning"] == 700


def test_the_api_is_told_what_to_expect(config: SiteConfig) -> None:
    cells = site_cells(config)
    child = next(child for cell in cells for child in cell.children if child.name == "api")
    told = msgspec.msgpack.decode(child.config, type=ApiConfig)
    assert [(cell.name, list(cell.actors)) for cell in told.cells] == [
        (c.name, names(c)) for c in cells
    ]
    assert told.device_ids == ("INV-1", "INV-2")


def test_faults_on_order_wrap_every_actor_and_change_no_name(config: SiteConfig) -> None:
    plain, wrapped = site_cells(config), site_cells(config, chaos_dir="chaos")
    assert [names(cell) for cell in wrapped] == [names(cell) for cell in plain]
    assert {child.factory for cell in wrapped for child in cell.children} == {"bessai.chaos:build"}


def test_every_actor_can_be_built_from_its_bytes(config: SiteConfig) -> None:
    """In a process of its own, since some of them load what this one must not."""
    code = (
        "import sys, msgspec\n"
        "from supervision.spec import CellSpec, load\n"
        "for cell in msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[CellSpec]):\n"
        "    for child in cell.children:\n"
        "        shared = [cell.shared[child.shared]] if child.shared else []\n"
        "        child.name == 'safety' or load(child.factory)(child.config, *shared)\n"
    )
    cells = msgspec.msgpack.encode(site_cells(config))
    subprocess.run([sys.executable, "-c", code], input=cells, check=True, timeout=60)
