"""A device's configuration."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from actors.inverter.config import InverterConfig, decode_config, encode_config
from actors.inverter.tls import Tls
from actors.inverter.wire import Address
from tests.actors.inverter.driven import PROFILE, config


def test_a_configuration_travels_as_msgpack() -> None:
    settings = config(502)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(settings), type=InverterConfig) == settings


def test_times_come_from_the_profile_unless_the_device_has_its_own() -> None:
    settings = InverterConfig(device_id="d1", host="h", profile=PROFILE, gap_s=0.2)
    timing = settings.timing()
    assert (timing.gap_s, timing.connect_delay_s) == (0.2, PROFILE.timing.connect_delay_s)
    assert settings.deadman() == PROFILE.write.deadman_min


def test_port_unit_and_longest_read_are_the_usual_ones_unless_the_device_has_its_own() -> None:
    usual = InverterConfig(device_id="d1", host=" Dongle.Local ", profile=PROFILE)
    assert usual.address() == Address(host="dongle.local", port=502)
    assert (usual.unit(), usual.longest_read()) == (PROFILE.unit_id, PROFILE.max_registers)
    own = InverterConfig(
        device_id="d1", host="h", profile=PROFILE, port=6607, unit_id=0, max_registers=16
    )
    assert (own.address().port, own.unit(), own.longest_read()) == (6607, 0, 16)


def test_a_device_with_tls_answers_on_port_802_unless_it_has_its_own() -> None:
    tls = Tls(ca="ca.pem")
    secure = InverterConfig(device_id="d1", host="h", profile=PROFILE, tls=tls)
    assert secure.address().port == 802
    assert msgspec.structs.replace(secure, port=502).address().port == 502


@pytest.mark.parametrize(
    ("fields", "message"), [({"ca": ""}, "tls.ca is empty"), ({"ca": "a", "key": "k"}, "tls.key")]
)
def test_tls_without_what_it_needs_is_refused(fields: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tls(**fields)


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
        ("max_registers", 0),
        ("max_registers", 126),
        ("busy_retries", 11),
        ("readback_s", -1.0),
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


def test_devices_of_one_profile_share_it_after_the_way_to_their_cell() -> None:
    first, second = (
        decode_config(*encode_config(config(502, device_id=name))) for name in ("d1", "d2")
    )
    assert first == config(502, device_id="d1")
    assert second.profile is first.profile


def test_the_first_configurations_of_a_process_may_be_decoded_side_by_side(tmp_path: Path) -> None:
    parts = [tmp_path / "own", tmp_path / "profile"]
    for part, data in zip(parts, encode_config(config(502)), strict=True):
        part.write_bytes(data)
    command = [sys.executable, "-m", "tests.actors.inverter.first_decoding", *map(str, parts)]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
