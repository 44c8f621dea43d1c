"""Where records go: the seam every sink stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from actors.publisher.encode import Record


class SinkError(Exception):
    """A sink cannot take records now; the message names the place and the fix."""


class Sink(Protocol):
    """Takes records in order. What it acknowledged it keeps; what it did not is sent again."""

    @property
    def name(self) -> str:
        """What kind of sink it is: `file`, ..."""
        ...

    def send(self, batch: Sequence[Record]) -> int:
        """Send `batch` and return how many, from its start, are acknowledged.

        Raises:
            SinkError: nothing can be sent now. Some of the batch may nevertheless arrive.
        """
        ...

    def close(self) -> None:
        """Release what is open."""
        ...
