"""A device's configuration."""

from __future__ import annotations

import msgspec
import pytest

from actors.inverter.config import InverterConfig
from tests.actors.inverter.driven import PROFILE, config


def test_a_configuration_travels_as_msgpack() -> None:
    settings = config(502)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(settings), type=InverterConfig) == settings


def test_times_come_from_the_profile_unless_the_device_has_its_own() -> None:
    settings = InverterConfig(device_id="d1", host="h", profile=PROFILE, gap_s=0.2)
    timing = settings.timing()
    assert (timing.gap_s, timing.connect_delay_s) == (0.2, PROFILE.timing.connect_delay_s)
    assert settings.deadman() == PROFILE.write.deadman_min


def test_a_device_may_have_its_own_countdown() -> None:
    assert config(502, deadman_min=5).deadman() == 5


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("device_id", "a b"),
        ("device_id", ""),
        ("host", " "),
        ("port", 0),
        ("port", 65536),
        ("unit_id", 256),
        ("poll_s", 0.0),
        ("poll_s", float("nan")),
        ("phase_s", -1.0),
        ("gap_s", 11.0),
        ("timeout_s", 0.0),
        ("deadman_min", 0),
        ("deadman_min", 1441),
        ("stop_timeout_s", 0.0),
    ],
)
def test_a_bad_value_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        config(**{"port": 502, key: value})  # type: ignore[arg-type]
