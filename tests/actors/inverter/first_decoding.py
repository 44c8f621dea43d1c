"""Decodes one configuration for the first time in its process from several threads at once; see test_config.py."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from actors.inverter.config import decode_config

THREADS = 8
SWITCH_INTERVAL_S = 1e-6


def main() -> None:
    """Read the two parts from the files that are named."""
    own, profile = (Path(name).read_bytes() for name in sys.argv[1:])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    together = threading.Barrier(THREADS)
    found: list[object] = []

    def decode() -> None:
        together.wait()
        found.append(decode_config(own, profile).profile)

    threads = [threading.Thread(target=decode) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each is found[0] for each in found] == [True] * THREADS


if __name__ == "__main__":
    main()
