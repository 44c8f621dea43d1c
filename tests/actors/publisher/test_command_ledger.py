from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.publisher.command_ledger import FILE_NAME, CommandLedger, LedgerError


def _ledger(directory: Path, wall_ns: int = 1000) -> CommandLedger:
    return CommandLedger(directory, wall_ns=wall_ns)


def test_a_number_is_taken_once_also_after_a_restart(tmp_path: Path) -> None:
    _ledger(tmp_path).take("ems", 5)
    again = _ledger(tmp_path)

    assert again.is_replay("ems", 5, 2000)
    assert again.is_replay("ems", 4, 2000)
    assert not again.is_replay("ems", 6, 2000)
    assert not again.is_replay("other", 1, 2000)


@settings(max_examples=20)  # each makes files durable
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 20), st.booleans()), max_size=25))
def test_no_number_is_ever_taken_twice_whatever_comes_and_whenever_it_restarts(
    requests: list[tuple[str, int, bool]],
) -> None:
    taken: list[tuple[str, int]] = []
    with tempfile.TemporaryDirectory() as name:
        ledger = _ledger(Path(name))
        for key, seq, restarts in requests:
            if restarts:
                ledger = _ledger(Path(name))
            if not ledger.is_replay(key, seq, 2000):
                ledger.take(key, seq)
                taken.append((key, seq))

    assert len(set(taken)) == len(taken)
    for key in "ab":
        numbers = [seq for name, seq in taken if name == key]
        assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "damage", [b"", b"\xff", b"{}", b'{"highest":{"ems":1},"not_before_ns":0,"crc32":1}']
)
def test_after_damage_only_what_is_issued_later_counts(tmp_path: Path, damage: bytes) -> None:
    _ledger(tmp_path).take("ems", 5)
    (tmp_path / FILE_NAME).write_bytes(damage)

    ledger = _ledger(tmp_path, wall_ns=9000)

    assert "set aside" in ledger.notice
    assert ledger.is_replay("ems", 6, 8999)
    assert not ledger.is_replay("ems", 6, 9000)
    assert len(list(tmp_path.glob("*.set-aside-*"))) == 1


def test_what_counts_after_damage_is_kept_over_a_restart(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"?")
    _ledger(tmp_path, wall_ns=9000).take("ems", 6)

    assert _ledger(tmp_path, wall_ns=9999).is_replay("ems", 7, 8999)


def test_a_ledger_that_cannot_be_written_takes_nothing(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    (tmp_path / "commands.new").mkdir()

    with pytest.raises(LedgerError, match=r"commands\.json cannot be written"):
        ledger.take("ems", 1)
    assert not ledger.is_replay("ems", 1, 2000)
