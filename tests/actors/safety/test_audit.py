from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.safety import audit
from actors.safety.audit import (
    AUDIT_NAME,
    AuditError,
    AuditKind,
    AuditTrail,
    Deed,
    find_faults,
    read_trail,
)


def _write(state_dir: Path, *details: str) -> AuditTrail:
    trail = AuditTrail(state_dir)
    for wall_ns, detail in enumerate(details):
        trail.note(wall_ns, Deed(kind=AuditKind.TRIP, device_id="inv-1", detail=detail))
    return trail


def test_entries_are_numbered_and_carry_the_hash_of_the_one_before(tmp_path: Path) -> None:
    _write(tmp_path, "a", "b")
    _write(tmp_path, "c")

    trail = read_trail(tmp_path)

    assert [(entry.seq, entry.detail) for entry in trail] == [(1, "a"), (2, "b"), (3, "c")]
    assert [entry.prev for entry in trail] == ["", trail[0].hash, trail[1].hash]
    assert find_faults(tmp_path) == []


def test_a_log_that_does_not_exist_is_empty_and_whole(tmp_path: Path) -> None:
    assert read_trail(tmp_path) == []
    assert find_faults(tmp_path) == []


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_bit_can_be_changed_unseen(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    state_dir = tmp_path_factory.mktemp("state")
    _write(state_dir, "a", "b", "c")
    data = bytearray((state_dir / AUDIT_NAME).read_bytes())
    data[position % len(data)] ^= 1 << bit
    (state_dir / AUDIT_NAME).write_bytes(data)

    assert find_faults(state_dir)


@pytest.mark.parametrize("order", [(0, 2), (1, 2), (0, 2, 1), (0, 1, 1, 2)])
def test_no_entry_can_be_taken_out_doubled_or_moved_unseen(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    _write(tmp_path, "a", "b", "c")
    path = tmp_path / AUDIT_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[index] for index in order))

    faults = find_faults(tmp_path)

    assert bool(faults) == (order != (1, 2))  # the oldest may have been archived elsewhere


def test_what_follows_a_damage_is_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    _write(tmp_path, "a", "b")
    path = tmp_path / AUDIT_NAME
    damaged = path.read_bytes() + b'{"kind":"tr'
    path.write_bytes(damaged)

    _write(tmp_path, "c")

    assert [entry.kind.value for entry in read_trail(tmp_path)] == [
        "trip",
        "trip",
        "set_aside",
        "trip",
    ]
    (aside,) = tmp_path.glob(f"{AUDIT_NAME}.corrupt-*")
    assert aside.read_bytes() == damaged
    (fault,) = find_faults(tmp_path)
    assert fault.startswith(f"{aside.name} was set aside")


def test_a_long_log_goes_on_in_a_new_file_and_the_chain_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MAX_BYTES", 1000)
    _write(tmp_path, *"abcdef")
    _write(tmp_path, *"ghijkl")

    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) > 2
    assert names[0] == "audit-00000001.jsonl"
    assert "".join(entry.detail for entry in read_trail(tmp_path)) == "abcdefghijkl"
    (tmp_path / names[1]).unlink()
    with pytest.raises(AuditError, match="some are missing, or out of order"):
        read_trail(tmp_path)
