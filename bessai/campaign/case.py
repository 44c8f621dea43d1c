"""What the record says of one device, for its judge. Pure."""

from __future__ import annotations

import bisect

from bessai.campaign.excuse import NS, Excuses
from bessai.campaign.record import Truth
from bessai.campaign.served import Lie, Served, served
from bessai.campaign.terms import Terms
from bessai.simulator.record import WriteRecord

_LATE_FACTOR = 3
"""A truth that comes after more than so many of its intervals shows that the machine did not get on."""


class Case:
    """One device: its truths and writes in order of time, its lies and its excuses."""

    def __init__(
        self,
        *,
        terms: Terms,
        truths: list[Truth],
        writes: list[WriteRecord],
        lies: list[Lie],
        excuses: Excuses,
    ) -> None:
        self.terms = terms
        self.truths = truths
        self.writes = writes
        self.excuses = excuses
        self._lies = lies
        self._times = [truth.mono_ns for truth in truths]
        self._late_ns = [0]
        """Time lost until each truth."""
        usual_ns = int(NS / terms.truth_hz)
        for before, after in zip(self._times, self._times[1:], strict=False):
            gap_ns = after - before
            lost_ns = gap_ns - usual_ns if gap_ns > _LATE_FACTOR * usual_ns else 0
            self._late_ns.append(self._late_ns[-1] + lost_ns)

    def seen(self, truth: Truth) -> Served:
        """Return what clients could read at the time of `truth`."""
        return served(truth, self._lies)

    def window(self, from_ns: int, to_ns: int) -> list[Truth]:
        """Return the truths from the last one before `from_ns` to the first one after `to_ns`.

        What changed between two truths may have been served already. There are none if the record begins later.
        """
        first = bisect.bisect_right(self._times, from_ns) - 1
        after = bisect.bisect_right(self._times, to_ns) + 1
        return [] if first < 0 else self.truths[first:after]

    def lost_s(self, from_ns: int, to_ns: int) -> float:
        """Return how many seconds between two moments the machine did not get on, as the gaps of the truth show."""
        first = max(bisect.bisect_right(self._times, from_ns) - 1, 0)
        last = min(bisect.bisect_left(self._times, to_ns), len(self._times) - 1)
        return (self._late_ns[last] - self._late_ns[first]) / NS if last > first else 0.0
