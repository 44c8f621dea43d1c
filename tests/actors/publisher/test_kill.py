"""The publisher is killed again and again under load; what the control cell took must be delivered, in order.

`make spool-kills` does it 20 times; by default it is done three times.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import click
import msgspec

from actors.courier import Courier
from actors.messages import (
    CODEC,
    DescribeDevice,
    DeviceSchema,
    PointInfo,
    Sample,
    SpoolAck,
)
from supervision.clock import NS_PER_S, SystemClock
from supervision.envelope import Frame, FrameReader, Header, Lane, pack
from tests.actors.fakes import RecordingContext

KILLS = int(os.environ.get("BESSAI_KILLS", "3"))
DEADLINE_S = 60.0
SENDER, EPOCH = "inverter/b1", 5
POINTS = tuple(PointInfo(f"point_{n}", "W") for n in range(20))
SCHEMA = DeviceSchema(device_id="b1", schema_id=1, points=POINTS)


class PublisherProcess:
    """One life of the publisher, and the pipe to it."""

    def __init__(self, directory: Path, epoch: int) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.actors.publisher.publisher_process",
                directory,
                f"{epoch}",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._reader = FrameReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def send(self, message: msgspec.Struct) -> None:
        assert self.process.stdin is not None
        header = Header(receiver="publisher", sender=SENDER, epoch=EPOCH)
        with contextlib.suppress(BrokenPipeError):  # what a dead process was sent is lost
            self.process.stdin.write(pack(Frame(header, CODEC.encode(message))))

    def heard(self, wait_s: float) -> list[object]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], wait_s)[0]:
            return []
        frames = self._reader.feed(os.read(self.process.stdout.fileno(), 1 << 16))
        return [CODEC.decode(frame.body) for frame in frames]

    def stop(self) -> None:
        """End it in order."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)


class ControlCell(RecordingContext):
    """The sender's side: the real courier, and a publisher that comes and goes."""

    publisher: PublisherProcess

    def __init__(self) -> None:
        super().__init__(SENDER, EPOCH, SystemClock())
        self.courier = Courier(self, max_bytes=8 << 20, patience_ns=NS_PER_S // 2)
        self.seq = 0

    def send(
        self,
        message: msgspec.Struct,
        *receivers: str,
        lane: Lane = Lane.TELEMETRY,
        ttl_s: float | None = None,
        trace: str = "",
    ) -> None:
        self.publisher.send(message)

    def poll(self) -> None:
        self.seq += 1
        values = tuple(float(self.seq + n) for n in range(len(POINTS)))
        sample = Sample(
            device_id="b1",
            schema_id=1,
            seq=self.seq,
            epoch=EPOCH,
            wall_ns=self.seq,
            mono_ns=self.seq,
            values=values,
        )
        self.courier.send(sample)

    def listen(self, wait_s: float = 0.0) -> None:
        for message in self.publisher.heard(wait_s):
            if isinstance(message, SpoolAck):
                self.courier.heard(message)
            elif isinstance(message, DescribeDevice):
                self.publisher.send(SCHEMA)
        self.courier.tick()

    def load(self, polls: int) -> None:
        """Poll as fast as the publisher takes it."""
        for _ in range(polls):
            self.poll()
            self.listen(0.001)

    def wait_for_acknowledgements(self) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while self.courier.unacked:
            assert time.monotonic() < deadline_s
            self.listen(0.05)


def _published(directory: Path) -> list[int]:
    files = sorted((directory / "published").glob("*.jsonl"))
    lines = [json.loads(line) for path in files for line in path.read_bytes().splitlines()]
    assert all(line["dedupe_id"] == f"S/sample/b1/{EPOCH}/{line['seq']}" for line in lines)
    return [line["seq"] for line in lines]


def test_no_sample_is_missing_though_the_publisher_is_killed_under_load(tmp_path: Path) -> None:
    moments = random.Random(7)
    cell = ControlCell()
    for life in range(KILLS):
        with PublisherProcess(tmp_path, life + 1) as cell.publisher:
            cell.load(moments.randrange(100, 600))
    with PublisherProcess(tmp_path, KILLS + 1) as cell.publisher:
        cell.load(10)
        cell.wait_for_acknowledgements()
        cell.publisher.stop()

    published = _published(tmp_path)

    assert set(published) == set(range(1, cell.seq + 1))
    assert cell.courier.unacked.lost == 0
    assert list(dict.fromkeys(published)) == sorted(set(published))
    click.echo(f"{KILLS} kills, {cell.seq} samples, {len(published) - cell.seq} published twice")
