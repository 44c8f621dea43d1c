"""One end of the socket pair between root and a cell.

Writing never blocks: frames wait in bounded lanes until the socket takes them. Any thread may `send`; only the
loop that owns the link reads and flushes.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections.abc import Callable

from supervision.envelope import BrokenLinkError, Frame, FrameReader, pack
from supervision.lanes import Lanes

READ_BYTES = 1 << 16
"""Read per turn, so that one talkative link cannot keep the loop from the others."""
_WRITE_BYTES = 1 << 16


class LinkClosedError(Exception):
    """The other end is gone, or what it sends cannot be trusted."""


class Waker:
    """Wakes a selector loop from other threads."""

    def __init__(self) -> None:
        """Open an event descriptor."""
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._awake = False

    def fileno(self) -> int:
        """Return the descriptor to select on."""
        return self._fd

    def wake(self) -> None:
        """Make the loop's `select` return; cheap when it has not slept since the last call."""
        if not self._awake:
            self._awake = True
            os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        """Note that the loop is awake; to be called before it looks for work."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._fd)
        self._awake = False

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)


class Link:
    """Frames over a stream socket."""

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_work: Callable[[], None] = lambda: None,
        control_per_sender: int = 1024,
        telemetry: int = 4096,
    ) -> None:
        """Own `sock`; `on_work` is called when there is something to flush."""
        sock.setblocking(False)
        self.sock = sock
        self.on_work = on_work
        self._reader = FrameReader()
        self._lanes = Lanes(control_per_sender=control_per_sender, telemetry=telemetry)
        self._lock = threading.Lock()
        self._unsent = memoryview(b"")
        self.closed = False

    @property
    def dropped(self) -> int:
        """How many frames this end dropped or refused so far."""
        return self._lanes.dropped + self._lanes.refused

    def send(self, frame: Frame) -> bool:
        """Queue `frame`; return False if it was refused because its sender floods."""
        with self._lock:
            taken = self._lanes.put(frame)
        self.on_work()
        return taken

    def wants_to_write(self) -> bool:
        """Return whether the socket is full and something waits."""
        return bool(self._unsent) or len(self._lanes) > 0

    def interest(self) -> int:
        """Return the selector events this link waits for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.wants_to_write() else 0)

    def flush(self) -> None:
        """Write what the socket takes now.

        Raises:
            LinkClosedError: the other end is gone.
        """
        try:
            while self._unsent or self._refill():
                sent = self.sock.send(self._unsent)
                self._unsent = self._unsent[sent:]
        except BlockingIOError:
            return
        except OSError as error:
            msg = f"cannot write: {error}"
            raise LinkClosedError(msg) from error

    def receive(self) -> list[Frame]:
        """Return the frames that arrived.

        Raises:
            LinkClosedError: the other end is gone or does not send frames.
        """
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            msg = f"cannot read: {error}"
            raise LinkClosedError(msg) from error
        if not data:
            msg = "the other end closed the link"
            raise LinkClosedError(msg)
        try:
            return self._reader.feed(data)
        except BrokenLinkError as error:
            raise LinkClosedError(str(error)) from error

    def last_words(self) -> list[Frame]:
        """Return what a process that has ended left unread.

        The end of the stream is not waited for: a child of that process may hold the link open.
        """
        frames: list[Frame] = []
        with contextlib.suppress(OSError, BrokenLinkError):
            while data := self.sock.recv(READ_BYTES):
                frames += self._reader.feed(data)
        return frames

    def close(self) -> None:
        """Close the socket."""
        self.closed = True
        self.sock.close()

    def _refill(self) -> bool:
        chunks: list[bytes] = []
        size = 0
        with self._lock:
            while size < _WRITE_BYTES and (frame := self._lanes.pop()) is not None:
                chunk = pack(frame)
                chunks.append(chunk)
                size += len(chunk)
        self._unsent = memoryview(b"".join(chunks))
        return bool(chunks)
