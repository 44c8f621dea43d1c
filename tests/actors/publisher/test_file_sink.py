from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.publisher.file_sink import FileSink, repair
from actors.publisher.sinks import SinkError
from supervision.clock import ManualClock
from tests.actors.publisher.records import number_of, record

DAY_S = 86_400.0


def _sink(
    directory: Path,
    clock: ManualClock | None = None,
    *,
    max_bytes: int = 10_000,
    keep_bytes: int = 1_000_000,
) -> FileSink:
    return FileSink(directory, clock or ManualClock(), max_bytes=max_bytes, keep_bytes=keep_bytes)


def _published(directory: Path) -> list[int]:
    files = sorted(directory.glob("*.jsonl"))
    return [number_of(line) for path in files for line in path.read_bytes().splitlines()]


def test_each_record_becomes_a_line_of_json(tmp_path: Path) -> None:
    sink = _sink(tmp_path)

    assert list(sink.send([record(1), record(2)]).acknowledged) == [0, 1]

    (path,) = tmp_path.iterdir()
    assert path.name == "2023-11-14.000001.jsonl"
    assert [json.loads(line)["n"] for line in path.read_text().splitlines()] == [1, 2]
    sink.close()


def test_a_restart_goes_on_in_the_same_file(tmp_path: Path) -> None:
    for number in (1, 2):
        sink = _sink(tmp_path)
        sink.send([record(number)])
        sink.close()

    assert len(list(tmp_path.iterdir())) == 1
    assert _published(tmp_path) == [1, 2]


def test_a_full_file_is_followed_by_the_next(tmp_path: Path) -> None:
    sink = _sink(tmp_path, max_bytes=100)
    for number in range(4):
        sink.send([record(number, size=60)])
    sink.close()

    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    assert _published(tmp_path) == [0, 1, 2, 3]


def test_a_new_day_begins_a_new_file(tmp_path: Path) -> None:
    clock = ManualClock()
    sink = _sink(tmp_path, clock)
    sink.send([record(1)])
    clock.advance(DAY_S)
    sink.send([record(2)])
    sink.close()

    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["2023-11-14.000001.jsonl", "2023-11-15.000001.jsonl"]


def test_the_oldest_files_go_when_all_together_are_too_large(tmp_path: Path) -> None:
    sink = _sink(tmp_path, max_bytes=100, keep_bytes=400)
    for number in range(20):
        sink.send([record(number, size=90)])
    sink.close()

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 400 + 200
    assert _published(tmp_path)[-1] == 19


def test_half_a_line_of_a_crash_is_set_aside_before_anything_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "2023-11-14.000001.jsonl"
    path.write_bytes(record(1).body + b'\n{"n": 2, "fi')
    sink = _sink(tmp_path)

    sink.send([record(2)])
    sink.close()

    assert _published(tmp_path) == [1, 2]
    assert path.with_suffix(".partial").read_bytes() == b'{"n": 2, "fi\n'


def test_a_torn_file_of_an_earlier_day_is_repaired_too(tmp_path: Path) -> None:
    torn = tmp_path / "2023-11-01.000001.jsonl"
    torn.write_bytes(b"torn")
    sink = _sink(tmp_path)

    sink.send([record(1)])
    sink.close()

    assert torn.read_bytes() == b""


@given(
    st.lists(st.binary(max_size=20)), st.binary(max_size=300_000).filter(lambda t: b"\n" not in t)
)
def test_repair_keeps_every_whole_line_and_every_byte(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("torn") / "f.jsonl"
    whole = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
    path.write_bytes(whole + tail)

    assert repair(path) == len(tail)

    assert path.read_bytes() == whole
    if tail:
        assert path.with_suffix(".partial").read_bytes() == tail + b"\n"


def test_a_place_that_cannot_be_written_is_named_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = _sink(tmp_path / "file" / "published")

    with pytest.raises(SinkError, match=r"file/published: .*free space"):
        sink.send([record(1)])


def test_a_sink_recovers_when_its_place_does(tmp_path: Path) -> None:
    place = tmp_path / "published"
    place.write_text("in the way")
    sink = _sink(place)
    with pytest.raises(SinkError):
        sink.send([record(1)])
    place.unlink()

    assert len(sink.send([record(1)]).acknowledged) == 1
    sink.close()
