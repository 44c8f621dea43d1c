"""What an InverterActor asks of its link and what the link tells it: objects that stay inside one incarnation."""

from __future__ import annotations

import msgspec

from actors.messages import LinkState, WriteResult


class RegisterWords(msgspec.Struct, frozen=True):
    """Words to be written to, or expected at, consecutive registers."""

    name: str
    address: int
    words: tuple[int, ...]


class ReadJob(msgspec.Struct, frozen=True):
    """Read one block as part of a poll."""

    poll: int
    block: int
    """Index in the profile."""
    address: int
    count: int


class WriteJob(msgspec.Struct, frozen=True, kw_only=True):
    """Write a sequence in order, then read back."""

    number: int
    safe: bool
    """Goes before everything else and drops every other write."""
    steps: tuple[RegisterWords, ...]
    checks: tuple[RegisterWords, ...]
    expires_ns: int = 0
    """Monotonic time after which no step is begun; 0 means never."""


class LinkChanged(msgspec.Struct, frozen=True):
    """The link is in another state."""

    state: LinkState
    reason: str = ""
    model: str = ""
    serial: str = ""


class BlockRead(msgspec.Struct, frozen=True):
    """A block was answered."""

    poll: int
    block: int
    words: list[int]
    mono_ns: int


class BlockFailed(msgspec.Struct, frozen=True):
    """A block was not answered, or with an exception."""

    poll: int
    block: int
    reason: str
    mono_ns: int


class WriteDone(msgspec.Struct, frozen=True):
    """How a write job ended."""

    number: int
    result: WriteResult
    detail: str
    mono_ns: int


class LinkCrashed(msgspec.Struct, frozen=True):
    """The link itself failed in a way it does not know: its actor must not go on."""

    error: str


LinkEvent = LinkChanged | LinkCrashed | BlockRead | BlockFailed | WriteDone
