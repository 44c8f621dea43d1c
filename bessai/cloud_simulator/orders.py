"""What a running server or relay is told through its standard input: one JSON object per line, each answered by one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec

from bessai.cloud_simulator.faults import Fault
from bessai.cloud_simulator.tokens import TokenState


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The first line that a process prints."""

    port: int
    token_url: str = ""


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change; what is None stays."""

    fault: Fault | None = None
    clear: bool = False
    """Whether all faults that were ordered end."""
    reject: str | None = None
    """Refuse messages that contain this text; empty refuses none."""
    token: TokenState | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answers."""

    published: int = 0


def obey(decoder: msgspec.json.Decoder[Any], carry_out: Callable[[Any], msgspec.Struct]) -> None:
    """Carry out one order after another until standard input ends, as it does when whoever started us is gone."""
    for line in sys.stdin.buffer:
        say(carry_out(decoder.decode(line)))


def say(message: msgspec.Struct) -> None:
    """Print `message` as a line."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()
