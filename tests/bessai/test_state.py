"""The generation, part of every epoch, rises whatever happens to clock and file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actors.safety.statedir import lock_state_dir
from bessai.state import default_state_dir, next_generation, running_gateway


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 2**31 - 100_000), min_size=2, max_size=10))
def test_the_generation_rises_whatever_the_clock_says(tmp_path: Path, clocks: list[int]) -> None:
    (tmp_path / "generation").unlink(missing_ok=True)
    given_out = [next_generation(tmp_path, wall_s=clock) for clock in clocks]
    assert given_out == sorted(set(given_out))


@pytest.mark.parametrize("content", [b"nonsense", b"", b"\xff\x00", b"179000", b"17 00000000\n"])
@pytest.mark.parametrize("wall_s", [0, 1_790_000_100])
def test_the_generation_rises_though_its_file_is_corrupt(
    tmp_path: Path, content: bytes, wall_s: int
) -> None:
    """Also with the clock set back at the same time: the age of the files remains."""
    earlier = next_generation(tmp_path)
    (tmp_path / "generation").write_bytes(content)
    assert next_generation(tmp_path, wall_s=wall_s) > earlier
    aside = list(tmp_path.glob("generation.set-aside-*"))
    assert [path.read_bytes() for path in aside] == [content]


def test_a_corrupt_file_is_set_aside_once(tmp_path: Path) -> None:
    (tmp_path / "generation").write_text("nonsense")
    first, second = next_generation(tmp_path), next_generation(tmp_path)
    assert second > first
    assert len(list(tmp_path.glob("generation.set-aside-*"))) == 1


def test_a_directory_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        next_generation(tmp_path / "gone")


def test_state_goes_where_the_desktop_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert default_state_dir() == Path("/somewhere/bessai")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_state_dir() == Path.home() / ".local" / "state" / "bessai"


def test_the_wall_clock_is_the_default(tmp_path: Path) -> None:
    assert next_generation(tmp_path) > 1_700_000_000


def test_the_process_that_owns_the_directory_is_known_as_long_as_it_does(tmp_path: Path) -> None:
    assert running_gateway(tmp_path) is None
    with lock_state_dir(tmp_path):
        assert running_gateway(tmp_path) == os.getpid()
    assert (tmp_path / "gateway.lock").exists()
    assert running_gateway(tmp_path) is None


@pytest.mark.parametrize("line", ["1: FLOCK  ADVISORY  WRITE 0 {} 0 EOF", "1: -> FLOCK {}", ""])
def test_an_owner_that_the_kernel_does_not_tell_is_unknown(tmp_path: Path, line: str) -> None:
    lock, locks = tmp_path / "gateway.lock", tmp_path / "locks"
    lock.touch()
    at = lock.stat()
    place = f"{os.major(at.st_dev):02x}:{os.minor(at.st_dev):02x}:{at.st_ino}"
    locks.write_text(line.format(place))
    assert running_gateway(tmp_path, locks=locks) is None
    assert running_gateway(tmp_path, locks=tmp_path / "none") is None
