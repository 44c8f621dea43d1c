from pathlib import Path

import numpy as np
import pytest

from actors.detector.files import (
    BadTrainingSetError,
    group_of,
    read_training_set,
    set_aside,
    write_training_set,
)
from actors.model_file import sha256_hex
from tests.actors.detector.rows import POINTS, ordinary_rows


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "training-x.npz"
    write_training_set(path, POINTS, ordinary_rows(20), first_wall_ns=1, last_wall_ns=2)
    return path


def test_a_training_set_reads_as_it_was_written(stored: Path) -> None:
    training = read_training_set(stored)
    assert (training.points, training.first_wall_ns, training.last_wall_ns) == (POINTS, 1, 2)
    assert np.array_equal(training.rows, ordinary_rows(20))
    assert training.sha256 == sha256_hex(stored.read_bytes())


def test_no_draft_is_left_behind(stored: Path) -> None:
    assert [path.name for path in stored.parent.iterdir()] == ["training-x.npz"]


@pytest.mark.parametrize("kept", [0, 10, 400])
def test_a_torn_training_set_is_refused(stored: Path, kept: int) -> None:
    stored.write_bytes(stored.read_bytes()[:kept])
    with pytest.raises(BadTrainingSetError, match="cannot be read"):
        read_training_set(stored)


def test_a_training_set_with_a_value_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    rows = ordinary_rows(20)
    rows[3, 1] = np.nan
    write_training_set(tmp_path / "t.npz", POINTS, rows, first_wall_ns=1, last_wall_ns=2)
    with pytest.raises(BadTrainingSetError, match="finite"):
        read_training_set(tmp_path / "t.npz")


def test_files_set_aside_keep_out_of_each_others_way(stored: Path) -> None:
    first = set_aside(stored)
    stored.write_bytes(b"again")
    assert [first.name, set_aside(stored).name] == ["training-x.npz.bad1", "training-x.npz.bad2"]


def test_devices_with_the_same_points_are_one_group() -> None:
    assert group_of(POINTS) == group_of(tuple(POINTS))
    assert group_of(POINTS) != group_of(POINTS[1:])
