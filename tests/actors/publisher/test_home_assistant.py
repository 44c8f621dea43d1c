from __future__ import annotations

import json

import pytest

from actors.publisher.home_assistant import Announcer, meaning_of
from actors.publisher.mqtt_topics import Topics
from actors.publisher.record import Record

TOPICS = Topics("bessai", "S")


def _sample(device_id: str, **values: float) -> Record:
    return Record("sample", device_id, "x", 1, json.dumps({"values": values}).encode())


def test_a_new_point_of_a_known_device_is_announced_alone() -> None:
    announcer = Announcer("ha", TOPICS)
    list(announcer.announcements(_sample("b1", soc_pct=1.0)))

    topics = [topic for topic, _ in announcer.announcements(_sample("b1", soc_pct=1.0, grid_hz=50))]

    assert topics == ["ha/sensor/bessai_S_b1_grid_hz/config"]


def test_a_new_connection_is_told_everything_again() -> None:
    announcer = Announcer("ha", TOPICS)
    list(announcer.announcements(_sample("b1", soc_pct=1.0)))
    announcer.forget()

    assert len(list(announcer.announcements(_sample("b1", soc_pct=1.0)))) == 1


def test_names_that_are_no_topic_are_made_one() -> None:
    ((topic, payload),) = Announcer("ha", TOPICS).announcements(_sample("b.1", soc_pct=1.0))

    assert topic == "ha/sensor/bessai_S_b_1_soc_pct/config"
    assert json.loads(payload)["state_topic"] == "bessai/S/b.1/sample"


def test_only_samples_are_announced() -> None:
    event = Record("safety_event", "b1", "x", 1, b'{"values": {"soc_pct": 1}}')

    assert list(Announcer("ha", TOPICS).announcements(event)) == []


@pytest.mark.parametrize(
    ("point", "unit", "device_class"),
    [
        ("battery_power_w", "W", "power"),
        ("storage_soc_pct", "%", "battery"),
        ("efficiency_pct", "%", ""),
        ("battery_temperature_c", "°C", "temperature"),
        ("total_charge_kwh", "kWh", "energy"),
        ("state", "", ""),
    ],
)
def test_the_unit_is_in_the_name(point: str, unit: str, device_class: str) -> None:
    assert meaning_of(point)[:2] == (unit, device_class)
