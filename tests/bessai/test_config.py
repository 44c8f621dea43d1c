"""A configuration is refused with every fault at once: where, what, and how to mend it."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.config import ApiConfig
from actors.detector.config import DetectorConfig
from actors.dispatcher.config import DispatcherConfig
from actors.inverter.config import InverterConfig
from actors.publisher.config import PublisherConfig
from actors.publisher.sink_config import SinkKind
from actors.safety.config import DeviceLimits, SiteLimits
from bessai.cells import CellPlan
from bessai.config import (
    SECTIONS,
    ConfigError,
    SiteConfig,
    _Reader,
    data_directory,
    load_config,
)
from bessai.environment import ENVIRONMENT
from bessai.judge import Judge

STRUCTS = (
    *(ApiConfig, CellPlan, DetectorConfig, DeviceLimits),
    *(DispatcherConfig, InverterConfig, PublisherConfig),
)
DEVICE = "[site]\nid = 'S'\n[[devices]]\nid = 'A'\n"

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
    assert (config.site_id, config.devices[0].address().port, config.devices[0].unit()) == (
        "S",
        502,
        1,
    )
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
        "site.toml: devices[0].port: 99999 is not allowed: expected 1 to 65535",
        "site.toml: devices[1].unit_id: 'one' is not allowed: expected a whole number, got text",
        "site.toml: devices[1].profile: ",
        "site.toml: devices[1].safety.soc_min_pct: 1.0 is not allowed: expected 5 to 50",
        "site.toml: api.prt: is not a key here; did you mean 'port'?",
        "site.toml: publisher.quota_mb: 0 is not allowed: expected a whole number >= 1",
        "site.toml: dispatcher.decide_s: 0.0 is not allowed",
        "site.toml: cells.api: 'control' is not allowed: nothing may share the cell",
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
        (GOOD + "poll_s = -1", "site.toml: devices[0].poll_s: -1.0 is not allowed"),
        (GOOD + "poll_s = nan", "site.toml: devices[0].poll_s: nan is not allowed"),
        (GOOD + "port = true", "site.toml: devices[0].port: True is not allowed"),
        (
            GOOD + "poll_s = 3",
            "site.toml: devices[0].poll_s: 3.0 is not allowed: expected less than half of safety.stale_after_s = 5",
        ),
        (GOOD + "[safety]\nsoc_min_pct = 60", "site.toml: safety.soc_min_pct: 60.0"),
        (GOOD + "[safety]\nmax_ttl_s = 0", "site.toml: safety.max_ttl_s: 0.0"),
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
            "environment variable GCP_PROJECT_ID: 'p' is not allowed: expected the id of a Google",
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


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "site.id", "is missing: give a short name such as SITE-CL-001"),
        ("[[site]]", "site", "must be a table"),
        ("[devices]\nid='A'", "devices", "must be tables: write [[devices]]"),
        ("devices = [1]", "devices", "must be tables"),
        (DEVICE + "host = 5", "devices[0].host", "5 is not allowed: expected text, got a whole"),
        (DEVICE + "host = ' '", "devices[0].host", "is empty: expected an address or a name"),
        (GOOD + "profile = ['a']", "devices[0].profile", "expected the name of a profile"),
        (GOOD + "profile = 'x.toml'", "devices[0].profile", "cannot be read: No such file"),
        (GOOD + "profile = 'huawei'", "devices[0].profile", "there is no profile 'huawei'"),
        (GOOD + "gap_s = -1", "devices[0].gap_s", "-1.0 is not allowed: expected 0.0 to 10.0"),
        (GOOD + "deadman_min = 0", "devices[0].deadman_min", "0 is not allowed: expected 1 to"),
        (GOOD + "rated_power_w = inf", "devices[0].rated_power_w", "expected a finite number"),
        (GOOD + "rated_power_w = 0", "devices[0].rated_power_w", "0.0 is not allowed"),
        (GOOD + 'framing = "ascii"', "devices[0].framing", "choose one of tcp, rtu"),
        (GOOD + 'tls = { ca = "no.pem" }', "devices[0]", "no.pem' is not a file"),
        (GOOD + 'tls = { ca = "" }', "devices[0].tls", "ca is empty"),
        (GOOD + 'tls = { kay = "x" }', "devices[0].tls.kay", "did you mean 'key'?"),
        (GOOD + "unit = 3", "devices[0].unit", "did you mean 'unit_id'?"),
        (GOOD + "[safety]\nmax_ttl = 3", "safety.max_ttl", "did you mean 'max_ttl_s'?"),
        (GOOD + "[safety]\ntrip_high_c = 61", "safety.trip_high_c", "61.0 is not allowed"),
        (GOOD + "[detector]\nwindow = 20", "detector.window", "20 does not go with warm_up = 60"),
        (GOOD + "[detector]\ntrainer_cell = 'x'", "detector.trainer_cell", "is not a key here"),
        (GOOD + "[dispatcher]\nttl_s = 1000", "dispatcher.ttl_s", "at most safety.max_ttl_s"),
        (GOOD + "[dispatcher]\nsample_age_s = 0.5", "dispatcher.sample_age_s", "poll_s = 1"),
        (GOOD + "[dispatcher.model]\npth = 'x'", "dispatcher.model.pth", "did you mean 'path'?"),
        (GOOD + "[dispatcher.time_of_use]\ncharge_hours_utc = [24]", "time_of_use", "0 to 23"),
        (GOOD + "[publisher]\ncommit_s = inf", "publisher.commit_s", "expected a finite number"),
        (GOOD + "[api]\nsample_limit_s = 1", "api.sample_limit_s", "slowest device's poll_s = 1"),
        (GOOD + "[api]\nsite_id = 'x'", "api.site_id", "is not a key here"),
        (GOOD + "[cells]\ndetector = 'trainer'", "cells.detector", "nothing may share the cell"),
        (GOOD + "[cells]\nhung_after_s = 0", "cells.hung_after_s", "expected 0.5 to 60"),
        (GOOD + "[cells.memory_limit_mb]\napi = 1", "cells.memory_limit_mb.api", "at least 32"),
        (GOOD + "[log]\nlevel = ['info']", "log.level", "choose one of debug, info"),
        ("[site]\nid = 'S'\nstate_dir = 7", "site.state_dir", "give the path of a directory"),
        ("[site]\nid = 'S'\nstate_dir = '~no-such-user/x'", "site.state_dir", "home"),
    ],
)
def test_each_key_has_its_own_fault(tmp_path: Path, text: str, where: str, words: str) -> None:
    told = faults(tmp_path, text)
    assert any(where in fault and words in fault for fault in told), told


def test_a_limit_may_be_tightened_together_with_what_it_depends_on(tmp_path: Path) -> None:
    safety = "[safety]\ntrip_high_c = 45\ncharge_max_c = 40\ndischarge_max_c = 40\n"
    assert load(tmp_path, GOOD + safety).safety.devices["INV-1"].trip_high_c == 45


def test_a_device_may_not_loosen_a_limit_beyond_its_outer_bound(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, GOOD + "[devices.safety]\nsoc_min_pct = 4\n")
    assert "devices[0].safety.soc_min_pct: 4.0 is not allowed: expected 5 to 50" in told


def test_limits_that_contradict_one_another_are_told_once(tmp_path: Path) -> None:
    safety = "[safety]\nsoc_min_pct = 50\nsoc_max_pct = 52\n"
    (told,) = faults(tmp_path, GOOD + safety)
    assert "safety.soc_min_pct: 50.0 is not allowed: expected at most soc_max_pct - 4 = 48" in told


def test_limits_of_the_site_are_those_of_all_devices_together(tmp_path: Path) -> None:
    config = load(tmp_path, GOOD + "[safety]\nsite_import_max_w = 0\n")
    assert config.safety.site == SiteLimits(import_max_w=0.0, meters=("INV-1",))


def test_a_limit_of_the_site_that_no_meter_measures_is_refused(tmp_path: Path) -> None:
    two = GOOD + '[[devices]]\nid = "INV-2"\nhost = "10.0.0.2"\n[safety]\n'
    (unmeasured,) = faults(tmp_path, two + "site_export_max_w = 5000.0\n")
    (stranger,) = faults(tmp_path, two + 'site_meters = ["INV-3"]\n')
    told = "safety.site_export_max_w: 5000.0 is not allowed: expected site_meters beside it"
    assert told in unmeasured
    assert "site_meters" in stranger
    assert "INV-3" in stranger


def test_a_device_has_no_limits_of_the_site(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, GOOD + "[devices.safety]\nsite_import_max_w = 1\n")
    assert "devices[0].safety.site_import_max_w: is not a key here" in told


def test_a_slow_device_moves_the_ages_that_must_exceed_its_poll(tmp_path: Path) -> None:
    slow = GOOD + "poll_s = 4\n[devices.safety]\nstale_after_s = 9\n"
    config = load(tmp_path, slow)
    ages = (
        config.api.evaluation_limit_s,
        config.api.sample_limit_s,
        config.dispatcher.sample_age_s,
    )
    assert ages == (12.0, 12.0, 12.0)


def test_a_device_is_a_duplicate_even_behind_one_that_cannot_be_used(tmp_path: Path) -> None:
    text = GOOD + "[[devices]]\nid = '!'\n" + "[[devices]]\nid = 'C'\nhost = '10.0.0.1'\n"
    told = faults(tmp_path, text)
    assert any(
        "devices[2].host: 10.0.0.1:502 unit 1 is the address of devices[0]" in t for t in told
    )


def test_a_missing_profile_hides_no_other_fault_of_its_device(tmp_path: Path) -> None:
    told = faults(tmp_path, GOOD + "profile = 'none'\nport = 0\n")
    assert [fault.split(": ")[1] for fault in told] == ["devices[0].profile", "devices[0].port"]


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    text = GOOD.replace("[[devices]]", "[dispatcher]\nprices_path = 'p.csv'\n[[devices]]")
    config = load(tmp_path, text)
    assert config.dispatcher.prices_path == str(tmp_path / "p.csv")
    assert config.state_dir == str(tmp_path / "state")


def test_paths_in_the_environment_are_relative_to_where_one_stands(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, BESSAI_STATE_DIR="here").state_dir == str(Path.cwd() / "here")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\x00\xff\xfe", "is not text in UTF-8"),
        (b"[site]\nid = \n", "is not TOML: Invalid value (at line 2, column 6)"),
        (b"a = " + b"[" * 5000, "is not TOML"),
        (b"a = " + b"9" * 5000, "is not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_told_as_such(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_config(path, {})


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path, {})


_KEYS = st.sampled_from(
    sorted(
        {*SECTIONS, "id", "host", "level", "state_dir", "safety", "profile", "model", "path"}
        | {field.name for struct in STRUCTS for field in msgspec.structs.fields(struct)}
    )
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_KEYS, inner, max_size=2),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from(SECTIONS), _VALUES | st.dictionaries(_KEYS, _VALUES), max_size=9
    ),
    st.lists(st.dictionaries(_KEYS, _VALUES), max_size=3),
)
def test_whatever_is_written_is_either_accepted_or_explained(
    data: dict[str, object], devices: list[dict[str, object]]
) -> None:
    judge = Judge("site.toml", {})
    config = _Reader(judge, Path()).site({"devices": devices, **data})
    assert (config is None) == bool(judge.faults)


def test_a_project_alone_chooses_its_topic_and_the_sink(tmp_path: Path) -> None:
    publisher = load(tmp_path, GOOD, GCP_PROJECT_ID="my-project").publisher

    assert publisher.sink is SinkKind.PUBSUB
    assert publisher.pubsub is not None
    assert publisher.pubsub.topic_path == "projects/my-project/topics/bessai-telemetry"


def test_a_sink_that_the_file_chooses_is_kept(tmp_path: Path) -> None:
    text = GOOD + "[publisher]\nsink = 'file'\n"

    assert load(tmp_path, text, GCP_PROJECT_ID="my-project").publisher.sink is SinkKind.FILE


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sink = 'pubsub'", "site.toml: publisher.sink: 'pubsub' is not allowed: write [publisher"),
        ("pubsub = {}", "site.toml: publisher.pubsub.project_id: is missing"),
        (
            "[publisher.mqtt]\nhost = 'h'\nprefix = 'a/#'",
            "site.toml: publisher.mqtt.prefix: 'a/#' is not allowed: expected the beginning",
        ),
        (
            "[publisher.mqtt]\nhost = 'h'\npassword_file = '/no/such'",
            "site.toml: publisher.mqtt.password_file: '/no/such' is not allowed: there is no such",
        ),
        (
            "[publisher.mqtt]\nhots = 'h'",
            "site.toml: publisher.mqtt.hots: is not a key here; did you mean 'host'?",
        ),
        (
            "[publisher.mqtt]\nhost = 'h'\n[publisher.commands]\nvia = 'mqtt'\nkeys = [{id = 'a', file = 'no'}]",
            "site.toml: publisher.commands.keys: key 'a' in ",
        ),
        (
            "[publisher.commands]\nvia = 'pubsub'\nkeys = [{id = 'a', file = 'no'}]",
            "site.toml: publisher.commands.via: ",
        ),
    ],
)
def test_a_sink_that_cannot_work_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    told = faults(tmp_path, GOOD + "[publisher]\n" + text)
    assert any(fault.startswith(sentence) for fault in told), told


@pytest.mark.parametrize(("count", "step_s"), [(1, 0.02), (100, 0.02), (400, 0.005)])
def test_devices_are_connected_one_after_another_within_two_seconds(
    tmp_path: Path, count: int, step_s: float
) -> None:
    tables = [f"[[devices]]\nid = 'D{n}'\nhost = '10.1.{n // 200}.{n % 200}'" for n in range(count)]
    site = load(tmp_path, "\n".join(["[site]", "id = 'S'", *tables]))
    assert [device.phase_s for device in site.devices] == pytest.approx(
        [step_s * n for n in range(count)]
    )
