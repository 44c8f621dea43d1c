"""`bessai profile`: list, check and read, on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bessai.cli import MISUSED, UNUSABLE, main
from bessai.testing import SimulatedSite, free_port

NAME = "huawei_sun2000_luna2000"
TEXT = (Path(__file__).parents[2] / "config" / "profiles" / f"{NAME}.toml").read_text("utf-8")


def profile(*words: object) -> tuple[int, str]:
    shown = CliRunner().invoke(main, ["profile", *map(str, words)])
    return shown.exit_code, shown.output


def written(directory: Path, *changes: tuple[str, str], name: str = "mine.toml") -> Path:
    text = TEXT.replace("connect_delay_s = 1.0", "connect_delay_s = 0.0")
    for old, new in (("gap_s = 0.05", "gap_s = 0.0"), *changes):
        assert old in text
        text = text.replace(old, new, 1)
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("command", [(), ("list",), ("check",), ("read",)])
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    status, output = profile(*command, "--help")
    assert status == 0
    assert "Usage:" in output


def test_the_profiles_that_come_along_are_listed_with_title_and_place() -> None:
    status, output = profile("list")
    assert status == 0
    assert f"{NAME}: Huawei SUN2000 with LUNA2000" in output
    assert "config/profiles" in output.replace("\\", "/")


@pytest.mark.parametrize("by_name", [True, False])
def test_a_valid_profile_is_described(tmp_path: Path, by_name: bool) -> None:  # noqa: FBT001
    status, output = profile("check", NAME if by_name else written(tmp_path))
    assert status == 0
    assert "valid" in output
    assert "safety: 3 blocks" in output
    assert "can: charge, discharge, stop, hold, release" in output


def test_every_fault_of_a_profile_is_told_with_its_place(tmp_path: Path) -> None:
    path = written(tmp_path, ("gain = 10, low", "gian = 10, low"), ("count = 11", "count = 200"))
    status, output = profile("check", path)
    assert status == MISUSED
    assert f"profile {path}:" in output
    assert "block battery_2, point esu2_soc_pct: unknown key 'gian'; did you mean 'gain'?" in output
    assert "block state: count = 200 must be 1 to 125; split the block" in output


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("nowhere.toml", "nowhere.toml cannot be read: No such file"),
        ("huawei_sun2000", f"did you mean '{NAME}'?"),
        ("mine.yaml", "YAML is not read"),
    ],
)
def test_a_profile_that_is_not_there_is_told(file: str, told: str) -> None:
    for words in (("check", file), ("read", file, "127.0.0.1")):
        status, output = profile(*words)
        assert (status, told in output) == (MISUSED, True), output


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedSite]:
    with SimulatedSite(tmp_path_factory.mktemp("site"), devices=1) as site:
        yield site


def port_of(site: SimulatedSite) -> int:
    return site.ready.devices[0].port


def test_a_device_is_shown_with_values_meanings_and_raw_words(
    site: SimulatedSite, tmp_path: Path
) -> None:
    status, output = profile("read", written(tmp_path), "127.0.0.1", "--port", port_of(site))
    assert status == 0, output
    lines = {line.split()[0]: line for line in output.splitlines() if line.strip()}
    assert lines["point"].endswith("raw")
    assert "On-grid: running" in lines["device_status"]
    assert lines["device_status"].split()[-2:] == ["32089", "0200"]
    assert "'SUN2000-10KTL-M1'" in lines["model_name"]
    assert "esu2_soc_pct" not in lines
    assert "points that this device does not have are left out" in output


def test_a_device_is_told_as_json_with_what_it_does_not_have(
    site: SimulatedSite, tmp_path: Path
) -> None:
    status, output = profile(
        "read", written(tmp_path), "127.0.0.1", "--port", port_of(site), "--json"
    )
    assert status == 0
    told = json.loads(output)
    assert (told["profile"], told["unit_id"], told["fault"]) == (NAME, 1, "")
    points = {point["name"]: point for point in told["readings"]}
    assert points["battery_status"]["quality"] == "good"
    assert points["esu2_soc_pct"]["reason"] == "not there: esu2_model is 0"
    assert points["max_charge_w"]["words"] == [0, 5000]


def test_nothing_is_written_by_reading(site: SimulatedSite, tmp_path: Path) -> None:
    before = len(site.client.writes("d1"))
    profile("read", written(tmp_path), "127.0.0.1", "--port", port_of(site))
    assert len(site.client.writes("d1")) == before


def test_a_device_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    status, output = profile("read", written(tmp_path), "127.0.0.1", "--port", free_port())
    assert status == UNUSABLE
    assert "Connection refused" in output


def test_a_device_that_is_another_is_unusable_and_named(
    site: SimulatedSite, tmp_path: Path
) -> None:
    path = written(tmp_path, ('"SUN2000.*"', '"SUN5000.*"'))
    status, output = profile("read", path, "127.0.0.1", "--port", port_of(site))
    assert status == UNUSABLE
    assert "model 'SUN2000-10KTL-M1' answers" in output
