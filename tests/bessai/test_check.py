"""What `bessai check` prints, without a process of its own."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from actors.safety.statedir import lock_state_dir
from bessai.cli import MISUSED, UNUSABLE, main
from bessai.testing import SimulatedSite, free_port


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INVERTER_IP", "SITE_ID", "HEALTH_PORT", "BESSAI_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)


def write_site(directory: Path, device_port: int, *, state: str = "state", more: str = "") -> Path:
    path = directory / "site.toml"
    path.write_text(
        f"[site]\nid = 'S'\nstate_dir = '{state}'\n[api]\nport = {free_port()}\n"
        f"[[devices]]\nid = 'd1'\nhost = '127.0.0.1'\nport = {device_port}\n"
        f"connect_delay_s = 0.0\ngap_s = 0.0\n{more}",
        encoding="utf-8",
    )
    return path


def check(path: Path, *options: str) -> tuple[int, str]:
    shown = CliRunner().invoke(main, ["check", f"--config={path}", *options])
    return shown.exit_code, shown.output


def test_faults_of_the_configuration_are_all_told_and_nothing_is_probed(tmp_path: Path) -> None:
    status, output = check(write_site(tmp_path, 0, more="prot = 5\n"))
    assert status == MISUSED
    assert "devices[0].port: 0 is not allowed: expected 1 to 65535" in output
    assert "devices[0].prot: is not a key here; did you mean 'port'?" in output
    assert "asking devices" not in output


def test_without_probing_a_site_can_be_checked_anywhere(tmp_path: Path) -> None:
    status, output = check(write_site(tmp_path, free_port()), "--no-probe")
    assert status == 0
    assert "1 device(s), site S: valid" in output


def test_a_state_directory_behind_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    status, output = check(write_site(tmp_path, free_port(), state="file/state"), "--no-probe")
    assert status == UNUSABLE
    assert "FAILED  state_dir = " in output
    assert "name a folder that the gateway's user may write" in output


def test_a_device_is_asked_who_it_is_and_what_it_reads(tmp_path: Path) -> None:
    with SimulatedSite(tmp_path, devices=1) as site:
        path = write_site(tmp_path, site.ready.devices[0].port)
        status, output = check(path)
        site.client.override("d1", "model", "SG10RT")
        refused, why = check(path)
    assert status == 0
    assert re.search(r"ok +d1 at .*: SUN2000-10KTL-M1, serial SIM\w+-d1; soc_pct \d+", output)
    assert refused == UNUSABLE
    assert re.search(r"FAILED +d1 at .*SG10RT", why)


def test_a_file_that_is_not_there_is_named() -> None:
    status, output = check(Path("no-such.toml"))
    assert status == MISUSED
    assert "no-such.toml: cannot be read: No such file or directory" in output


def test_beside_a_running_gateway_its_own_port_is_no_fault(tmp_path: Path) -> None:
    path = write_site(tmp_path, free_port())
    port = int(re.findall(r"port = (\d+)", path.read_text())[0])
    (tmp_path / "state").mkdir()
    with socket.create_server(("127.0.0.1", port)):
        with lock_state_dir(tmp_path / "state"):
            beside, told = check(path, "--no-probe")
        alone, why = check(path, "--no-probe")
    assert beside == 0
    assert f"a running gateway (process {os.getpid()}), so port {port} was not tried" in told
    assert alone == UNUSABLE
    assert f"FAILED  /health cannot be served on 127.0.0.1:{port}" in why


def test_a_state_directory_on_the_command_line_goes_before_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BESSAI_STATE_DIR", str(tmp_path / "variable"))
    path = write_site(tmp_path, free_port())
    status, output = check(path, "--no-probe", f"--state-dir={tmp_path / 'option'}")
    assert status == 0
    assert f"state directory {tmp_path / 'option'} and port" in output
    assert not (tmp_path / "variable").exists()
    assert not (tmp_path / "state").exists()
