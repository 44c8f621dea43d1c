"""docs/configuration.md and the example say what the structs say: keys, defaults and ranges."""

from __future__ import annotations

import enum
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from actors.api.config import ApiConfig
from actors.detector.config import DetectorConfig
from actors.dispatcher.config import DispatcherConfig
from actors.inverter.config import InverterConfig
from actors.publisher.command_config import CommandsConfig
from actors.publisher.config import PublisherConfig
from actors.publisher.sink_config import MqttConfig, PubsubConfig
from actors.publisher.tracing_config import TracingConfig
from actors.safety.config import DeviceLimits
from bessai import config as sections
from bessai.cells import CellPlan
from bessai.cli import EXIT_CODES
from bessai.config import ConfigError, data_directory, load_config
from bessai.environment import ENVIRONMENT
from bessai.watchdogs import WatchdogSection

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLE = data_directory() / "site.example.toml"


class Row(NamedTuple):
    section: str
    key: str
    default: str
    allowed: str


def rows() -> Iterator[Row]:
    section = ""
    for line in DOCUMENT.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ").strip("[]")
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) == 5 and cells[0].startswith("`"):
            yield Row(section, cells[0].strip("`"), cells[2], cells[3])


STRUCTS: dict[str, tuple[type[msgspec.Struct], tuple[str, ...]]] = {
    "devices": (InverterConfig, sections.DEVICE_HIDDEN),
    "safety": (DeviceLimits, ()),
    "detector": (DetectorConfig, sections.DETECTOR_HIDDEN),
    "dispatcher": (DispatcherConfig, sections.DISPATCHER_HIDDEN),
    "publisher": (PublisherConfig, sections.PUBLISHER_HIDDEN),
    "publisher.pubsub": (PubsubConfig, ()),
    "publisher.mqtt": (MqttConfig, ()),
    "publisher.commands": (CommandsConfig, ()),
    "tracing": (TracingConfig, ()),
    "api": (ApiConfig, sections.API_HIDDEN),
    "cells": (CellPlan, ()),
    "watchdog": (WatchdogSection, ()),
}
ALSO: dict[str, set[str]] = {
    "site": set(sections.SITE_KEYS),
    "log": set(sections.LOG_KEYS),
    "devices": set(sections.DEVICE_KEYS),
    "safety": set(sections.SAFETY_KEYS),
}
ROWS = list(rows())
RANGES = [
    (row, found)
    for row in ROWS
    if (found := re.match(r"(-?[\d.e]+) to (-?[\d.e]+)(?:,|$)", row.allowed))
]


def keys(section: str) -> set[str]:
    """Return every key that an operator may write in `section`."""
    if section not in STRUCTS:
        return ALSO[section]
    struct, hidden = STRUCTS[section]
    names = {field.name for field in msgspec.structs.fields(struct)}
    return (names - set(hidden)) | ALSO.get(section, set())


@pytest.mark.parametrize(
    "section", [*sections.SECTIONS, "publisher.pubsub", "publisher.mqtt", "publisher.commands"]
)
def test_the_document_names_every_key_of_a_section_and_no_other(section: str) -> None:
    assert {row.key for row in ROWS if row.section == section} == keys(section)


@pytest.mark.parametrize("section", sections.SECTIONS)
def test_the_example_shows_every_key_of_a_section(section: str) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    parts = re.split(r"^\[+([\w.]+)\]+", text, flags=re.MULTILINE)
    shown = {
        key
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
        if name == section
        for key in re.findall(r"^(?:# )?(\w+) = ", body, flags=re.MULTILINE)
    }
    assert shown | {"safety"} == keys(section) | {"safety"}


def test_the_example_with_every_default_written_out_is_the_same_site(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    shown = re.sub(r"^# (?=\w+ = (?!.*no default))", "", text, flags=re.MULTILINE)
    path = tmp_path / "site.toml"
    path.write_text(shown, encoding="utf-8")
    plain, full = load_config(EXAMPLE, {}), load_config(path, {})
    for name in ("safety", "detector", "dispatcher", "publisher", "api"):
        assert getattr(full, name) == getattr(plain, name)
    assert full.devices[0].timing() == plain.devices[0].timing()
    assert full.devices[0].deadman() == plain.devices[0].deadman()


@pytest.mark.parametrize("row", [row for row in ROWS if row.section in STRUCTS], ids=str)
def test_a_documented_default_is_the_default(row: Row) -> None:
    struct, _ = STRUCTS[row.section]
    defaults = {field.name: _plain(field.default) for field in msgspec.structs.fields(struct)}
    quoted = re.match(r"`([^`]+)`", row.default)
    if quoted is not None and row.key in defaults and row.key != "profile":
        assert json.loads(quoted[1]) == defaults[row.key]
    elif row.key in defaults and isinstance(defaults[row.key], int | float):
        assert row.key == "phase_s"  # it follows the device's place


def _plain(default: object) -> object:
    return default.value if isinstance(default, enum.Enum) else default


@pytest.mark.parametrize(("row", "found"), RANGES, ids=str)
def test_a_value_outside_a_documented_range_is_refused(
    row: Row, found: re.Match[str], tmp_path: Path
) -> None:
    for bound, beyond in ((found[1], -1), (found[2], 1)):
        value: Any = tomllib.loads(f"x = {bound}")["x"]
        step = beyond * max(abs(value) * 1e-3, 1e-5)
        whole = isinstance(value, int) and not row.key.endswith(("_s", "_w", "_c", "_pct", "_k"))
        told = faults(tmp_path, row, int(value + beyond) if whole else value + step)
        assert any(f"{row.key}: " in fault for fault in told), (row, value, told)


def faults(tmp_path: Path, row: Row, value: float) -> list[str]:
    lines = ["[site]", "id = 'S'", "[[devices]]", "id = 'A'", "host = 'h'"]
    if row.section != "devices":
        lines.append(f"[{row.section}]")
    lines.append(f"{row.key} = {value}")
    path = tmp_path / "site.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    return [str(fault) for fault in caught.value.faults]


def test_every_variable_and_exit_code_is_documented() -> None:
    for setting in ENVIRONMENT:
        assert f"| `{setting.variable}` |" in DOCUMENT
    for code, meaning in re.findall(r"^  (\d)  (.+)$", EXIT_CODES, flags=re.MULTILINE):
        assert f"| {code} | {meaning}" in DOCUMENT
