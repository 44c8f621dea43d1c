"""A poll that a link is reading: what is to be asked next, and the parts that become complete."""

from __future__ import annotations

from collections.abc import Sequence

from actors.inverter.errors import LinkError
from actors.inverter.jobs import BlockAnswer, BlockRef, PollJob, PollPart


class RunningPoll:
    """The blocks of one poll that are still to be read, and the answers of the present part."""

    def __init__(self, job: PollJob) -> None:
        """Begin `job`."""
        self.begin_ns = job.begin_ns
        self.began_ns = 0
        self._number = job.poll
        self._refs = (*job.safety, *job.rest)
        self._safety = len(job.safety)
        """So many of them are safety blocks."""
        self._at = 0
        self._answers: list[BlockAnswer] = []

    @property
    def next(self) -> BlockRef:
        """The block to be asked for."""
        return self._refs[self._at]

    @property
    def over(self) -> bool:
        """Whether every block has been answered."""
        return self._at == len(self._refs)

    def answered(
        self, words: Sequence[int] | None, error: LinkError | None, mono_ns: int
    ) -> PollPart | None:
        """Take the answer to `next`; return the part that it completes, if any."""
        self._answers.append(BlockAnswer(self.next.block, words, error))
        self._at += 1
        if not (self.over or self._at == self._safety):
            return None
        answers, self._answers = tuple(self._answers), []
        return PollPart(
            poll=self._number,
            answers=answers,
            safety=self._at <= self._safety,
            last=self.over,
            began_ns=self.began_ns or mono_ns,
            mono_ns=mono_ns,
        )
