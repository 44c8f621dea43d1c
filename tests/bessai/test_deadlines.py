"""The timing budget follows from the configuration, and docs/timing.md says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bessai.config import SiteConfig, load_config
from bessai.deadlines import Deadline, deadlines, wire_s

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = (DOCS / "timing.md").read_text(encoding="utf-8")
SUMMARY = (DOCS / "safety.md").read_text(encoding="utf-8")
ONE = {"SITE_ID": "S", "INVERTER_IP": "192.0.2.1"}


@pytest.fixture
def site() -> SiteConfig:
    return load_config(None, ONE)


def budget(tmp_path: Path, text: str) -> list[Deadline]:
    path = tmp_path / "site.toml"
    path.write_text(f"[site]\nid = 'S'\n{text}", encoding="utf-8")
    config = load_config(path, {})
    return list(deadlines(config, config.devices[0].device_id))


def test_the_document_states_every_formula_and_its_figure_with_the_defaults(
    site: SiteConfig,
) -> None:
    for each in deadlines(site, site.devices[0].device_id):
        row = f"| {each.silent} | {each.answers} | {each.formula} | {each.seconds:.3g} s |"
        assert row in DOCUMENT
        assert re.search(rf"^\| {each.silent}.* \| {each.seconds:.3g} s \|$", SUMMARY, re.MULTILINE)


def test_the_settings_of_each_layer_move_its_own_deadline(tmp_path: Path) -> None:
    device = "[[devices]]\nid = 'd1'\nhost = 'h'\n"
    plain = [each.seconds for each in budget(tmp_path, device)]
    slow = budget(
        tmp_path,
        device + "deadman_min = 5\n[safety]\nlease_s = 9\n[dispatcher]\nttl_s = 60\n",
    )
    moved = [round(now.seconds - then, 6) for now, then in zip(slow, plain, strict=True)]
    assert moved == [45.0, 4.0, 0.0, 0.0, 0.0, 180.0]


def test_more_devices_make_no_layer_slower(tmp_path: Path) -> None:
    one = "[[devices]]\nid = 'd{0}'\nhost = 'h{0}'\n"
    three = "".join(one.format(n) for n in (1, 2, 3))
    assert budget(tmp_path, three) == budget(tmp_path, one.format(1))


def test_the_lease_ends_before_the_devices_countdown(site: SiteConfig) -> None:
    *layers, device = deadlines(site, site.devices[0].device_id)
    assert all(layer.seconds < device.seconds for layer in layers)
    assert wire_s(site.devices[0]) < device.seconds
