"""What the commands tell a shell."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

FAILED = 1
MISUSED = 2
UNUSABLE = 3
REFUSED = 4

EXIT_CODES = """\b
Exit codes:
  0  done, or stopped in order
  1  something failed while running
  2  the command line or the configuration is wrong
  3  something outside cannot be used: a device, a port, the state directory
  4  the gateway refused the order"""


def fail(code: int, message: str) -> NoReturn:
    """Say why, and exit with `code`."""
    click.echo(f"bessai: {message}", err=True)
    sys.exit(code)
