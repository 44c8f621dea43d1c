from __future__ import annotations

from pathlib import Path

import pytest

from bessai.dumps import MAX_CHARACTERS, MAX_DUMPS, keep_dump, list_dumps
from bessai.gateway import event_keeper
from supervision.events import Lifecycle, What


def _event(
    what: What = What.HUNG, *, wall_ns: int = 1, detail: str = "where it hangs"
) -> Lifecycle:
    return Lifecycle(
        cell="control",
        actor="inverter/d1",
        what=what,
        wall_ns=wall_ns,
        reason="no progress for 1.02 s",
        detail=detail,
    )


def test_the_stack_of_a_hung_actor_becomes_a_file_with_its_reason(tmp_path: Path) -> None:
    path = keep_dump(tmp_path, _event())

    assert path is not None
    assert list_dumps(tmp_path) == [path]
    assert path.name == "00000000000000000001-inverter_d1.txt"
    text = path.read_text(encoding="utf-8")
    assert text == "control inverter/d1: no progress for 1.02 s\n\nwhere it hangs"


@pytest.mark.parametrize("event", [_event(What.CRASHED), _event(detail="")])
def test_other_events_leave_no_file(tmp_path: Path, event: Lifecycle) -> None:
    assert keep_dump(tmp_path, event) is None
    assert list_dumps(tmp_path) == []


def test_only_the_newest_are_kept_and_none_is_larger_than_it_may_be(tmp_path: Path) -> None:
    for wall_ns in range(MAX_DUMPS + 5):
        keep_dump(tmp_path, _event(wall_ns=wall_ns, detail="x" * 2 * MAX_CHARACTERS))

    kept = list_dumps(tmp_path)

    assert len(kept) == MAX_DUMPS
    assert kept[0].name.startswith("00000000000000000005-")
    assert max(path.stat().st_size for path in kept) < MAX_CHARACTERS + 100


def test_a_disk_that_refuses_a_dump_does_not_stop_root(tmp_path: Path) -> None:
    (tmp_path / "dumps").write_text("in the way", encoding="utf-8")

    event_keeper(tmp_path)(_event())

    assert list(tmp_path.iterdir()) == [tmp_path / "dumps"]
