"""Where records go: the seam every sink stands behind."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from actors.publisher.record import Record


class Delivery(NamedTuple):
    """What became of a batch. What is in neither is sent again."""

    acknowledged: Collection[int]
    """Indices in the batch that the peer has durably taken."""
    rejected: Mapping[int, str] = MappingProxyType({})
    """Indices that the peer refuses because of what they are (malformed, too large), each with its reason."""
    fault: str = ""
    """Why the rest was not taken now, or empty."""


class SinkError(Exception):
    """A sink cannot take records now; the message names the place and the fix."""


class Sink(Protocol):
    """Takes records in order. What it acknowledged it keeps; what it did not is sent again."""

    @property
    def name(self) -> str:
        """What kind of sink it is: `file`, `pubsub` or `mqtt`."""
        ...

    def send(self, batch: Sequence[Record]) -> Delivery:
        """Send `batch` and return what became of it.

        A sink that sends in a thread of its own may tell nothing while an attempt is under way, and tell it at a later
        call that brings the same records.

        Raises:
            SinkError: nothing of the batch is known to be taken. Some of it may nevertheless arrive.
        """
        ...

    def close(self) -> None:
        """Release what is open."""
        ...
