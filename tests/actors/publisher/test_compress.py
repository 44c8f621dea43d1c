from __future__ import annotations

import gzip
from pathlib import Path

from actors.publisher.compress import PART, compress
from actors.publisher.file_sink import FileSink
from bessai.testing import wait_for
from supervision.clock import ManualClock
from tests.actors.publisher.records import number_of, record


def _published(directory: Path) -> list[int]:
    lines: list[bytes] = []
    for path in sorted(directory.glob("*.jsonl*")):
        data = path.read_bytes()
        lines += (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()
    return [number_of(line) for line in lines]


def _finished_are_compressed(directory: Path) -> bool:
    return len(list(directory.glob("*.jsonl"))) == 1 and not list(directory.glob(f"*{PART}"))


def test_finished_files_become_smaller_and_keep_every_line(tmp_path: Path) -> None:
    sink = FileSink(tmp_path, ManualClock(), max_bytes=5000, keep_bytes=1_000_000, compress=True)
    for number in range(30):
        sink.send([record(number, size=900)])
        wait_for("older files are compressed", lambda: _finished_are_compressed(tmp_path))
    sink.close()

    assert len(list(tmp_path.glob("*.jsonl.gz"))) >= 4
    assert _published(tmp_path) == list(range(30))
    plain = sum(len(record(number, size=900).body) for number in range(25))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.gz")) < 0.7 * plain


def test_a_restart_begins_a_new_file_beside_the_compressed_ones(tmp_path: Path) -> None:
    for start in (0, 10):
        sink = FileSink(
            tmp_path, ManualClock(), max_bytes=1000, keep_bytes=1_000_000, compress=True
        )
        for number in range(start, start + 10):
            sink.send([record(number, size=400)])
            wait_for("older files are compressed", lambda: _finished_are_compressed(tmp_path))
        sink.close()
        compress(next(iter(tmp_path.glob("*.jsonl"))))

    assert _published(tmp_path) == list(range(20))


def test_a_part_that_a_crash_left_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "2026-01-01.000001.jsonl"
    path.write_bytes(b"1\n2\n")
    path.with_name(f"{path.name}.gz{PART}").write_bytes(b"half")

    assert gzip.decompress(compress(path).read_bytes()) == b"1\n2\n"
    assert not path.exists()


def test_a_file_that_is_gone_is_none_to_compress(tmp_path: Path) -> None:
    compress(tmp_path / "gone.jsonl")

    assert list(tmp_path.iterdir()) == []
