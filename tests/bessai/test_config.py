"""A configuration is refused with every fault at once: where, what, and how to mend it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bessai.config import ConfigError, SiteConfig, data_directory, load_config
from bessai.environment import ENVIRONMENT

GOOD = """
[site]
id = "S"
state_dir = "state"
[[devices]]
id = "INV-1"
host = "10.0.0.1"
"""


def load(tmp_path: Path, text: str, **environment: str) -> SiteConfig:
    path = tmp_path / "site.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environment)


def faults(tmp_path: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environment)
    return [str(fault).replace(f"{tmp_path}/", "") for fault in caught.value.faults]


def test_the_example_is_valid() -> None:
    config = load_config(data_directory() / "site.example.toml", {})
    assert [device.device_id for device in config.devices] == ["INV-1", "INV-2"]
    limits = config.safety.devices
    assert (limits["INV-1"].max_charge_w, limits["INV-2"].max_charge_w) == (3500.0, 5000.0)
    assert limits["INV-1"].soc_min_pct == limits["INV-2"].soc_min_pct == 10.0
    assert config.cells.detector == config.cells.dispatcher == "learning"


def test_a_minimal_file_is_enough(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    assert (config.site_id, config.devices[0].port, config.devices[0].unit_id) == ("S", 502, 1)
    assert config.devices[0].profile.name == "huawei_sun2000_luna2000"


def test_one_device_needs_no_file() -> None:
    config = load_config(None, {"INVERTER_IP": "10.0.0.7", "SITE_ID": "HOME"})
    assert (config.site_id, config.devices[0].host) == ("HOME", "10.0.0.7")


def test_a_configuration_travels_as_bytes(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD)
    for part in (
        config.devices[0],
        config.safety,
        config.detector,
        config.dispatcher,
        config.publisher,
    ):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(part), type=type(part)) == part


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    told = faults(
        tmp_path,
        """
        [sit]
        [log]
        level = "loud"
        [[devices]]
        id = "INV 1"
        hst = "10.0.0.1"
        port = 99999
        [[devices]]
        id = "INV-2"
        host = "10.0.0.2"
        unit_id = "one"
        profile = "no_such"
        [devices.safety]
        soc_min_pct = 1.0
        [api]
        prt = 8000
        [publisher]
        quota_mb = 0
        [dispatcher]
        decide_s = 0.0
        [cells]
        api = "control"
        """,
    )
    expected = [
        "site.toml: sit: is not a key here; did you mean 'site'?",
        "site.toml: site.id: is missing",
        "site.toml: log.level: 'loud' is not allowed: choose one of debug, info",
        "site.toml: devices[0].id: 'INV 1' is not allowed",
        "site.toml: devices[0].host: is missing",
        "site.toml: devices[0].hst: is not a key here; did you mean 'host'?",
        "site.toml: devices[0].port: port = 99999 is not allowed: expected 1 to 65535",
        "site.toml: devices[1].unit_id: 'one' is not allowed: Expected `int`, got `str`",
        "site.toml: devices[1].profile: ",
        "site.toml: devices[1].safety.soc_min_pct: soc_min_pct = 1.0 is not allowed: expected 5 to 50",
        "site.toml: api.prt: is not a key here; did you mean 'port'?",
        "site.toml: publisher.quota_mb: 0 is not allowed: Expected `int` >= 1",
        "site.toml: dispatcher.decide_s: dispatcher.decide_s = 0.0 is not allowed",
        "site.toml: cells.api: api = 'control' is not allowed: nothing may share the cell",
    ]
    for sentence in expected:
        assert any(fault.startswith(sentence) for fault in told), f"{sentence} is not in {told}"
    assert len(told) == len(expected)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("devices = 3", "site.toml: devices: must be tables"),
        ("site = 3", "site.toml: site: must be a table"),
        ("[site]\nid = 'S'", "site.toml: devices: there are none"),
        (GOOD + "safety = 3", "site.toml: devices[0].safety: must be a table"),
        (GOOD + "poll_s = -1", "site.toml: devices[0].poll_s: poll_s = -1.0 is not allowed"),
        (GOOD + "poll_s = nan", "site.toml: devices[0].poll_s: poll_s = nan is not allowed"),
        (GOOD + "port = true", "site.toml: devices[0].port: True is not allowed"),
        (GOOD + "poll_s = 3", "site.toml: devices[0].poll_s: 3 s between polls"),
        (GOOD + "[safety]\nsoc_min_pct = 60", "site.toml: safety.soc_min_pct: soc_min_pct = 60.0"),
        (GOOD + "[safety]\nmax_ttl_s = 0", "site.toml: safety.max_ttl_s: safety.max_ttl_s = 0.0"),
        (GOOD + "[cells.memory_limit_mb]\nnobody = 64", "site.toml: cells.memory_limit_mb"),
        (
            GOOD + "[[devices]]\nid = 'INV-1'\nhost = '10.0.0.2'",
            "site.toml: devices[1].id: 'INV-1' is taken",
        ),
        (
            GOOD + "[[devices]]\nid = 'B'\nhost = '10.0.0.1'",
            "site.toml: devices[1].host: 10.0.0.1:502 unit 1",
        ),
        ("a = = 1", "site.toml: is not TOML: "),
    ],
)
def test_awkward_input_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    told = faults(tmp_path, text)
    assert any(fault.startswith(sentence) for fault in told), told


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no-such\.toml: cannot be read: No such file"):
        load_config(tmp_path / "no-such.toml", {})


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"INVERTER_PORT": "abc"},
            "environment variable INVERTER_PORT: 'abc' is not a whole number",
        ),
        ({"HEALTH_PORT": "99999"}, "environment variable HEALTH_PORT: 99999 is not allowed"),
        (
            {"GCP_PROJECT_ID": "p"},
            "environment variable GCP_PROJECT_ID: 'p' is set, but this version",
        ),
        ({"LOG_LEVEL": "loud"}, "environment variable LOG_LEVEL: 'loud' is not allowed"),
        ({"INVERTER_PROFILE": "x"}, "environment variable INVERTER_PROFILE: "),
    ],
)
def test_a_bad_variable_is_named_as_such(
    tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    told = faults(tmp_path, GOOD, **environment)
    assert any(fault.startswith(sentence) for fault in told), told


def test_variables_override_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path, GOOD, INVERTER_IP="10.9.9.9", HEALTH_PORT="9001", LOG_LEVEL="WARNING", SITE_ID=""
    )
    assert config.devices[0].host == "10.9.9.9"
    assert (config.api.port, config.log_level, config.site_id) == (9001, "warning", "S")


def test_a_variable_for_one_device_is_refused_where_there_are_several(tmp_path: Path) -> None:
    several = GOOD + "[[devices]]\nid = 'INV-2'\nhost = '10.0.0.2'\n"
    told = faults(tmp_path, several, INVERTER_IP="10.9.9.9")
    assert any("names several devices" in fault for fault in told)


def test_a_port_alone_names_no_device() -> None:
    with pytest.raises(ConfigError, match="set INVERTER_IP too"):
        load_config(None, {"INVERTER_PORT": "502", "SITE_ID": "S"})


def test_every_variable_is_explained_to_the_user() -> None:
    told = (data_directory() / ".env.example").read_text(encoding="utf-8")
    for setting in ENVIRONMENT:
        if setting.variable != "HEALTH_HOST":
            assert setting.variable in told
