"""Which requests a poll is made of: what is due, what exists, and what a device has of a block only in part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.inverter.errors import IllegalAddressError, LinkError
from actors.inverter.jobs import BlockRef
from actors.inverter.profile import Block, PollClass, Profile
from actors.inverter.reading import NEVER, Readings, Trial
from actors.inverter.values import Values
from supervision.clock import NS_PER_S

EXTRAS = 2
"""How many slow blocks and blocks read once a poll carries at most."""
_BEHIND_NS = 5 * NS_PER_S
"""A block that is this late, or was never read, may come with another one; the others come alone. The devices of a site
begin together: if each read all that is slow in a few polls, they would all do so at the same time."""

_SPREAD = frozenset({PollClass.SLOW, PollClass.ONCE})


class Schedule:
    """The requests for the blocks of a profile, and how it stands with them on this connection."""

    def __init__(self, profile: Profile, readings: Readings, extras: int) -> None:
        """Begin with all of `readings` due; a poll carries at most `extras` that are not of every poll."""
        self._profile = profile
        self.readings = readings
        self._extras = extras
        self._absent_ns = int(profile.slow_s * NS_PER_S)
        if "waited" not in profile.memo:
            profile.memo["waited"] = _waited_for(profile)
        self._waited: frozenset[str] = profile.memo["waited"]
        self._trials: list[Trial] = []
        self._begin_ns = 0
        self._extra: list[int] = []
        """Those that are read now and then, in the order in which they are due."""
        self._left: list[int] = []
        """Those of them that were asked for, or put off, in the last poll."""
        self._arrange()

    def renew(self) -> None:
        """Forget what another connection may answer differently."""
        self._trials.clear()
        self._left.clear()
        self.readings.renew()
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
        self._line_up_again()
        due: list[int] = []
        unclear: list[int] = []
        looked_at = 0
        due_ns = self.readings.due_ns
        behind_ns = max(self._begin_ns - _BEHIND_NS, 0)  # 0: never read
        for number in self._extra:
            late = due_ns[number] <= behind_ns
            if due_ns[number] > self._begin_ns or len(due) >= (self._extras if late else 1):
                break
            looked_at += 1
            if self._is_due(number, values):
                due.append(number)
            elif due_ns[number] <= self._begin_ns:
                unclear.append(number)
                continue
            self._left.append(number)
        if looked_at:
            self._extra = unclear + self._extra[looked_at:]
        return due

    def _line_up_again(self) -> None:
        """Put what left the line back: at the end if it is due later, since all of them wait equally long."""
        if self._left:
            due_ns, begin_ns = self.readings.due_ns, self._begin_ns
            unanswered = [number for number in self._left if due_ns[number] <= begin_ns]
            later = [number for number in self._left if begin_ns < due_ns[number] < NEVER]
            self._extra = unanswered + self._extra + later
            self._left.clear()

    def answered(self, number: int, words: Sequence[int], values: Values) -> bool:
        """Take the answer to a request; return whether a string is new."""
        readings = self.readings
        news = not readings.heard(number)
        readings.answered(number, self._begin_ns, well=True)
        texts = values.take(readings.requests[number], words)
        readings.keep(number, words)
        if news and number in self._first:
            self._arrange()
        self._conclude(number, values, refused=False)
        return texts

    def refused(self, number: int, error: LinkError, reason: str, values: Values) -> None:
        """Take the error that answers a request."""
        readings, request = self.readings, self.readings.requests[number]
        block = request.block
        readings.answered(number, self._begin_ns, well=False)
        readings.fail(number, reason)
        values.mark(request.places, reason)
        if number in self._first:
            readings.due_ns[number] = 0  # safety waits for it
        missing = isinstance(error, IllegalAddressError)
        if missing and block.optional:
            readings.drop(number)
            values.absent |= frozenset(point.name for point in block.points)
            self._arrange()
        elif missing and not readings.is_part(number) and Trial.worth(block):
            readings.drop(number)
            self._trials.append(Trial(self._profile, block, lambda part: self._add(part, values)))
            self._arrange()
        self._conclude(number, values, refused=missing)

    def _arrange(self) -> None:
        """Sort the requests by when they are asked for."""
        self._first: list[int] = []
        self._safety: list[int] = []
        self._fast: list[int] = []
        extra: list[int] = []
        for number, request in enumerate(self.readings.requests):
            if not self.readings.gone(number):
                self._group(number, request.block, extra).append(number)
        due_ns, left = self.readings.due_ns, set(self._left)
        waiting = [number for number in extra if number not in left and due_ns[number] < NEVER]
        self._extra = sorted(waiting, key=due_ns.__getitem__)
        self._left = [number for number in self._left if number in extra]

    def _group(self, number: int, block: Block, extra: list[int]) -> list[int]:
        match block.poll_class:
            case PollClass.SAFETY:
                return self._safety
            case PollClass.FAST:
                return self._fast
            case PollClass.SLOW | PollClass.ONCE:
                waited = block.name in self._waited and not self.readings.heard(number)
                return self._first if waited else extra

    def _due(self, numbers: Iterable[int], values: Values) -> list[int]:
        return [number for number in numbers if self._is_due(number, values)]

    def _is_due(self, number: int, values: Values) -> bool:
        readings = self.readings
        if readings.due_ns[number] > self._begin_ns:
            return False
        request = readings.requests[number]
        condition = request.block.only_if
        if condition is None:
            return True
        holds = values.holds(condition)
        if holds:
            readings.obstacles.pop(number, None)
            return True
        obstacle = values.obstacle(condition)
        if obstacle != readings.obstacles.get(number):
            values.mark(request.places, obstacle)
            readings.obstacles[number] = obstacle
        if holds is False and request.block.poll_class in _SPREAD:
            readings.due_ns[number] = self._begin_ns + self._absent_ns
        return False

    def _refs(self, numbers: list[int]) -> tuple[BlockRef, ...]:
        requests = self.readings.requests
        return tuple([requests[number].ask for number in numbers])

    def _add(self, block: Block, values: Values) -> int:
        """Add a request for a part of a block."""
        names = [point.name for point in block.points if point.name in values.places]
        return self.readings.add(self._profile, block, values.places[names[0]] if names else 0)

    def _conclude(self, number: int, values: Values, *, refused: bool) -> None:
        """Where the last point of a trial has answered, read what is there in runs."""
        if not self._trials:
            return
        for trial in [trial for trial in self._trials if number in trial.parts]:
            if not trial.heard(number, refused=refused):
                continue
            self._trials.remove(trial)
            for part in trial.parts:
                self.readings.drop(part)
            for run in trial.runs():
                self.readings.answered(self._add(run, values), self._begin_ns, well=True)
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
