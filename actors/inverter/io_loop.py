"""One uvloop thread for all links of a process: it does I/O and nothing else.

The thread is started when the first link needs it and is a daemon: it never keeps a process alive. It notes twice a
second that it still turns, so that actors notice when it does not.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvloop

_BEAT_S = 0.5
_STALLED_AFTER_S = 5.0
_SUSPECT_FOR_S = 1.0
"""How long it must go on looking stalled, so that a machine that slept is not mistaken for it."""

_log = structlog.get_logger()


class IoLoopStalledError(Exception):
    """The I/O thread does not turn any more: every link of the process is blind."""


class IoLoop:
    """A daemon thread that runs an event loop."""

    def __init__(
        self, *, stalled_after_s: float = _STALLED_AFTER_S, suspect_for_s: float = _SUSPECT_FOR_S
    ) -> None:
        """Start the thread; it counts as stalled after so many seconds without a turn, looked at for so long."""
        self._stalled_after_s = stalled_after_s
        self._suspect_for_s = suspect_for_s
        self._loop = uvloop.new_event_loop()
        self._loop.set_exception_handler(_report)
        self._beat_s = time.monotonic()
        self._suspect_s: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="modbus-io", daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Have `function(*arguments)` called on the loop; may be called from any thread."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `coroutine` as a task; to be called on the loop. The loop keeps the task alive."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def stalled(self) -> bool:
        """Return whether the thread has not turned for seconds, or is gone."""
        if not self._thread.is_alive():
            return True
        now_s = time.monotonic()
        if now_s - self._beat_s < self._stalled_after_s:
            self._suspect_s = None
            return False
        self._suspect_s = self._suspect_s or now_s
        return now_s - self._suspect_s > self._suspect_for_s

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._beat)
        self._loop.run_forever()

    def _beat(self) -> None:
        self._beat_s = time.monotonic()
        self._loop.call_later(_BEAT_S, self._beat)


def _report(_loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
    error = details.get("exception")
    _log.warning(
        "modbus io", message=details.get("message", ""), error=repr(error) if error else ""
    )


_lock = threading.Lock()
_shared: IoLoop | None = None


def shared_loop() -> IoLoop:
    """Return the loop that all links of this process share; a stalled one is replaced."""
    global _shared  # noqa: PLW0603 - one per process is the point
    with _lock:
        if _shared is None or _shared.stalled():
            _shared = IoLoop()
        return _shared
