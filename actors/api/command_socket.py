"""The way in for people on this machine: a Unix socket that takes one line, and answers one.

A thread of its own reads lines and hands them to the actor; whoever sends too much, too slowly or in too great a number
is cut. It knows nothing of what the lines mean.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from actors.api.people import People, Person
from supervision.clock import Clock

SOCKET_NAME: Final = "command.sock"
MAX_LINE_BYTES: Final = 4096
MAX_PEERS: Final = 16
"""Beyond it connections are closed at once."""
PATIENCE_S: Final = 5.0
"""How long a line may take to come."""


class CommandSocketError(Exception):
    """The socket cannot be made; the message names it and the fix."""


class Asked(msgspec.Struct, frozen=True, eq=False):
    """A line, who sent it, and where the answer goes."""

    person: Person
    line: bytes
    peer: socket.socket

    def reply(self, line: bytes) -> None:
        """Answer, and hang up; a peer that went away or does not read misses it."""
        with contextlib.suppress(OSError):
            self.peer.send(line, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        self.peer.close()


class Listening(NamedTuple):
    """A socket, and the name it has in the file system."""

    sock: socket.socket
    path: Path
    inode: int
    """Tells the name from that of a later socket at the same place."""

    def close(self) -> None:
        """Listen no more, and take the name away unless it is another's by now."""
        self.sock.close()
        with contextlib.suppress(OSError):  # the name is gone already, or the folder
            if self.path.stat().st_ino == self.inode:
                self.path.unlink()


def listen(state_dir: Path, group: str) -> Listening:
    """Return a socket that listens under `state_dir`, for its owner, and for `group` if one is named.

    It gets its name only when its mode is right, and takes the place of one that an earlier process left behind. The
    folder is reached by descriptor, because the path of a Unix socket may not be longer than 107 bytes.

    Raises:
        CommandSocketError: the folder cannot be written, or the group is not known.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fresh, path = state_dir / f".{SOCKET_NAME}.{os.getpid()}", state_dir / SOCKET_NAME
    try:
        fresh.unlink(missing_ok=True)
        with reach(state_dir) as short:
            listener.bind(f"{short}/{fresh.name}")
        if group:
            shutil.chown(fresh, group=group)
        fresh.chmod(0o660 if group else 0o600)
        listener.listen(MAX_PEERS)
        listener.setblocking(False)
        inode = fresh.stat().st_ino
        fresh.rename(path)
    except (OSError, LookupError) as error:
        listener.close()
        raise CommandSocketError(
            f"{path} cannot be listened on: {error}; name a state_dir and an api.command_group that exist"
        ) from error
    return Listening(listener, path, inode)


@contextlib.contextmanager
def reach(folder: Path) -> Generator[str, None, None]:
    """Give a short path to `folder` for the length of a `with` block."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class _Peer:
    """A connection whose line is not complete."""

    def __init__(self, sock: socket.socket, person: Person, until_s: float) -> None:
        self.sock = sock
        self.person = person
        self.until_s = until_s
        self.line = b""


class CommandSocket:
    """Serves `listen`'s socket, which it closes."""

    def __init__(
        self,
        listening: Listening,
        people: People,
        clock: Clock,
        on_line: Callable[[Asked], None],
    ) -> None:
        """Have `on_line` called, on a thread of this socket's own, with each line that came."""
        self._listening = listening
        self._people = people
        self._clock = clock
        self._on_line = on_line
        self._peers: dict[int, _Peer] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="api commands", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def release(self) -> None:
        """Stop serving, soon; does not block, from any thread, as often as one likes."""
        with contextlib.suppress(OSError):  # it has ended already
            self._wake.close()

    def stop(self, patience_s: float = 1.0) -> bool:
        """Stop serving; return whether the thread has ended."""
        self.release()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._selector.register(self._listening.sock, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ)
        try:
            while self._turn():
                pass
        finally:
            self._listening.close()
            self._woken.close()
            for peer in self._peers.values():
                peer.sock.close()
            self._selector.close()

    def _turn(self) -> bool:
        """Serve who is ready; return False once it is time to stop."""
        for key, _ in self._selector.select(PATIENCE_S / 5):
            if key.fileobj is self._woken:
                return False
            key.data()
        now_s = self._clock.monotonic_s()
        for peer in [peer for peer in self._peers.values() if now_s >= peer.until_s]:
            self._forget(peer)
            peer.sock.close()
        return True

    def _accept(self) -> None:
        try:
            sock, _ = self._listening.sock.accept()
        except OSError:
            return  # who knocked has gone, or there are no descriptors left: the next one may come in
        try:
            person = self._people.at(sock)
        except OSError:
            sock.close()
            return
        if len(self._peers) >= MAX_PEERS:
            sock.close()
            return
        sock.setblocking(False)
        peer = _Peer(sock, person, self._clock.monotonic_s() + PATIENCE_S)
        self._peers[sock.fileno()] = peer
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._read(peer))

    def _read(self, peer: _Peer) -> None:
        try:
            data = peer.sock.recv(MAX_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        peer.line += data
        line, end, _ = peer.line.partition(b"\n")
        if data and not end and len(peer.line) <= MAX_LINE_BYTES:
            return
        self._forget(peer)
        if end and len(line) <= MAX_LINE_BYTES:
            self._on_line(Asked(peer.person, line, peer.sock))
        else:
            peer.sock.close()

    def _forget(self, peer: _Peer) -> None:
        del self._peers[peer.sock.fileno()]
        self._selector.unregister(peer.sock)
