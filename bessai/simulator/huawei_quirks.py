"""What these devices do with some reads, beyond having a register or not."""

from __future__ import annotations

METER = range(37101, 37139)
"""Closes the connection when it is read while the meter is offline (37100 is 0), as users report."""
TOGETHER = (range(35300, 35304), range(35304, 35308))
"""Registers that the document wants in one read; that a part of them answers exception 2 is an assumption."""


class HangUpError(Exception):
    """The device closes the connection instead of answering."""


def apart(address: int, count: int) -> bool:
    """Tell whether a read of `count` registers from `address` takes a part of what must be read together."""
    end = address + count
    if address >= TOGETHER[-1].stop or end <= TOGETHER[0].start:
        return False
    return any(
        address < block.stop
        and end > block.start
        and not (address <= block.start and block.stop <= end)
        for block in TOGETHER
    )


def touches_meter(address: int, count: int) -> bool:
    """Tell whether a read of `count` registers from `address` asks for what the meter measures."""
    return address < METER.stop and address + count > METER.start
