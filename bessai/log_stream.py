"""A stream that keeps nobody waiting: what is written to it is kept, and a thread of its own passes it on.

Whoever reads the log may stop reading: a full pipe, a stopped collector, a busy disk. A process that waits for it
would stand still with its actors, and with the limits that they keep.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from typing import TextIO

KEEP_CHARS = 4 << 20
"""What is kept while nobody reads; then new lines are dropped, and counted. Some ten thousand lines."""
FLUSH_S = 1.0
"""How long a process that ends waits for its last lines to be taken."""
_AT_ONCE = 100


class LogStream(io.TextIOBase):
    """In the place of standard error. Thread-safe; writing never blocks and never fails."""

    def __init__(
        self,
        stream: TextIO,
        tell_dropped: Callable[[int], None] = lambda _count: None,
        *,
        keep_chars: int = KEEP_CHARS,
    ) -> None:
        """Pass everything on to `stream`; `tell_dropped` is told how many writes were dropped, when it is over."""
        self._stream = stream
        self._tell_dropped = tell_dropped
        self._keep_chars = keep_chars
        self._texts: deque[str] = deque()
        self._chars = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._busy = False
        self._thread: threading.Thread | None = None

    def write(self, text: object) -> int:
        """Keep `text` until it is passed on, or drop it if too much is kept already.

        Raises:
            TypeError: it is no text.
        """
        if not isinstance(text, str):
            msg = f"a log takes text, not {type(text).__name__}"
            raise TypeError(msg)
        with self._changed:
            if self._chars + len(text) > self._keep_chars:
                self._dropped += 1
                return len(text)
            self._texts.append(text)
            self._chars += len(text)
            if self._thread is None:
                self._thread = threading.Thread(target=self._pass_on, name="log", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Wait until everything is passed on, but not for long: whoever reads may have stopped."""
        with self._changed:
            self._changed.wait_for(lambda: not (self._texts or self._busy), FLUSH_S)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """How the stream behind it turns text into bytes."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        """What the stream behind it does with what it cannot encode."""
        return self._stream.errors

    def writable(self) -> bool:
        """Return True: it takes text."""
        return True

    def isatty(self) -> bool:
        """Return whether a terminal shows it."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream behind it."""
        return self._stream.fileno()

    def _pass_on(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._texts)
                texts = [self._texts.popleft() for _ in range(min(_AT_ONCE, len(self._texts)))]
                self._busy = True
            try:
                self._stream.write("".join(texts))
                self._stream.flush()
            except (OSError, ValueError):
                pass  # there is nobody left who could be told
            with self._changed:
                self._chars -= sum(len(text) for text in texts)
                dropped, self._dropped = self._dropped, 0
            if dropped:
                self._tell_dropped(dropped)


class Unflushed(io.TextIOBase):
    """The same stream for loggers, which flush after every line: they need not wait."""

    def __init__(self, stream: LogStream) -> None:
        """Write to `stream`."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`."""
        return self._stream.write(text)

    def flush(self) -> None:
        """Do nothing."""
