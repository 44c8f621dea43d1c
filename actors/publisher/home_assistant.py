"""What Home Assistant is told of each point of a device, so that it shows it without being configured.

One retained message per point, on `discovery_prefix/sensor/.../config`, in the form of its MQTT discovery. What a
point measures follows from its name, in which every unit is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from actors.publisher.mqtt_topics import OFFLINE, ONLINE, Topics
from actors.publisher.record import Record

EXPIRE_S: Final = 300
"""A value that is not renewed for so long is shown as unavailable."""
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")


class Meaning(NamedTuple):
    """What Home Assistant calls a unit and what is measured in it."""

    unit: str = ""
    device_class: str = ""
    state_class: str = "measurement"


_MEANINGS: Final = {
    "w": Meaning("W", "power"),
    "kw": Meaning("kW", "power"),
    "var": Meaning("var", "reactive_power"),
    "va": Meaning("VA", "apparent_power"),
    "v": Meaning("V", "voltage"),
    "a": Meaning("A", "current"),
    "hz": Meaning("Hz", "frequency"),
    "c": Meaning("°C", "temperature"),
    "kwh": Meaning("kWh", "energy", "total"),
    "wh": Meaning("Wh", "energy", "total"),
    "pct": Meaning("%"),
}
_SOC: Final = Meaning("%", "battery")


class _Body(msgspec.Struct):
    values: dict[str, float] = {}
    quality: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Body)


class Announcer:
    """Knows what has been announced on the present connection."""

    def __init__(self, discovery_prefix: str, topics: Topics) -> None:
        self._prefix = discovery_prefix
        self._topics = topics
        self._known: set[tuple[str, str]] = set()

    def forget(self) -> None:
        """Announce everything again: the broker may be another one."""
        self._known.clear()

    def announcements(self, record: Record) -> Iterator[tuple[str, bytes]]:
        """Yield topic and payload for each point of a sample that was not announced yet."""
        if record.kind != "sample":
            return
        try:
            body = _decoder.decode(record.body)
        except msgspec.DecodeError:
            return
        for point in (*body.values, *body.quality):
            if (record.device_id, point) not in self._known:
                self._known.add((record.device_id, point))
                yield self._announcement(record.device_id, point)

    def _announcement(self, device_id: str, point: str) -> tuple[str, bytes]:
        site = self._topics.site_id
        name = _UNFIT.sub("_", f"bessai_{site}_{device_id}_{point}")
        meaning = meaning_of(point)
        payload: dict[str, Any] = {
            "name": point.replace("_", " "),
            "unique_id": name,
            "state_topic": self._topics.kind(device_id, "sample"),
            "value_template": f"{{{{ value_json['values'].get('{point}') }}}}",
            "availability_topic": self._topics.status,
            "payload_available": ONLINE,
            "payload_not_available": OFFLINE,
            "expire_after": EXPIRE_S,
            "device": {
                "identifiers": [_UNFIT.sub("_", f"bessai_{site}_{device_id}")],
                "name": f"{device_id} ({site})",
                "manufacturer": "BESSAI Edge Gateway",
            },
        }
        if meaning.unit:
            payload |= {"unit_of_measurement": meaning.unit, "state_class": meaning.state_class}
        if meaning.device_class:
            payload["device_class"] = meaning.device_class
        return f"{self._prefix}/sensor/{name}/config", msgspec.json.encode(payload)


def meaning_of(point: str) -> Meaning:
    """Return what the name of `point` says of its unit; nothing if it says nothing."""
    if point.endswith("soc_pct"):
        return _SOC
    return _MEANINGS.get(point.rpartition("_")[2], Meaning())
