from __future__ import annotations

from pathlib import Path

import pytest

from actors.safety.statedir import (
    GatewayRunningError,
    StateDirError,
    check_state_dir,
    lock_state_dir,
)


def test_a_missing_state_directory_is_made_and_left_empty(tmp_path: Path) -> None:
    state_dir = tmp_path / "a" / "b"

    check_state_dir(state_dir)

    assert list(state_dir.iterdir()) == []


def test_a_state_directory_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StateDirError, match=r"state_dir = '.*/file/state' cannot be written"):
        check_state_dir(tmp_path / "file" / "state")


def test_only_one_owner_holds_the_state_directory(tmp_path: Path) -> None:
    with (
        lock_state_dir(tmp_path),
        pytest.raises(GatewayRunningError, match="in use by a running gateway; stop it first"),
        lock_state_dir(tmp_path),
    ):
        pass

    with lock_state_dir(tmp_path):
        pass


def test_a_lock_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    with (
        pytest.raises(StateDirError, match=r"gateway\.lock cannot be opened"),
        lock_state_dir(tmp_path / "nowhere"),
    ):
        pass
