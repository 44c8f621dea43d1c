"""Where a block may be cut that a device does not read at once: between values, never through a number."""

from __future__ import annotations

from actors.inverter.profile import Block, PointType, Profile


class Cuts:
    """Cuts the blocks of one profile for a device that reads fewer registers than others of its kind."""

    def __init__(self, profile: Profile, max_registers: int) -> None:
        """Make no part longer than `max_registers`, unless one value is."""
        self._max_registers = max_registers
        self._inside = frozenset(address for block in profile.blocks for address in _inside(block))

    def parts(self, address: int, count: int) -> list[tuple[int, int]]:
        """Return address and length of the reads that make up `count` registers from `address`."""
        parts: list[tuple[int, int]] = []
        end = address + count
        while address < end:
            cut = self._cut(address, end)
            parts.append((address, cut - address))
            address = cut
        return parts

    def _cut(self, start: int, end: int) -> int:
        cut = latest = min(start + self._max_registers, end)
        while cut in self._inside and cut > start and cut < end:
            cut -= 1
        if cut > start:
            return cut
        cut = latest
        while cut in self._inside and cut < end:
            cut += 1
        return cut


def _inside(block: Block) -> set[int]:
    """Return the addresses that no part may begin with: inside of numbers, and between one and its power of ten."""
    scales = block.scales()
    inside: set[int] = set()
    for point in block.points:
        if point.type is PointType.STR:
            continue  # a name does not change between two requests
        ends = [(point.address, point.address + point.count)]
        if point.scale_point:
            scale = scales[point.scale_point]
            ends.append((scale.address, scale.address + scale.count))
        inside |= set(range(min(ends)[0] + 1, max(end for _, end in ends)))
    return inside
