"""What an InverterActor asks of its link and what the link tells it: objects that stay inside one incarnation."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from actors.inverter.errors import LinkError
from actors.inverter.profile import Profile
from actors.messages import LinkState, WriteResult


class RegisterWords(msgspec.Struct, frozen=True, gc=False):
    """Words to be written to, or expected at, consecutive registers."""

    name: str
    address: int
    words: tuple[int, ...]
    settle_s: float = 0.0
    """Silence after it was written, before the next request."""
    tolerance: int = 0
    """By how much the number read back may differ."""
    little: bool = False
    """Whether the least significant word comes first."""
    before: tuple[int, ...] = ()
    """What must still be there when it is to be written, or nothing: a register in flash is not changed by mistake."""

    def agrees(self, words: Sequence[int]) -> bool:
        """Return whether what was read back is what was written, within the tolerance."""
        if len(words) != len(self.words):
            return False
        circle = 1 << 16 * len(words)
        gap = (self._number(words) - self._number(self.words)) % circle
        return min(gap, circle - gap) <= self.tolerance

    def _number(self, words: Sequence[int]) -> int:
        ordered = reversed(words) if self.little else words
        return functools.reduce(lambda number, word: number << 16 | word, ordered, 0)


class BlockRef(msgspec.Struct, frozen=True):
    """One block to be read."""

    block: int
    """Index in the book that asks."""
    address: int
    count: int


class PollJob(msgspec.Struct, frozen=True):
    """Read these blocks in order: answered by one part for the safety blocks and one for the rest."""

    poll: int
    safety: tuple[BlockRef, ...]
    rest: tuple[BlockRef, ...]
    begin_ns: int = 0
    """Monotonic time before which it is not begun: the link keeps the pace, so that no thread wakes for it."""


class WriteJob(msgspec.Struct, frozen=True, kw_only=True):
    """Write a sequence in order, then read back."""

    number: int
    safe: bool
    """Goes before everything else and drops every other write."""
    steps: tuple[RegisterWords, ...]
    checks: tuple[RegisterWords, ...]
    expires_ns: int = 0
    """Monotonic time after which no step is begun; 0 means never."""


class LinkChanged(msgspec.Struct, frozen=True):
    """The link is in another state."""

    state: LinkState
    reason: str = ""
    model: str = ""
    serial: str = ""
    profile: Profile | None = None
    """By which the device is read and commanded; None until it was recognised."""


class BlockAnswer(msgspec.Struct, frozen=True):
    """What became of one block: its words, or why there are none."""

    block: int
    words: Sequence[int] | None = None
    error: LinkError | None = None


class PollPart(msgspec.Struct, frozen=True, kw_only=True):
    """The safety blocks of a poll are through, or the rest is: two hand-offs a poll, however many blocks it has."""

    poll: int
    answers: tuple[BlockAnswer, ...]
    safety: bool
    """Whether these are the safety blocks."""
    last: bool
    """Whether nothing more of this poll will come."""
    began_ns: int
    """When the first block of the poll was asked for."""
    mono_ns: int
    """When the last of the answers came."""


class WriteDone(msgspec.Struct, frozen=True):
    """How a write job ended."""

    number: int
    result: WriteResult
    detail: str
    mono_ns: int


class LinkCrashed(msgspec.Struct, frozen=True):
    """The link itself failed in a way it does not know: its actor must not go on."""

    error: str


LinkEvent = LinkChanged | LinkCrashed | PollPart | WriteDone
