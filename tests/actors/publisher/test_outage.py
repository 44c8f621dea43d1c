"""A day without the cloud, on an injected clock, with a wall clock that jumps meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.publisher.config import PublisherConfig
from actors.publisher.drain import LIVE_S
from actors.publisher.outbox import RETRY_S, Outbox
from actors.publisher.record import Record, RecordLane
from actors.publisher.sinks import Delivery, SinkError
from supervision.clock import ManualClock
from tests.actors.publisher.records import number_of, record

DEVICES = ("b1", "b2", "b3")
PERIOD_S = 150.0
DAY_S = 86_400


class Cloud:
    """Takes what it is sent while it is there."""

    name = "cloud"

    def __init__(self) -> None:
        self.there = False
        self.taken: list[Record] = []

    def send(self, batch: Sequence[Record]) -> Delivery:
        if not self.there:
            raise SinkError("the cloud is away")
        self.taken += batch
        return Delivery(range(len(batch)))

    def close(self) -> None:
        """Have nothing to release."""


class Site:
    """Three devices that are read every few minutes, and an event now and then."""

    def __init__(self, directory: Path) -> None:
        self.clock = ManualClock()
        self.cloud = Cloud()
        config = PublisherConfig(site_id="S", state_dir=str(directory), reserve_mb=0)
        self.outbox = Outbox(config, self.cloud, self.clock)
        self.number = 0

    def cycle(self) -> None:
        for device in DEVICES:
            self.number += 1
            lane = RecordLane.EVENT if self.number % 500 == 0 else RecordLane.TELEMETRY
            self.outbox.accept(record(self.number, device_id=device, lane=lane, size=100))
        self.clock.advance(PERIOD_S)
        self.outbox.turn()


def test_nothing_is_missing_or_twice_after_a_day_without_the_cloud(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for cycle in range(int(DAY_S / PERIOD_S)):
        site.cycle()
        if cycle % 140 == 70:
            site.clock.jump_wall(-3_600 if cycle % 280 == 70 else 7_200)
    assert site.outbox.status().waiting == site.number

    site.cloud.there = True
    site.clock.advance(RETRY_S)
    while site.outbox.status().waiting:
        site.outbox.turn()
        site.clock.advance(0.2)

    taken = [number_of(each.body) for each in site.cloud.taken]
    assert sorted(taken) == list(range(1, site.number + 1))
    site.outbox.close()


def test_what_comes_after_the_outage_does_not_wait_behind_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for _ in range(400):
        site.cycle()
    site.clock.advance(LIVE_S)
    site.cloud.there = True
    site.outbox.accept(record(100_001))
    site.outbox.accept(record(100_002, lane=RecordLane.EVENT))
    site.clock.advance(LIVE_S / 2)
    site.outbox.commit()
    site.outbox.turn()

    taken = [number_of(each.body) for each in site.cloud.taken]
    events = [n for n in range(1, site.number + 1) if n % 500 == 0]
    live_first = taken[len(events) + 1]
    assert taken[: len(events) + 1] == [*events, 100_002]
    assert live_first == 100_001
    site.outbox.close()


def test_each_devices_back_fill_is_in_order(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for _ in range(400):
        site.cycle()
    site.cloud.there = True
    site.clock.advance(LIVE_S)
    while site.outbox.status().waiting:
        site.outbox.turn()
        site.clock.advance(0.2)

    samples = [each for each in site.cloud.taken if each.lane is RecordLane.TELEMETRY]
    for device in DEVICES:
        numbers = [number_of(each.body) for each in samples if each.device_id == device]
        assert numbers == sorted(numbers)
    site.outbox.close()
