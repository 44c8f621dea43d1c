"""The generation, part of every epoch, rises whatever happens to clock and file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessai.state import default_state_dir, next_generation


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 2**31 - 100_000), min_size=2, max_size=10))
def test_the_generation_rises_whatever_the_clock_says(tmp_path: Path, clocks: list[int]) -> None:
    (tmp_path / "generation").unlink(missing_ok=True)
    given_out = [next_generation(tmp_path, wall_s=clock) for clock in clocks]
    assert given_out == sorted(set(given_out))


def test_a_corrupt_file_is_set_aside_and_the_clock_decides(tmp_path: Path) -> None:
    (tmp_path / "generation").write_text("nonsense")
    assert next_generation(tmp_path, wall_s=1_790_000_000) == 1_790_000_000
    aside = list(tmp_path.glob("generation.set-aside-*"))
    assert [path.read_text() for path in aside] == ["nonsense"]


def test_the_wall_clock_is_the_default(tmp_path: Path) -> None:
    assert next_generation(tmp_path) > 1_700_000_000
    assert default_state_dir().name == "bessai"
