"""How fast a backlog leaves once the sink is back, and how old live data gets meanwhile; the sink is the file sink.

What cannot be had here is the network: a sink over one adds its own time to every batch.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from actors.publisher.config import PublisherConfig
from actors.publisher.drain import LIVE_S
from actors.publisher.file_sink import FileSink
from actors.publisher.outbox import RETRY_S, Outbox
from actors.publisher.record import Record, RecordLane
from actors.publisher.sinks import Delivery, SinkError
from benchmarks.figures import Figure, figure
from benchmarks.spool import record
from supervision.clock import SystemClock

BACKLOG = 60_000
LIVE_RATE = 500
RUNS = 3
_LIVE_FROM = 1_000_000_000
_TURN_S = 0.2


class _Watched:
    """The file sink behind a gate, with the age of every live record that passes."""

    name = "file"

    def __init__(self, directory: Path) -> None:
        self.open = False
        self.taken = 0
        self.ages_s: list[float] = []
        self.given_s: dict[int, float] = {}
        self._inner = FileSink(directory, SystemClock(), max_bytes=1 << 26, keep_bytes=1 << 30)

    def send(self, batch: Sequence[Record]) -> Delivery:
        if not self.open:
            raise SinkError("shut")
        delivery = self._inner.send(batch)
        now_s = time.monotonic()
        for each in batch:
            if each.seq >= _LIVE_FROM:
                self.ages_s.append(now_s - self.given_s[each.seq])
            else:
                self.taken += 1
        return delivery

    def close(self) -> None:
        self._inner.close()


def run() -> list[Figure]:
    """Measure; about a minute."""
    rates: list[float] = []
    ages_s: list[float] = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            rate, ages = _measure(Path(name))
        rates.append(rate)
        ages_s += ages
    return [
        figure(f"back-fill beside {LIVE_RATE} live records/s", "records/s", rates),
        figure("age of live records at the sink meanwhile", "s", ages_s, worst_limit=2.0),
    ]


def _measure(directory: Path) -> tuple[float, list[float]]:
    """Return the rate of the back-fill, and the ages."""
    sink = _Watched(directory / "published")
    outbox = Outbox(PublisherConfig(site_id="S", state_dir=str(directory)), sink, SystemClock())
    for number in range(BACKLOG):
        outbox.accept(record(number))
    outbox.commit()
    time.sleep(LIVE_S + RETRY_S)  # until then the backlog counts as live itself
    sink.open = True
    begin_s = turn_due_s = time.monotonic()
    live = 0
    while sink.taken < BACKLOG:
        now_s = time.monotonic()
        while live < (now_s - begin_s) * LIVE_RATE:
            sink.given_s[_LIVE_FROM + live] = begin_s + live / LIVE_RATE
            outbox.accept(_live(live))
            live += 1
        if now_s >= turn_due_s:
            turn_due_s = now_s + _TURN_S
            outbox.turn()
        else:
            time.sleep(0.002)
    took_s = time.monotonic() - begin_s
    outbox.close()
    return BACKLOG / took_s, sink.ages_s


def _live(number: int) -> Record:
    return record(number)._replace(seq=_LIVE_FROM + number, lane=RecordLane.TELEMETRY)
