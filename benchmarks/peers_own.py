"""Our own polls of one device, as fast as it answers: link, decoding, judging, vitals and an encoded sample."""

from __future__ import annotations

import threading
import time

import msgspec

from actors.inverter.config import InverterConfig
from actors.inverter.io_loop import IoLoop
from actors.inverter.jobs import LinkChanged, LinkEvent, PollPart
from actors.inverter.link import Endpoint, ModbusLink
from actors.inverter.poll import PollBook
from actors.inverter.profile import Point, PollClass, Profile
from actors.inverter.profile_file import load_profile
from actors.messages import CODEC, LinkState
from supervision.clock import NS_PER_S, SystemClock

_EVERYTHING_DUE_NS = 3600 * NS_PER_S
"""Pretended time between two polls, so that every one carries the slow blocks too."""
_PATIENCE_S = 60.0
_WARM_POLLS = 5
"""What the device lacks is found out, and what is read once is read."""


class Cost(msgspec.Struct):
    """What each run took for one poll."""

    points: int
    """How many values came of a poll."""
    cpu_us: list[float]
    wall_ms: list[float]


class OwnPolls:
    """Polls everything again and again, as an InverterActor does."""

    def __init__(self, host: str, port: int, unit: int) -> None:
        """Connect and find out what the device has."""
        profile = load_profile("huawei_sun2000_luna2000")
        assert isinstance(profile, Profile)
        config = InverterConfig(
            device_id="d",
            host=host,
            port=port,
            unit_id=unit,
            profile=profile,
            gap_s=0.0,
            connect_delay_s=0.0,
        )
        endpoint = Endpoint(
            device_id="d",
            address=config.address(),
            unit_id=config.unit(),
            profile=profile,
            timing=config.timing(),
            max_registers=config.longest_read(),
        )
        self._profile = profile
        self._book = PollBook("d", 1, profile, extras=len(profile.points))
        self._begin_ns = 0
        self._happened = threading.Event()
        self.link = ModbusLink(endpoint, IoLoop(), SystemClock(), self._hear)
        self.link.start()
        self._wait()
        for number in range(_WARM_POLLS):
            self._poll(first=number == 0)

    def points(self) -> list[Point]:
        """Return the points that a poll brings a number for."""
        good = {reading.name for reading in self._book.readings() if reading.value is not None}
        return [
            point
            for block in self._profile.blocks
            if block.poll_class is not PollClass.ONCE
            for point in block.points
            if point.name in good
        ]

    def cost(self, runs: int, polls: int) -> Cost:
        """Return what a poll takes."""
        cpu_us, wall_ms = [], []
        for _ in range(runs):
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            for _ in range(polls):
                self._poll(first=False)
            cpu_us.append((time.process_time() - cpu_s) * 1e6 / polls)
            wall_ms.append((time.perf_counter() - wall_s) * 1e3 / polls)
        return Cost(len(self.points()), cpu_us, wall_ms)

    def _poll(self, *, first: bool) -> None:
        self._begin_ns += _EVERYTHING_DUE_NS
        job = self._book.begin(self._begin_ns, first=first)
        self._happened.clear()
        self.link.submit(msgspec.structs.replace(job, begin_ns=0))
        self._wait()

    def _wait(self) -> None:
        assert self._happened.wait(_PATIENCE_S)

    def _hear(self, event: LinkEvent) -> None:
        match event:
            case LinkChanged(state=LinkState.ONLINE):
                self._happened.set()
            case PollPart():
                self._book.take(event, time.time_ns())
                if event.safety:
                    CODEC.encode(self._book.vitals(event.mono_ns))
                if event.last:
                    CODEC.encode(self._book.sample(event.mono_ns))
                    self._happened.set()
            case _:
                pass
