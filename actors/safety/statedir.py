"""The state directory: that it can be written, and that one gateway owns it.

Root holds the lock of `lock_state_dir` as long as the gateway runs, so a tool that changes latches cannot run
beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

LOCK_NAME = "gateway.lock"


class StateDirError(Exception):
    """The state directory cannot be used; the message names it and the fix."""


class GatewayRunningError(StateDirError):
    """Another process owns the state directory."""


def check_state_dir(state_dir: Path) -> None:
    """Make `state_dir` if it is missing, and prove that a file in it can be written durably.

    Raises:
        StateDirError: it cannot.
    """
    probe = state_dir / f".probe-{os.getpid()}"
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        with probe.open("wb") as file:
            file.write(b"probe")
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
        sync_folder(state_dir)
    except OSError as error:
        raise StateDirError(
            f"state_dir = {str(state_dir)!r} cannot be written: {error};"
            " name a folder that the gateway's user may write"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def lock_state_dir(state_dir: Path) -> Generator[None, None, None]:
    """Own `state_dir` for the length of a `with` block; the system frees it if the process dies.

    Raises:
        GatewayRunningError: another process owns it.
        StateDirError: the lock file cannot be opened.
    """
    path = state_dir / LOCK_NAME
    try:
        file = path.open("ab")
    except OSError as error:
        raise StateDirError(
            f"{path} cannot be opened: {error}; name a state_dir that this user may write"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise GatewayRunningError(
                f"state_dir = {str(state_dir)!r} is in use by a running gateway;"
                " stop it first, or name another state_dir"
            ) from error
        yield
