"""What a clone of the repository holds, as someone who receives it would look at it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {
    *("bessai", "actors", "supervision", "tests", "benchmarks"),
    *("config", "compliance", "docs", "grafana", "requirements"),
}
FILES = {
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE"),
    *("pyproject.toml", "Makefile", "Dockerfile", "compose.yaml"),
}
LOCKS = ["build.lock", "dev.lock", "peers.lock", "runtime.lock"]
_URL = re.compile(r"\w+://|@ file:|--(extra-)?index-url|--find-links")
_MACHINE_PATH = re.compile(
    r"/(root|work|home/\w+)/|/tmp/team|\.\./shared(?!/tools/container_smoke)"
)


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


def _requirements(lock: str) -> list[str]:
    joined = (ROOT / "requirements" / lock).read_text().replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip()]


def test_the_root_holds_nothing_that_is_not_meant_to_be_there() -> None:
    entries = {path.relative_to(ROOT).parts[0] for path in _files()}

    visible = {entry for entry in entries if not entry.startswith(".")}

    assert visible <= FOLDERS | FILES


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_fixes_every_package_by_version_and_hash(lock: str) -> None:
    requirements = _requirements(lock)

    assert requirements
    for requirement in requirements:
        assert re.match(r"[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", requirement), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_place_to_download_from(lock: str) -> None:
    assert not _URL.search((ROOT / "requirements" / lock).read_text())


def test_what_runs_is_locked_alike_for_the_image_and_for_development() -> None:
    assert set(_requirements("runtime.lock")) <= set(_requirements("dev.lock"))


def test_what_strangers_clients_are_licensed_under_stays_in_their_own_environment() -> None:
    ours = {requirement.split("==")[0] for requirement in _requirements("dev.lock")}
    importing = [
        path.name
        for path in _files()
        if path.suffix == ".py"
        and re.search(r"^\s*(from|import) huawei_solar", path.read_text(), re.MULTILINE)
    ]

    assert "huawei-solar" not in ours
    assert sorted(importing) == ["peers_huawei.py", "read_with_huawei_solar.py"]


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in _files()
        if path != Path(__file__)
        for match in _MACHINE_PATH.finditer(path.read_bytes().decode("utf-8", "replace"))
    ]

    assert not found


def test_every_setting_of_the_environment_example_is_explained_in_one_line() -> None:
    lines = (ROOT / "config" / ".env.example").read_text().splitlines()

    settings = [i for i, line in enumerate(lines) if re.match(r"#?[A-Z_]+=", line)]

    assert len(settings) == 12
    assert all(lines[i - 1].startswith("# ") for i in settings)
