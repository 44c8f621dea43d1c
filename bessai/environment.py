"""Environment variables that override the configuration, so that a container with one device needs no file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple


class Setting(NamedTuple):
    """A variable and the key it overrides."""

    variable: str
    path: str
    whole_number: bool = False


ENVIRONMENT = (
    Setting("SITE_ID", "site.id"),
    Setting("BESSAI_STATE_DIR", "site.state_dir"),
    Setting("LOG_LEVEL", "log.level"),
    Setting("HEALTH_HOST", "api.host"),
    Setting("HEALTH_PORT", "api.port", whole_number=True),
    Setting("GCP_PROJECT_ID", "publisher.pubsub.project_id"),
    Setting("GCP_PUBSUB_TOPIC", "publisher.pubsub.topic"),
    Setting("OTEL_EXPORTER_OTLP_ENDPOINT", "tracing.endpoint"),
    Setting("INVERTER_IP", "devices[0].host"),
    Setting("INVERTER_PORT", "devices[0].port", whole_number=True),
    Setting("INVERTER_UNIT_ID", "devices[0].unit_id", whole_number=True),
    Setting("INVERTER_PROFILE", "devices[0].profile"),
)
_PROJECT = "GCP_PROJECT_ID"
"""Naming a project chooses its sink too, unless the file chooses one."""
_FIRST_ID = "inverter-1"
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")

Complaint = tuple[str, str]


def apply_environment(
    environment: Mapping[str, str], data: dict[str, Any]
) -> tuple[dict[str, Setting], list[Complaint]]:
    """Write what `environment` sets into `data`; an empty variable counts as not set.

    Returns the settings that were used, by the key they override, and what is wrong with the variables.
    """
    complaints: list[Complaint] = []
    used: dict[str, Setting] = {}
    for setting in ENVIRONMENT:
        text = environment.get(setting.variable, "").strip()
        if not text:
            continue
        complaint = _apply(setting, text, data, environment)
        if complaint:
            complaints.append((f"environment variable {setting.variable}", complaint))
        else:
            used[setting.path] = setting
    return used, complaints


def _apply(setting: Setting, text: str, data: dict[str, Any], given: Mapping[str, str]) -> str:
    """Write one setting into `data`, or return why it cannot be."""
    value: str | int = text
    if setting.whole_number:
        if not _WHOLE_NUMBER.fullmatch(text):
            return f"{text!r} is not a whole number"
        value = int(text)
    section, _, key = setting.path.rpartition(".")
    if section != "devices[0]":
        table = _table(data, section)
        if setting.variable == _PROJECT:
            _choose_pubsub(data)
    else:
        devices = data.setdefault("devices", [])
        if not isinstance(devices, list):
            return ""  # what the file says instead is told by whoever reads it
        if len(devices) > 1:
            return "the file names several devices, so it is not clear which one is meant: unset it"
        if not devices and not given.get("INVERTER_IP", "").strip():
            return "no device is named: set INVERTER_IP too"
        if not devices:
            devices.append({"id": _FIRST_ID})
        table = devices[0]
    if isinstance(table, dict):
        table[key] = value
    return ""


def _table(data: dict[str, Any], path: str) -> object:
    """Return the table at `path`, made if it is absent; what the file says instead of a table is told elsewhere."""
    table: object = data
    for name in path.split("."):
        if not isinstance(table, dict):
            return None
        table = table.setdefault(name, {})
    return table


def _choose_pubsub(data: dict[str, Any]) -> None:
    publisher = data.get("publisher")
    if isinstance(publisher, dict):
        publisher.setdefault("sink", "pubsub")
