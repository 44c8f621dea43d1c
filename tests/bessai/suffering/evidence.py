"""What a gateway tells of its devices, from everything it tells it by, and what the devices' own record says of it."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from bessai.simulator.director import FOREIGN
from bessai.simulator.record import TruthRecord, WriteRecord
from bessai.testing import Gateway, SimulatedSite, wait_for

Line = dict[str, Any]
Metrics = dict[tuple[str, str, str], float]
"""By name, device and kind."""


class Suffered(NamedTuple):
    """All about one device since the faults began."""

    samples: list[Line]
    errors: frozenset[str]
    """Kinds that were counted; an optional register that is not there is none."""
    doubted: float
    log: list[Line]
    reason: str
    """In /health."""
    may_charge: float | None
    shown: bool
    """Whether /metrics shows its state of charge."""
    writes: list[WriteRecord]
    """Of the gateway."""
    truth: TruthRecord
    changed_ns: int
    """When its state was changed under the fault; 0 if it was not."""


class Evidence:
    """What happened since it was begun."""

    def __init__(self, site: SimulatedSite, gateway: Gateway) -> None:
        """Begin now."""
        self.site = site
        self.gateway = gateway
        self._written = {name: len(site.client.writes(name)) for name in site.names}
        self._counted = metrics(gateway)
        self._changed_ns: dict[str, int] = {}
        self.began_ns = time.time_ns()

    @property
    def age_s(self) -> float:
        """Seconds since the beginning."""
        return (time.time_ns() - self.began_ns) / 1e9

    def change(self, device: str, values: Mapping[str, float]) -> None:
        """Change the state of a device under its fault."""
        self.site.client.set_state(device, **values)
        self._changed_ns[device] = time.time_ns()

    def wait_until_read(self, device: str) -> None:
        """Wait until two samples of a device have been published since the beginning."""

        def read() -> bool:
            samples = by_device(published(self.gateway), "device_id").get(device, ())
            return len([each for each in samples if each["wall_ns"] > self.began_ns]) > 1

        wait_for(f"samples of {device}", read)

    def now(self) -> dict[str, Suffered]:
        """Return what has happened so far by device."""
        present, health = metrics(self.gateway), self.gateway.health() or {}
        samples = by_device(published(self.gateway), "device_id")
        log = by_device(logged(self.gateway), "device")
        return {
            name: Suffered(
                samples=[each for each in samples.get(name, ()) if each["wall_ns"] > self.began_ns],
                errors=self._errors(name, present),
                doubted=self._rise(("bessai_device_doubted_values_total", name, ""), present),
                log=[each for each in log.get(name, ()) if _stamp_ns(each) > self.began_ns],
                reason=health.get("devices", {}).get(name, {}).get("reason", ""),
                may_charge=present.get(("bessai_safety_may_charge", name, "")),
                shown=("bessai_battery_soc_percent", name, "") in present,
                writes=self._writes(name),
                truth=self.site.client.truth(name),
                changed_ns=self._changed_ns.get(name, 0),
            )
            for name in self.site.names
        }

    def _errors(self, name: str, present: Metrics) -> frozenset[str]:
        keys = [key for key in present if key[:2] == ("bessai_device_errors_total", name)]
        risen = {key[2] for key in keys if self._rise(key, present)}
        return frozenset(risen - {"illegal_address"})

    def _rise(self, key: tuple[str, str, str], present: Metrics) -> float:
        return present.get(key, 0.0) - self._counted.get(key, 0.0)

    def _writes(self, name: str) -> list[WriteRecord]:
        since = self.site.client.writes(name, self._written[name])
        return [each for each in since if each.client != FOREIGN]


def metrics(gateway: Gateway) -> Metrics:
    """Return every metric of a device."""
    with urllib.request.urlopen(f"http://127.0.0.1:{gateway.port}/metrics", timeout=5.0) as answer:
        text = answer.read().decode()
    return {
        (each.name, each.labels["device"], each.labels.get("kind", "")): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if "device" in each.labels
    }


def published(gateway: Gateway) -> list[Line]:
    """Return every sample in the published files."""
    files = sorted((gateway.state_dir / "published").glob("*.jsonl"))
    lines = [line for file in files for line in _whole(file.read_text(encoding="utf-8"))]
    return [each for each in map(json.loads, lines) if each["kind"] == "sample"]


def logged(gateway: Gateway) -> list[Line]:
    """Return every line of the gateway's log."""
    return [json.loads(line) for line in _whole(gateway.log.read_text(encoding="utf-8"))]


def by_device(lines: Iterable[Line], key: str) -> dict[str, list[Line]]:
    """Return `lines` by the device that they name."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        if key in line:
            found.setdefault(line[key], []).append(line)
    return found


def _whole(text: str) -> list[str]:
    """Return the lines of a file that is being written, without one that has only begun."""
    return text[: text.rfind("\n") + 1].splitlines()


def _stamp_ns(line: Line) -> int:
    return int(datetime.fromisoformat(line["timestamp"]).timestamp() * 1e9)
