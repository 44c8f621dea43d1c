from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.safety.latch import (
    JOURNAL_NAME,
    JournalError,
    LatchKind,
    LatchRecord,
    append,
    list_latches,
    load,
    read_journal,
    replay,
)
from actors.safety.offline import NotLatchedError, ResetRefusedError, offline_reset
from actors.safety.statedir import GatewayRunningError, lock_state_dir
from supervision.clock import ManualClock


def _trip(device_id: str = "inv-1", rule: str = "trip_hot") -> LatchRecord:
    return LatchRecord(
        kind=LatchKind.TRIP, device_id=device_id, rule=rule, reason="60 degC", wall_ns=5
    )


def _reset(state_dir: Path, device_id: str = "inv-1") -> LatchRecord:
    return offline_reset(
        state_dir,
        device_id,
        operator="Ana",
        reason="cooled",
        clock=ManualClock(),
        resets_per_hour=3,
    )


def test_a_trip_is_still_there_after_a_restart(tmp_path: Path) -> None:
    append(tmp_path, _trip())

    latches = load(tmp_path, ["inv-1", "inv-2"], 7)

    assert list(latches.trips) == ["inv-1"]
    assert latches.trips["inv-1"].rule == "trip_hot"
    assert latches.set_aside == ""


def test_a_fresh_state_directory_has_no_latches(tmp_path: Path) -> None:
    assert load(tmp_path, ["inv-1"], 7).trips == {}
    assert list(tmp_path.iterdir()) == []


def test_a_reset_ends_the_trip_and_keeps_both_records(tmp_path: Path) -> None:
    append(tmp_path, _trip(), _trip("inv-2"))

    ended = _reset(tmp_path)

    assert ended.rule == "trip_hot"
    assert list(list_latches(tmp_path)) == ["inv-2"]
    last = read_journal(tmp_path / JOURNAL_NAME)[-1]
    assert (last.kind, last.operator, last.reason) == (LatchKind.RESET, "Ana", "cooled")


def test_the_first_of_several_trips_is_the_one_that_is_told(tmp_path: Path) -> None:
    append(tmp_path, _trip(), _trip(rule="trip_cold"))

    assert list_latches(tmp_path)["inv-1"].rule == "trip_hot"


def test_a_reset_is_refused_while_the_gateway_runs(tmp_path: Path) -> None:
    append(tmp_path, _trip())

    with lock_state_dir(tmp_path), pytest.raises(GatewayRunningError, match="stop it first"):
        _reset(tmp_path)

    assert list(list_latches(tmp_path)) == ["inv-1"]


def test_a_reset_of_a_device_that_is_not_tripped_names_those_that_are(tmp_path: Path) -> None:
    append(tmp_path, _trip())

    with pytest.raises(NotLatchedError, match="'inv-9' is not tripped; tripped are: inv-1"):
        _reset(tmp_path, "inv-9")


@pytest.mark.parametrize("blank", ["operator", "reason"])
def test_a_reset_without_a_name_or_a_reason_is_refused(tmp_path: Path, blank: str) -> None:
    words = {"operator": "Ana", "reason": "cooled", blank: "  "}

    append(tmp_path, _trip())
    with pytest.raises(ValueError, match=f"{blank} is blank: say who resets the trip and why"):
        offline_reset(tmp_path, "inv-1", clock=ManualClock(), resets_per_hour=3, **words)


def test_offline_resets_of_a_device_are_limited_too(tmp_path: Path) -> None:
    for _ in range(3):
        append(tmp_path, _trip())
        _reset(tmp_path)
    append(tmp_path, _trip())

    with pytest.raises(ResetRefusedError, match="more than 3 resets of a device in an hour"):
        _reset(tmp_path)


def _damages() -> Iterator[tuple[str, bytes]]:
    yield "cut off", b'{"kind":"trip","device_id"'
    yield "not JSON", b"\x00\x00\x00\n"
    yield "not text", b"\xff\xfe\n"
    yield "an empty line", b"\n"
    yield "no checksum", b'{"kind":"reset","device_id":"inv-1","rule":"","reason":"","wall_ns":1}\n'


@pytest.mark.parametrize("damage", [d[1] for d in _damages()], ids=[d[0] for d in _damages()])
def test_a_corrupt_journal_is_set_aside_whole_and_every_device_begins_tripped(
    tmp_path: Path, damage: bytes
) -> None:
    append(tmp_path, _trip())
    journal = tmp_path / JOURNAL_NAME
    corrupt = journal.read_bytes() + damage
    journal.write_bytes(corrupt)

    latches = load(tmp_path, ["inv-1", "inv-2"], 7)

    assert {record.rule for record in latches.trips.values()} == {"journal_corrupt"}
    assert set(list_latches(tmp_path)) == {"inv-1", "inv-2"}
    assert (tmp_path / f"{JOURNAL_NAME}.corrupt-7").read_bytes() == corrupt
    assert "line 2" in latches.set_aside
    assert "set aside as latches.jsonl.corrupt-7" in latches.set_aside


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_never_ends_a_trip(
    tmp_path_factory: pytest.TempPathFactory, position: int, bit: int
) -> None:
    state_dir = tmp_path_factory.mktemp("state")
    append(state_dir, _trip())
    journal = state_dir / JOURNAL_NAME
    data = bytearray(journal.read_bytes())
    data[position % len(data)] ^= 1 << bit
    journal.write_bytes(data)

    assert "inv-1" in load(state_dir, ["inv-1"], 7).trips


def test_two_corrupt_journals_of_the_same_instant_are_both_kept(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        (tmp_path / JOURNAL_NAME).write_bytes(content)
        load(tmp_path, ["inv-1"], 7)

    kept = sorted(path.read_bytes() for path in tmp_path.glob("*.corrupt-*"))
    assert kept == [b"first", b"second"]


def test_an_unreadable_journal_is_set_aside_too(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).mkdir()

    latches = load(tmp_path, ["inv-1"], 7)

    assert "cannot be read" in latches.set_aside
    assert (tmp_path / f"{JOURNAL_NAME}.corrupt-7").is_dir()
    assert list(list_latches(tmp_path)) == ["inv-1"]


def test_a_crash_after_setting_aside_does_not_look_like_a_clean_start(tmp_path: Path) -> None:
    (tmp_path / f"{JOURNAL_NAME}.corrupt-7").write_bytes(b"what was there")

    latches = load(tmp_path, ["inv-1"], 8)

    assert list(latches.trips) == ["inv-1"]
    assert "nothing took its place" in latches.set_aside


def test_after_a_corrupt_journal_a_reset_opens_the_device_for_good(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(b"corrupt")
    load(tmp_path, ["inv-1"], 7)

    _reset(tmp_path)

    assert load(tmp_path, ["inv-1"], 8).trips == {}


def test_a_full_disk_leaves_no_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(tmp_path, _trip())
    whole = (tmp_path / JOURNAL_NAME).read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))

    with pytest.raises(OSError, match=r"only 10 of .* bytes were written: the disk is full"):
        append(tmp_path, _trip("inv-2"))

    assert (tmp_path / JOURNAL_NAME).read_bytes() == whole


_APPEND_FOR_EVER = """
import sys, pathlib
from actors.safety.latch import LatchKind, LatchRecord, append
for n in range(10**6):
    trip = LatchRecord(kind=LatchKind.TRIP, device_id=f"inv-{n}", rule="r", reason="", wall_ns=n)
    append(pathlib.Path(sys.argv[1]), trip)
    print(n, flush=True)
"""


def test_what_was_reported_as_written_survives_sigkill(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _APPEND_FOR_EVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        lines += writer.stdout.readlines()

    written = {f"inv-{int(line)}" for line in lines if line.endswith("\n")}
    assert written <= set(list_latches(tmp_path))


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(list(LatchKind))), max_size=12)
)
def test_a_device_is_latched_exactly_if_its_last_record_is_a_trip(
    history: list[tuple[str, LatchKind]],
) -> None:
    records = [
        LatchRecord(kind=kind, device_id=device, rule="r", reason="", wall_ns=n)
        for n, (device, kind) in enumerate(history)
    ]

    last = dict(history)

    assert replay(records).keys() == {d for d, kind in last.items() if kind is LatchKind.TRIP}


def test_a_journal_that_is_corrupt_is_not_listed_as_empty(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(b"corrupt")

    with pytest.raises(JournalError, match="line 1: not written to its end"):
        list_latches(tmp_path)
