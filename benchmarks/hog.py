"""An actor that burns the processor in pure Python, for measuring what a neighbour costs."""

from __future__ import annotations

from typing import Any

from supervision.actor import Actor
from supervision.envelope import Header


class Hog(Actor):
    """Never returns from its first tick."""

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - as in Actor
        """Ignore everything."""

    def on_tick(self) -> None:
        """Burn."""
        while True:
            pass


def build(_config: bytes) -> Hog:
    """Return a hog."""
    return Hog()
