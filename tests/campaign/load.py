"""`python -m tests.campaign.load`: a publisher under load, which tells how much it has made durable.

It drives the real PublisherActor with samples as InverterActors send them. The first `accepted` samples of a run, in
the order in which they were given, are those that must arrive.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
import structlog

from actors.messages import DeviceSchema, PointInfo, PublisherStatus, Sample, inverter_address
from actors.publisher import actor as publisher
from actors.publisher.config import PublisherConfig
from bessai.testing import NotInTimeError, wait_for
from supervision.actor import Actor, StopReason
from supervision.clock import Clock, SystemClock
from supervision.envelope import Header, Lane

DEVICES = 8
SITE = "S"
POINTS = ("soc_pct", "battery_power_w", "battery_temperature_c", "grid_power_w")
_SAMPLES_PER_TURN = 40
_TURN_S = 0.02
_STATUS_S = 0.05


class Told(msgspec.Struct, frozen=True):
    """What a run says about itself, about every 50 ms."""

    epoch: int
    accepted: int
    delivered: int
    waiting: int
    fault: str
    notice: str
    rss_mb: float = 0.0


def device(number: int) -> str:
    return f"b{number % DEVICES}"


def sample(number: int, epoch: int, clock: Clock) -> Sample:
    """Return the sample that is given as number `number` of its run, counted from 0."""
    return Sample(
        device_id=device(number),
        schema_id=1,
        seq=number // DEVICES + 1,
        epoch=epoch,
        wall_ns=clock.wall_ns(),
        mono_ns=clock.monotonic_ns(),
        values=(50.0, -1200.5 + number, 25.25, 300.0 + number),
    )


def dedupe_id(number: int, epoch: int) -> str:
    return f"{SITE}/sample/{device(number)}/{epoch}/{number // DEVICES + 1}"


class Driver:
    """A PublisherActor, its context, and the samples that it is given."""

    name = "publisher"
    fenced = False

    def __init__(self, config: PublisherConfig, epoch: int, clock: Clock) -> None:
        self.clock = clock
        self.epoch = epoch
        self.given = 0
        self.status: PublisherStatus | None = None
        self.actor: Actor = publisher.build(msgspec.msgpack.encode(config))
        self.actor.on_start(self)
        for number in range(DEVICES):
            points = tuple(PointInfo(name, "") for name in POINTS)
            schema = DeviceSchema(device_id=device(number), schema_id=1, points=points)
            self.actor.on_message(schema, self._header(number))

    def give(self, count: int) -> None:
        for number in range(self.given, self.given + count):
            self.actor.on_message(sample(number, self.epoch, self.clock), self._header(number))
        self.given += count

    def turn(self) -> None:
        self.actor.on_tick()

    def stop(self) -> None:
        self.actor.on_stop(StopReason.SHUTDOWN)

    def send(
        self,
        message: msgspec.Struct,
        *_receivers: str,
        lane: Lane = Lane.TELEMETRY,
        ttl_s: float | None = None,
        trace: str = "",
    ) -> None:
        del lane, ttl_s, trace
        if isinstance(message, PublisherStatus):
            self.status = message

    def send_encoded(
        self, body: bytes, *_receivers: str, lane: Lane = Lane.TELEMETRY, trace: str = ""
    ) -> None:
        """Have nobody who sends what is encoded."""

    def post(self, event: object, *, urgent: bool = False) -> None:
        """Have nobody who posts."""

    def wake_at(self, mono_ns: int) -> None:
        """Be woken anyway."""

    def on_fence(self, release: object) -> None:
        """Never be fenced."""

    def start_cell(self, cell: str) -> None:
        """Have no cells."""

    def finish(self) -> None:
        """Be ended from outside."""

    def _header(self, number: int) -> Header:
        sender = inverter_address(device(number))
        return Header(receiver=self.name, sender=sender, epoch=self.epoch)


class Limits(NamedTuple):
    """How much a run gives, and whether it ends when nothing waits."""

    samples: int
    rate_hz: float


def run(config: PublisherConfig, epoch: int, limits: Limits) -> None:
    """Give samples until `limits.samples` are given, then go on until everything is delivered."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    publisher.STATUS_S = _STATUS_S  # type: ignore[misc]
    driver = Driver(config, epoch, SystemClock())
    pause = threading.Event()
    begin_s = time.monotonic()
    while True:
        due = int((time.monotonic() - begin_s) * limits.rate_hz)
        driver.give(max(0, min(limits.samples, due, driver.given + 2000) - driver.given))
        driver.turn()
        status = driver.status
        if status is not None:
            say(driver, status)
            driver.status = None
            if driver.given >= limits.samples and not status.waiting and status.spooling:
                break
        pause.wait(_TURN_S)
    driver.stop()


def say(driver: Driver, status: PublisherStatus) -> None:
    told = Told(
        driver.epoch,
        status.accepted,
        status.delivered,
        status.waiting,
        status.fault,
        status.notice,
        _rss_mb(),
    )
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Load:
    """A run as a process, killed or waited for."""

    def __init__(
        self, config: PublisherConfig, epoch: int, *, samples: int, rate_hz: float
    ) -> None:
        raw = msgspec.json.encode(config).decode()
        self._command = [sys.executable, "-m", "tests.campaign.load"]
        self._command += [raw, str(epoch), str(samples), str(rate_hz)]
        self.epoch = epoch
        self._log = Path(config.state_dir) / "load.log"
        self.last = Told(epoch, 0, 0, 0, "", "")

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=log)
        assert self.process.stdout is not None
        self._lines = self.process.stdout
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> int:
        """End it without warning; return how many samples it had said were durable."""
        self.process.kill()
        self.process.wait()
        self._reader.join(10.0)
        self._lines.close()
        return self.last.accepted

    def until_accepted(self, count: int, *, timeout_s: float = 60.0) -> None:
        self._until(f"{count} accepted", lambda told: told.accepted >= count, timeout_s)

    def until_delivered(self, count: int, *, timeout_s: float = 60.0) -> None:
        self._until(f"{count} delivered", lambda told: told.delivered >= count, timeout_s)

    def until_fault(self, text: str, *, timeout_s: float = 60.0) -> None:
        self._until(f"fault {text}", lambda told: text in told.fault, timeout_s)

    def until_done(self, *, timeout_s: float = 120.0) -> int:
        """Wait for everything to be delivered; return how many samples were durable."""
        self.process.wait(timeout_s)
        self._reader.join(10.0)
        assert self.process.returncode == 0
        return self.last.accepted

    def expected(self) -> Iterator[str]:
        """Yield the keys of what it had said was durable."""
        return (dedupe_id(number, self.epoch) for number in range(self.last.accepted))

    def _until(self, what: str, holds: Callable[[Told], bool], timeout_s: float) -> None:
        def there() -> bool:
            assert self.process.poll() is None or holds(self.last), self._log.read_text()
            return holds(self.last)

        try:
            wait_for(what, there, timeout_s=timeout_s)
        except NotInTimeError as error:
            raise NotInTimeError(f"{error}; it says {self.last}") from None

    def _read(self) -> None:
        for line in self._lines:
            if line.endswith(b"\n"):
                self.last = msgspec.json.decode(line, type=Told)


if __name__ == "__main__":
    run(
        msgspec.json.decode(sys.argv[1], type=PublisherConfig),
        int(sys.argv[2]),
        Limits(int(sys.argv[3]), float(sys.argv[4])),
    )
