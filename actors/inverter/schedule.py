"""Which requests a poll is made of: what is due, what exists, and what a device has of a block only in part."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from actors.inverter.errors import IllegalAddressError, LinkError
from actors.inverter.jobs import BlockRef
from actors.inverter.profile import Block, PollClass, Profile
from actors.inverter.reading import Reading, Trial
from actors.inverter.values import Values
from supervision.clock import NS_PER_S

EXTRAS = 2
"""How many slow blocks and blocks read once a poll carries at most."""


_SPREAD = frozenset({PollClass.SLOW, PollClass.ONCE})


class Schedule:
    """The requests for the blocks of a profile, and how it stands with them on this connection."""

    def __init__(self, profile: Profile, readings: list[Reading], extras: int) -> None:
        """Begin with all of `readings` due; a poll carries at most `extras` that are not of every poll."""
        self._profile = profile
        self.readings = readings
        self._originals = len(readings)
        self._extras = extras
        self._absent_ns = int(profile.slow_s * NS_PER_S)
        self._waited = _waited_for(profile)
        self._trials: list[Trial] = []
        self._begin_ns = 0
        self._asks = [self._ask(number) for number in range(len(readings))]
        """What asks for each reading."""
        self._arrange()

    def renew(self) -> None:
        """Forget what another connection may answer differently."""
        del self.readings[self._originals :], self._asks[self._originals :]
        self._trials.clear()
        for reading in self.readings:
            reading.renew()
        self._arrange()

    def due(
        self, begin_ns: int, values: Values
    ) -> tuple[tuple[BlockRef, ...], tuple[BlockRef, ...]]:
        """Return what a poll at `begin_ns` asks for: the safety blocks, and the rest."""
        self._begin_ns = begin_ns
        safety = [*self._due(self._first, values), *self._due(self._safety, values)]
        rest = [*self._due(self._fast, values), *self._due_extras(values)]
        return self._refs(safety), self._refs(rest)

    def _due_extras(self, values: Values) -> list[int]:
        """Return the few slow blocks that are due longest; those that are not due are not even looked at."""
        due: list[int] = []
        seen: list[tuple[int, int]] = []
        heap = self._extra
        while heap and heap[0][0] <= self._begin_ns and len(due) < self._extras:
            _, number = heapq.heappop(heap)
            reading = self.readings[number]
            if self._is_due(reading, values):
                due.append(number)
            seen.append((reading.due_ns, number))
        for entry in seen:
            heapq.heappush(heap, entry)
        return due

    def answered(self, number: int, words: Sequence[int], values: Values) -> bool:
        """Take the answer to a request; return whether a string is new."""
        reading = self.readings[number]
        news = not reading.heard
        reading.answered(self._begin_ns, well=True)
        reading.keep(words)
        texts = values.take(reading, words)
        if news and number in self._first:
            self._arrange()
        self._conclude(number, values, refused=False)
        return texts

    def refused(self, number: int, error: LinkError, reason: str, values: Values) -> None:
        """Take the error that answers a request."""
        reading = self.readings[number]
        reading.answered(self._begin_ns, well=False)
        reading.fail(reason)
        values.mark(reading.places, reason)
        if number in self._first:
            reading.due_ns = 0  # safety waits for it
        missing = isinstance(error, IllegalAddressError)
        if missing and reading.block.optional:
            reading.gone = True
            values.absent |= {point.name for point in reading.block.points}
            self._arrange()
        elif missing and not reading.part and Trial.worth(reading.block):
            reading.gone = True
            self._trials.append(
                Trial(self._profile, reading.block, lambda block: self._add(block, values))
            )
            self._arrange()
        self._conclude(number, values, refused=missing)

    def _arrange(self) -> None:
        """Sort the requests by when they are asked for."""
        self._first: list[int] = []
        self._safety: list[int] = []
        self._fast: list[int] = []
        extra: list[int] = []
        for number, reading in enumerate(self.readings):
            if not reading.gone:
                self._group(reading, extra).append(number)
        self._extra = [(self.readings[number].due_ns, number) for number in extra]
        """A heap by when they are due, or were when they were last looked at: it is never later than that."""
        heapq.heapify(self._extra)

    def _group(self, reading: Reading, extra: list[int]) -> list[int]:
        match reading.block.poll_class:
            case PollClass.SAFETY:
                return self._safety
            case PollClass.FAST:
                return self._fast
            case PollClass.SLOW | PollClass.ONCE:
                waited = reading.block.name in self._waited and not reading.heard
                return self._first if waited else extra

    def _due(self, numbers: Iterable[int], values: Values) -> list[int]:
        return [number for number in numbers if self._is_due(self.readings[number], values)]

    def _is_due(self, reading: Reading, values: Values) -> bool:
        if reading.due_ns > self._begin_ns:
            return False
        condition = reading.block.only_if
        if condition is None:
            return True
        holds = values.holds(condition)
        obstacle = "" if holds else values.obstacle(condition)
        if obstacle and obstacle != reading.obstacle:
            values.mark(reading.places, obstacle)
        reading.obstacle = obstacle
        if holds is False and reading.block.poll_class in _SPREAD:
            reading.due_ns = self._begin_ns + self._absent_ns
        return holds is True

    def _refs(self, numbers: list[int]) -> tuple[BlockRef, ...]:
        return tuple([self._asks[number] for number in numbers])

    def _ask(self, number: int) -> BlockRef:
        """Return what asks for a reading: one object for all devices that share a profile."""
        block = self.readings[number].block
        key = ("ask", number, block.address, block.count)
        ask: BlockRef = self._profile.memo.setdefault(
            key, BlockRef(number, block.address, block.count)
        )
        return ask

    def _add(self, block: Block, values: Values) -> int:
        """Add a request for a part of a block."""
        names = [point.name for point in block.points if point.name in values.places]
        start = values.places[names[0]] if names else 0
        self.readings.append(Reading(self._profile, block, start, part=True))
        self._asks.append(self._ask(len(self._asks)))
        return len(self.readings) - 1

    def _conclude(self, number: int, values: Values, *, refused: bool) -> None:
        """Where the last point of a trial has answered, read what is there in runs."""
        if not self._trials:
            return
        for trial in [trial for trial in self._trials if number in trial.parts]:
            if not trial.heard(number, refused=refused):
                continue
            self._trials.remove(trial)
            for part in trial.parts:
                self.readings[part].gone = True
            for run in trial.runs():
                self.readings[self._add(run, values)].answered(self._begin_ns, well=True)
            self._arrange()


def _waited_for(profile: Profile) -> frozenset[str]:
    """Return the slow blocks that safety or a first command waits for: a new connection reads them with safety's."""
    homes = profile.homes
    safety = [block for block in profile.blocks if block.poll_class is PollClass.SAFETY]
    conditions = [
        condition
        for block in safety
        for condition in (block.only_if, *(point.only_if for point in block.points))
    ]
    names = [condition.point for condition in conditions if condition is not None]
    names += [requirement.point for requirement in profile.write.requires]
    return frozenset(homes[name].name for name in names)
