"""What durability costs: 10,000 records of 300 bytes a second into the spool, beside a commit for each message.

Everything that the publisher does for a record after its encoding is in it: packing, compressing, checksums, the group
commit with synchronous=FULL, and the settling of what was delivered. Processor time is this process' own.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from actors.publisher.config import PublisherConfig
from actors.publisher.outbox import Outbox
from actors.publisher.record import Record, RecordLane
from actors.publisher.sinks import Delivery, SinkError
from benchmarks.figures import Figure, figure
from supervision.clock import SystemClock

RATE = 10_000
SECONDS = 3
RUNS = 3
PLAIN_RECORDS = 2_000
_BODY_BYTES = 300
_T = TypeVar("_T")


class _Shut:
    """A sink that takes nothing, or everything at once."""

    name = "benchmark"

    def __init__(self) -> None:
        self.open = False

    def send(self, batch: Sequence[Record]) -> Delivery:
        if not self.open:
            raise SinkError("shut")
        return Delivery(range(len(batch)))

    def close(self) -> None:
        """Have nothing to release."""


def run() -> list[Figure]:
    """Measure; about half a minute."""
    records = [record(n) for n in range(RATE)]
    stored = [_in_directory(lambda d: _stored(d, records)) for _ in range(RUNS)]
    plain = [_in_directory(lambda d: _plain(d, records[:PLAIN_RECORDS])) for _ in range(RUNS)]
    group = [_in_directory(lambda d: _grouped(d, records)) for _ in range(RUNS)]
    shares = [100 * each.share for each in stored]
    cost = [each.cpu_us for each in stored]
    return [
        figure(
            f"spool, {RATE} records/s of {_BODY_BYTES} bytes, durable: share of a processor",
            "%",
            shares,
            p50_limit=30.0,
        ),
        figure("the same, for each record", "us", cost),
        figure("the same, on the disk for each record", "bytes", [s.disk_bytes for s in stored]),
        figure("drained again to a sink that takes all", "records/s", [s.drained for s in stored]),
        figure("peer: a row and a durable commit for each message", "us", plain),
        figure("peer: a row for each message, a durable commit for 100", "us", group),
        figure(
            "times a commit for each message costs the spool",
            "x",
            [p / c for p, c in zip(plain, cost, strict=True)],
        ),
    ]


class _Stored(NamedTuple):
    share: float
    cpu_us: float
    disk_bytes: float
    drained: float


def _stored(directory: Path, records: Sequence[Record]) -> _Stored:
    """Feed records at the rate, as the actor does, with a turn after every hundredth."""
    sink = _Shut()
    config = PublisherConfig(site_id="S", state_dir=str(directory))
    outbox = Outbox(config, sink, SystemClock())
    outbox.commit()
    begin_s, cpu_s = time.monotonic(), time.process_time()
    for number in range(RATE * SECONDS):
        outbox.accept(records[number % RATE])
        if number % 100 == 0:
            outbox.turn()
            ahead_s = begin_s + number / RATE - time.monotonic()
            if ahead_s > 0:
                time.sleep(ahead_s)
    outbox.commit()
    took_s, used_s = time.monotonic() - begin_s, time.process_time() - cpu_s
    assert outbox.status().accepted == RATE * SECONDS
    assert took_s < 2 * SECONDS, f"the rate was not kept: {RATE * SECONDS} took {took_s:.1f} s"
    disk_bytes = outbox.status().spool_bytes / (RATE * SECONDS)
    drained = _drain(outbox, sink)
    outbox.close()
    return _Stored(
        share=used_s / took_s,
        cpu_us=used_s / (RATE * SECONDS) * 1e6,
        disk_bytes=disk_bytes,
        drained=drained,
    )


def _drain(outbox: Outbox, sink: _Shut) -> float:
    """Return the records per second at which what waits leaves, each settled durably."""
    time.sleep(1.1)  # the outbox leaves a failed sink alone for a second
    sink.open = True
    begin_s = time.monotonic()
    while outbox.status().waiting:
        outbox.turn()
    outbox.commit()
    return RATE * SECONDS / (time.monotonic() - begin_s)


def _plain(directory: Path, records: Sequence[Record]) -> float:
    """Return the processor time for each record of a commit for each."""
    return _inserted(directory, [[record] for record in records])


def _grouped(directory: Path, records: Sequence[Record]) -> float:
    return _inserted(directory, [records[n : n + 100] for n in range(0, len(records), 100)])


def _inserted(directory: Path, groups: Sequence[Sequence[Record]]) -> float:
    connection = sqlite3.connect(directory / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, dedupe TEXT, body BLOB)")
    count = sum(map(len, groups))
    cpu_s = time.process_time()
    for group in groups:
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO message (dedupe, body) VALUES (?, ?)",
            [(record.dedupe_id, record.body) for record in group],
        )
        connection.execute("COMMIT")
    used_s = time.process_time() - cpu_s
    connection.close()
    return used_s / count * 1e6


def record(number: int) -> Record:
    """Return a sample as it is sent, of about 300 bytes."""
    noise = random.Random(number)
    values = ",".join(f'"power_{n}_w":{noise.randrange(30_000) / 10}' for n in range(7))
    head = f'{{"v":1,"kind":"sample","site_id":"SITE-1","device_id":"INV-{number % 500}","seq":{number},'
    body = f'{head}"wall":"2026-11-25T12:00:00.{number:09d}Z","values":{{{values}}}}}'.encode()
    dedupe_id = f"SITE-1/sample/INV-{number % 500}/7/{number}"
    body = body[:-2].ljust(_BODY_BYTES - 2) + b"}}"
    return Record(
        "sample", f"INV-{number % 500}", dedupe_id, number, body, RecordLane.TELEMETRY, 7, number
    )


def _in_directory(work: Callable[[Path], _T]) -> _T:
    with tempfile.TemporaryDirectory() as name:
        return work(Path(name))
