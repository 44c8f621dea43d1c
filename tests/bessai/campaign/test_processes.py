from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bessai.campaign.processes import process_of

NAME_IT = (
    "import setproctitle, sys; setproctitle.setproctitle('bessai: cell api');"
    " print(flush=True); sys.stdin.read()"
)


@pytest.fixture
def child() -> Iterator[int]:
    """Return the process id of a child that names itself as a cell does."""
    with subprocess.Popen(
        [sys.executable, "-c", NAME_IT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


def test_a_cell_is_found_by_its_name_among_the_children_of_root(child: int) -> None:
    assert process_of("api", os.getpid()) == child


def test_a_cell_without_a_process_is_not_found(child: int) -> None:
    assert process_of("publisher", os.getpid()) is None
    assert process_of("api", child) is None


def test_root_is_known() -> None:
    assert process_of("root", 4711) == 4711
