"""Who answers at a device's address, and how that is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from actors.inverter.profile import Profile

Read = Callable[[int, int], Awaitable[list[int]]]
"""Returns `count` registers from `address`, as `Wire.read` does."""


class Found(msgspec.Struct, frozen=True):
    """Who answered."""

    model: str
    serial: str
    firmware: str
    profile: Profile
    """How it is read and commanded: the profile that it was recognised by, or the one that was compiled for it."""
