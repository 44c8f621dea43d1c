"""What a device is believed to follow, and what is being written to it: the memory of `CommandDesk`."""

from __future__ import annotations

import msgspec

from actors.inverter.flash import Settles


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The power that the device is believed to follow."""

    seq: int
    power_w: float
    until_ns: int
    renew_ns: int
    """When it must be written again; 0 while it is uncertain."""

    @property
    def settled(self) -> bool:
        """Whether the device is known to follow nothing, so that nothing can run out."""
        return self.power_w == 0 and self.renew_ns > 0


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A write job that has not been answered yet, and the commands that it answers."""

    safe: bool
    seqs: tuple[int, ...]
    power_w: float = 0.0
    until_ns: int = 0
    wrote: bool = True
    """Whether it writes, and so starts the device's countdown again."""
    note: str = ""
    """What its outcome is told with."""
    settles: Settles | None = None
    """What is then known of registers in flash."""
    zero: bool = False
    """Whether it leaves the battery forced to rest, instead of ending forced power."""
    ended: bool = False
    """Whether a safe command came after it: whatever it does, it is not held."""
