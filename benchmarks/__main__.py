"""Run the benchmarks: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import importlib
import os
import platform
import sys

from benchmarks.figures import table

SUITES = (
    "codec",
    "decode",
    "guard",
    "request",
    "tracing",
    "peers",
    "lifecycle",
    "breach",
    "breach_fleet",
    "fleet",
    "neighbours",
    "spool",
    "backfill",
    "restored_link",
)


def main(names: list[str]) -> int:
    """Run the named suites, or all; return 1 if a figure misses its limit."""
    unknown = sorted(set(names) - set(SUITES))
    if unknown:
        print(f"no suite {', '.join(unknown)}; there are: {', '.join(SUITES)}")
        return 2
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n"
    )
    missed = False
    for name in names or SUITES:
        figures = importlib.import_module(f"benchmarks.{name}").run()
        print(f"## {name}\n\n{table(figures)}\n", flush=True)
        missed |= any(row.holds is False for row in figures)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
