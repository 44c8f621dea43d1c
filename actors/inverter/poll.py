"""Collects the answers of one poll after another into vitals and samples: pure."""

from __future__ import annotations

import zlib

from actors.inverter.decode import BlockPlan
from actors.inverter.jobs import ReadJob
from actors.inverter.profile import VITAL_POINTS, Block, PollClass, Profile
from actors.inverter.write import LiveLimits
from actors.messages import DeviceSchema, PointInfo, Quality, Sample, Vitals


class PollBook:
    """The last known value, quality and reason of every point, and what the running poll still waits for."""

    def __init__(self, device_id: str, epoch: int, profile: Profile) -> None:
        """Begin with nothing read, for the incarnation `epoch`."""
        self._device_id = device_id
        self._epoch = epoch
        self._blocks = _in_poll_order(profile)
        self._plans = tuple(BlockPlan(profile, block) for block in self._blocks)
        points = [point for block in self._blocks for point in block.points]
        self._places = {point.name: place for place, point in enumerate(points)}
        self._names = tuple(point.name for point in points)
        self._starts = _starts(self._blocks)
        self._values: list[float | None] = [None] * len(points)
        self._quality = bytearray([Quality.MISSING]) * len(points)
        self._reasons = ["not read yet"] * len(points)
        self._vital_places = {
            name: self._places[name] for name in VITAL_POINTS if name in self._places
        }
        self._forced_place = self._places[profile.write.forced_point]
        self._forced_values = frozenset(profile.write.forced_values)
        self._safety = {
            index
            for index, block in enumerate(self._blocks)
            if block.poll_class is PollClass.SAFETY
        }
        self._waiting: set[int] = set()
        self._wall_ns = 0
        self.seq = 0
        self.schema = _schema(
            device_id, tuple(PointInfo(point.name, point.unit) for point in points)
        )

    @property
    def running(self) -> bool:
        """Whether blocks of the last poll are still to come."""
        return bool(self._waiting)

    def completes_safety(self, index: int) -> bool:
        """Return whether block `index`, which just came or failed, was the last safety block that was missing."""
        return index in self._safety and not self._safety & self._waiting

    def begin(self, wall_ns: int, *, first: bool) -> tuple[ReadJob, ...]:
        """Begin a poll and return its reads, safety first; `first` says that it is the first on a connection."""
        self.seq += 1
        self._wall_ns = wall_ns
        jobs: list[ReadJob] = []
        for index, block in enumerate(self._blocks):
            if block.poll_class is PollClass.ONCE and not first:
                continue
            obstacle = self._obstacle(block)
            if obstacle:
                self._mark(index, obstacle)
            else:
                jobs.append(ReadJob(self.seq, index, block.address, block.count))
        self._waiting = {job.block for job in jobs}
        return tuple(jobs)

    def arrived(self, poll: int, index: int, words: list[int]) -> bool:
        """Take the words of a block; return whether they belong to the running poll."""
        if poll != self.seq or index not in self._waiting:
            return False
        self._waiting.discard(index)
        decoded = self._plans[index].decode(words)
        start = self._starts[index]
        end = start + len(decoded.values)
        self._values[start:end] = decoded.values
        self._quality[start:end] = bytes(len(decoded.values))
        for offset, reason in decoded.reasons.items():
            self._quality[start + offset] = Quality.INVALID
            self._reasons[start + offset] = reason
        return True

    def failed(self, poll: int, index: int, reason: str) -> bool:
        """Take the failure of a block; return whether it belongs to the running poll."""
        if poll != self.seq or index not in self._waiting:
            return False
        self._waiting.discard(index)
        self._mark(index, reason)
        return True

    def disconnected(self, wall_ns: int, reason: str) -> None:
        """Make everything stale: a poll that reached nobody."""
        self.seq += 1
        self._wall_ns = wall_ns
        self._waiting.clear()
        for index in range(len(self._blocks)):
            self._mark(index, reason)

    def vitals(self, mono_ns: int) -> Vitals:
        """Return what safety decides on; only what was read in this poll is a number."""
        good = {name: self._good(place) for name, place in self._vital_places.items()}
        faults = [
            f"{name}: {self._reasons[self._vital_places[name]]}"
            for name, value in good.items()
            if value is None
        ]
        forced = self._good(self._forced_place)
        if forced is None:
            faults.append(f"{self._names[self._forced_place]}: {self._reasons[self._forced_place]}")
        return Vitals(
            device_id=self._device_id,
            seq=self.seq,
            epoch=self._epoch,
            wall_ns=self._wall_ns,
            mono_ns=mono_ns,
            forced=None if forced is None else forced in self._forced_values,
            faults=tuple(faults),
            **good,
        )

    def limits(self) -> LiveLimits:
        """Return the device's own limits as read in this poll."""
        return LiveLimits(
            self._good(self._vital_places["max_charge_w"]),
            self._good(self._vital_places["max_discharge_w"]),
        )

    def sample(self, mono_ns: int) -> Sample:
        """Return every point."""
        return Sample(
            device_id=self._device_id,
            schema_id=self.schema.schema_id,
            seq=self.seq,
            epoch=self._epoch,
            wall_ns=self._wall_ns,
            mono_ns=mono_ns,
            values=tuple(self._values),
            quality=bytes(self._quality) if any(self._quality) else b"",
        )

    def readings(self) -> list[tuple[str, str, float | None, str]]:
        """Return name, unit, value and, where there is no good value, the reason of every point."""
        return [
            (
                info.name,
                info.unit,
                self._values[place],
                self._reasons[place] if self._quality[place] else "",
            )
            for place, info in enumerate(self.schema.points)
        ]

    def _good(self, place: int) -> float | None:
        return self._values[place] if self._quality[place] == Quality.GOOD else None

    def _obstacle(self, block: Block) -> str:
        condition = block.only_if
        if condition is None:
            return ""
        value = self._values[self._places[condition.point]]
        if value == condition.equals:
            return ""
        return f"not read: {condition.point} is {'unknown' if value is None else f'{value:g}'}"

    def _mark(self, index: int, reason: str) -> None:
        """Keep old values as stale, call the others missing."""
        start = self._starts[index]
        for place in range(start, start + len(self._blocks[index].points)):
            self._quality[place] = Quality.MISSING if self._values[place] is None else Quality.STALE
            self._reasons[place] = reason


def _in_poll_order(profile: Profile) -> tuple[Block, ...]:
    order = (PollClass.SAFETY, PollClass.ONCE, PollClass.REST)
    return tuple(sorted(profile.blocks, key=lambda block: order.index(block.poll_class)))


def _starts(blocks: tuple[Block, ...]) -> tuple[int, ...]:
    starts = [0]
    for block in blocks:
        starts.append(starts[-1] + len(block.points))
    return tuple(starts)


def _schema(device_id: str, points: tuple[PointInfo, ...]) -> DeviceSchema:
    text = "\n".join(f"{point.name} {point.unit}" for point in points)
    return DeviceSchema(device_id=device_id, schema_id=zlib.crc32(text.encode()), points=points)
