"""A process that appends is killed; whatever it had acknowledged must still be there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from actors.publisher.record import RecordLane
from actors.publisher.spool import Spool, Stored
from tests.actors.publisher.records import number_of

_APPEND = """
import sys
from pathlib import Path
from actors.publisher.spool import Spool
from tests.actors.publisher.records import record

spool = Spool(Path(sys.argv[1]), quota_bytes=1 << 26)
number = 0
while True:
    spool.commit([record(number + n) for n in range(10)])
    number += 10
    print(number, flush=True)
"""

_PUBLISH = """
import sys
from pathlib import Path
from actors.publisher.config import PublisherConfig
from actors.publisher.file_sink import FileSink
from actors.publisher.outbox import Outbox
from supervision.clock import SystemClock
from tests.actors.publisher.records import record

directory = Path(sys.argv[1])
sink = FileSink(directory / "published", SystemClock(), max_bytes=20_000, keep_bytes=1 << 26)
config = PublisherConfig(site_id="S", state_dir=str(directory), commit_messages=10)
outbox = Outbox(config, sink, SystemClock())
start = int(sys.argv[2])
for number in range(start, start + 1_000_000):
    outbox.accept(record(number))
    outbox.turn()
    print(outbox.status().accepted, flush=True)
"""


def _run_and_kill(program: str, *arguments: str, lines: int) -> int:
    """Run `program`, kill it after `lines` lines, and return the last number that it printed."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        told += child.stdout.readlines()
    whole = [line for line in told if line.endswith("\n")]
    return int(whole[-1])


@pytest.mark.parametrize("lines", [1, 30, 120])
def test_no_acknowledged_row_is_missing_after_sigkill(tmp_path: Path, lines: int) -> None:
    acknowledged = _run_and_kill(_APPEND, str(tmp_path / "spool.db"), lines=lines)

    spool = Spool(tmp_path / "spool.db", quota_bytes=1 << 26)
    items: list[Stored] = []
    while batch := spool.next_batch(
        RecordLane.TELEMETRY, limit=1_000, after_id=items[-1].row_id if items else 0
    ).items:
        items += batch
    spool.close()

    numbers = [number_of(item.record.body) for item in items]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= acknowledged


def test_every_acknowledged_record_reaches_the_files_though_the_publisher_is_killed(
    tmp_path: Path,
) -> None:
    acknowledged: set[int] = set()
    for start in (0, 1_000_000, 2_000_000):
        told = _run_and_kill(_PUBLISH, str(tmp_path), str(start), lines=200)
        acknowledged |= set(range(start, start + told))
    _run_and_kill(_PUBLISH, str(tmp_path), "3000000", lines=50)

    lines = [
        json.loads(line)
        for path in sorted((tmp_path / "published").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]

    assert acknowledged <= {line["n"] for line in lines}
