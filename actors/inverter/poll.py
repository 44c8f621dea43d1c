"""Collects the answers of one poll after another into vitals and samples: pure, times are passed in.

Safety blocks and fast ones are read in every poll. Slow ones and those read once are spread: a poll carries no more
than `EXTRAS` of them, so that none is much longer than another. A block whose condition does not hold is not asked for,
and what the device answers with "no such register" although it may lack it is not asked for again on this connection.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

from actors.inverter.doubts import Doubt, Doubts
from actors.inverter.errors import DeviceError, IllegalAddressError, told
from actors.inverter.jobs import PollJob, PollPart
from actors.inverter.plausibility_book import Checkup, PlausibilityBook
from actors.inverter.point_reading import PointReading, point_readings, schema_of
from actors.inverter.profile import VITAL_POINTS, PollClass, Profile
from actors.inverter.reading import Readings, requests_of
from actors.inverter.schedule import EXTRAS, Schedule
from actors.inverter.values import Values
from actors.inverter.vitals import Unit, gather, gather_grid, grid_units_of, units_of
from actors.inverter.write import LiveLimits, LiveState
from actors.messages import Sample, TextInfo, Vitals


class PollBook:
    """The last known value, quality and reason of every point, and what the running poll still waits for."""

    def __init__(
        self, device_id: str, epoch: int, profile: Profile, *, extras: int = EXTRAS
    ) -> None:
        """Begin with nothing read, for the incarnation `epoch`; a poll carries at most `extras` slow blocks."""
        self._device_id = device_id
        self._epoch = epoch
        self._profile = profile
        self._points = profile.points
        requests = requests_of(profile)
        points = [point for request in requests for point in request.plan.points]
        self._values = Values(profile, points)
        self._schedule = Schedule(profile, Readings(requests), extras)
        self._units = units_of(profile, self._values.places)
        self._grid_units = grid_units_of(profile, self._values.places)
        self._lacking = tuple(name for name in VITAL_POINTS if name not in self._units)
        limits = ("max_charge_w", "max_discharge_w")
        self._limit_units = {name: self._units[name] for name in limits if name in self._units}
        self._limits: LiveLimits | None = None
        """As of the last answers; None until somebody wants to know."""
        self._forced_place = self._values.places[profile.write.forced_point]
        self._forced_values = profile.write.forced_values
        self._judges = _judges(profile, tuple(self._values.places))
        self._persistent = [
            (step, number)
            for step in profile.write.hold
            for number, request in enumerate(requests)
            if step.persistent and 0 <= step.address - request.block.address < request.block.count
        ]
        self._waiting: list[int] = []  # a handful: a set takes six times as much
        self._wall_ns = self._complete_ns = 0
        self._doubts = Doubts(profile.memo.setdefault("names", tuple(self._values.places)))
        self.seq = 0
        self.schema = schema_of(device_id, profile, points)

    @property
    def running(self) -> bool:
        """Whether blocks of the last poll are still to come."""
        return bool(self._waiting)

    def begin(self, begin_ns: int, *, first: bool) -> PollJob:
        """Return the reads of the next poll, for `begin_ns`; `first` says that it is the first on a connection."""
        if first:
            self._limits = None
            self._values.renew()
            self._schedule.renew()
        self.seq += 1
        safety, rest = self._schedule.due(begin_ns, self._values)
        self._waiting = [ref.block for ref in (*safety, *rest)]
        return PollJob(self.seq, safety, rest, begin_ns)

    def take(self, part: PollPart, wall_ns: int) -> bool:
        """Take answers of the poll that runs since `wall_ns`; return whether they belong to it."""
        if part.poll != self.seq or not self._waiting:
            return False
        self._wall_ns = wall_ns
        self._limits = None
        for answer in part.answers:
            if answer.block in self._waiting:
                self._waiting.remove(answer.block)
            if answer.error is not None:
                reason = sys.intern(told(answer.error, self._profile.login))
                self._schedule.refused(answer.block, answer.error, reason, self._values)
            elif self._schedule.answered(answer.block, answer.words or [], self._values):
                texts = tuple(TextInfo(name, text) for name, text in self._values.texts.items())
                self.schema = msgspec.structs.replace(self.schema, texts=texts)
        self._judge(part)
        if part.last:
            self._complete_ns = part.mono_ns
        return True

    def refusals(self, part: PollPart) -> list[tuple[DeviceError, str]]:
        """Return what the device refused, with the reason; not what it may lack, or is asked for to find that out."""
        found: list[tuple[DeviceError, str]] = []
        for answer in part.answers:
            error = answer.error
            if not isinstance(error, DeviceError):
                continue
            readings, number = self._schedule.readings, answer.block
            optional = readings.requests[number].block.optional
            may_lack = optional or readings.is_part(number) or readings.gone(number)
            if not (may_lack and isinstance(error, IllegalAddressError)):
                found.append((error, told(error, self._profile.login)))
        return found

    def watched(self, part: PollPart) -> list[tuple[int, Sequence[int]]]:
        """Return address and words of every block that `part` brought and that has watched registers."""
        requests = self._schedule.readings.requests
        return [
            (requests[answer.block].block.address, answer.words)
            for answer in part.answers
            if answer.words is not None and requests[answer.block].watched
        ]

    def disconnected(self, wall_ns: int, reason: str) -> None:
        """Make everything stale: a poll that reached nobody."""
        self.seq += 1
        self._wall_ns = wall_ns
        self._limits = None
        self._waiting.clear()
        self._values.mark(range(len(self._values.values)), reason)

    def vitals(self, mono_ns: int) -> Vitals:
        """Return what safety decides on; only what was read in this poll is a number, or of the grid in the last."""
        numbers, faults = gather(self._units, self._look)
        grid, grid_faults, absent = gather_grid(self._grid_units, self._look)
        faults += grid_faults
        forced = self._values.good(self._forced_place)
        if forced is None:
            why = self._values.reasons[self._forced_place]
            faults.append(f"{self._profile.write.forced_point}: {why}")
        return Vitals(
            device_id=self._device_id,
            seq=self.seq,
            epoch=self._epoch,
            wall_ns=self._wall_ns,
            mono_ns=mono_ns,
            forced=None if forced is None else forced in self._forced_values,
            faults=tuple(faults),
            grid_mono_ns=self._complete_ns,
            absent=(*self._lacking, *absent),
            **numbers,
            **grid,
        )

    def limits(self) -> LiveLimits:
        """Return the device's own limits as read in this poll, and what its profile requires before a write."""
        if self._limits is None:
            numbers, _ = gather(self._limit_units, self._look)
            self._limits = LiveLimits(
                numbers.get("max_charge_w"),
                numbers.get("max_discharge_w"),
                {each.point: self._state(each.point) for each in self._profile.write.requires},
                self._persistent_words(),
            )
        return self._limits

    def _persistent_words(self) -> dict[int, tuple[int, ...]]:
        """Return what the registers in flash that a hold changes held when last read on this connection."""
        found: dict[int, tuple[int, ...]] = {}
        for step, number in self._persistent:
            readings = self._schedule.readings
            start = step.address - readings.requests[number].block.address
            words = tuple(readings.words(number)[start : start + step.type.registers])
            if readings.heard(number) and len(words) == step.type.registers:
                found[step.address] = words
        return found

    def sample(self, mono_ns: int) -> Sample:
        """Return every number."""
        quality = self._values.quality
        return Sample(
            device_id=self._device_id,
            schema_id=self.schema.schema_id,
            seq=self.seq,
            epoch=self._epoch,
            wall_ns=self._wall_ns,
            mono_ns=mono_ns,
            values=tuple(self._values.values),
            quality=bytes(quality) if any(quality) else b"",
        )

    def doubts(self, now_ns: int) -> list[Doubt]:
        """Return of which points the last poll was not believed any more, and of which it was again."""
        return self._doubts.take(self._values.quality, self._values.reasons, now_ns)

    @property
    def doubted(self) -> int:
        """Values that were not believed so far."""
        return self._doubts.counted

    def readings(self) -> list[PointReading]:
        """Return every point as it was last read, with its registers."""
        return point_readings(self._profile, self.schema, self._schedule.readings, self._values)

    def _judge(self, part: PollPart) -> None:
        """Make invalid what is implausible: before safety is told what concerns it, at the end of a poll the rest."""
        values = self._values
        for judge in (*self._judges[0][: part.safety], *self._judges[1][: part.last]):
            for place, reason in judge.check(values.values, part.mono_ns, values.quality).items():
                values.refuse(place, reason)

    def _look(self, unit: Unit) -> tuple[float | None, str]:
        """Return a unit's value and, where there is none, why; the reason is empty where there is no such unit."""
        values, place = self._values, unit.place
        for condition in unit.conditions:
            if values.holds(condition) is False:
                return None, ""
        value = values.good(place)
        return (value, "") if value is not None else (None, values.reasons[place])

    def _state(self, name: str) -> LiveState:
        """Return what was last read of a point on this connection; one failed read does not make it unknown."""
        values, place = self._values, self._values.places[name]
        readings = self._schedule.readings
        heard = any(
            place in request.places and readings.heard(number)
            for number, request in enumerate(readings.requests)
        )
        return LiveState(
            address=self._points[name].address,
            value=values.values[place] if heard else None,
            absent=name in values.absent,
            reason=values.reasons[place],
        )


def _judges(
    profile: Profile, names: tuple[str, ...]
) -> tuple[list[PlausibilityBook], list[PlausibilityBook]]:
    """Return what judges the safety blocks, and what judges the whole poll: one book each, or none."""
    if "checkups" not in profile.memo:
        profile.memo["checkups"] = _checkups(profile, names)
    first, last = ([PlausibilityBook(each) for each in some] for some in profile.memo["checkups"])
    return first, last


def _checkups(profile: Profile, names: tuple[str, ...]) -> tuple[list[Checkup], list[Checkup]]:
    safety = {
        point.name
        for block in profile.blocks
        if block.poll_class is PollClass.SAFETY
        for point in block.points
    }
    first, last = (
        [Checkup(spec, names)] if any(spec.rules()) else []
        for spec in profile.plausibility.split(safety)
    )
    return first, last
