"""What one task sleeps on: as an `asyncio.Event`, whose queue for many sleepers would take most of a link's memory."""

from __future__ import annotations

import asyncio


class Wake:
    """Belongs to one loop, and to the one task on it that waits."""

    __slots__ = ("_raised", "_sleeper")

    def __init__(self) -> None:
        """Begin with nothing to wake for."""
        self._raised = False
        self._sleeper: asyncio.Future[None] | None = None

    def set(self) -> None:
        """End the present wait, and every one until `clear`."""
        self._raised = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def clear(self) -> None:
        """Have the next wait wait."""
        self._raised = False

    async def wait(self) -> None:
        """Wait until set."""
        if not self._raised:
            self._sleeper = asyncio.get_running_loop().create_future()
            try:
                await self._sleeper
            finally:
                self._sleeper = None
