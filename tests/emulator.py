"""Google's own Pub/Sub emulator, where its jar and a Java are on this machine: a second opinion, never the only one."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bessai.testing import free_port, wait_for

_PLACES = ("/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk", "/snap/google-cloud-cli")
_NAME = "platform/pubsub-emulator/lib/cloud-pubsub-emulator*.jar"


def find_jar() -> Path | None:
    """Return the emulator's jar, or None if it or Java is missing."""
    if shutil.which("java") is None:
        return None
    return next((jar for place in _PLACES for jar in Path(place).glob(_NAME)), None)


@contextmanager
def running_emulator(jar: Path) -> Generator[str]:
    """Start the emulator on a free port and give its address."""
    port = free_port()
    process = subprocess.Popen(
        ["java", "-Xmx256m", "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            return False
        return True

    try:
        wait_for("the emulator listens", listens, timeout_s=30.0)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
