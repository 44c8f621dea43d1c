"""Starting the simulator as a process of its own, and waiting for what it does."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Generator

import msgspec

from bessai.simulator.site import Ready


@contextlib.contextmanager
def started(*arguments: str) -> Generator[tuple[subprocess.Popen[bytes], Ready]]:
    """Start the simulator on free ports and wait for its own word that it listens."""
    command = [sys.executable, "-m", "bessai.simulator", "--json", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process, msgspec.json.decode(process.stdout.readline(), type=Ready)
        finally:
            process.terminate()
            process.wait(timeout=10)


def settings(*values: str) -> list[str]:
    """Return `values` as options of the command."""
    return [word for value in values for word in ("--set", value)]


def until(condition: Callable[[], bool], what: str, *, within_s: float = 5.0) -> None:
    """Poll `condition` until it holds; fail after `within_s`."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        time.sleep(0.005)
