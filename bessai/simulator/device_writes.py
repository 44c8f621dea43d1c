"""What a write of registers says, and why a device refuses one. Pure."""

from __future__ import annotations

from bessai.simulator.register_map import RegisterMap
from bessai.simulator.registers import RegisterType

ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3


class RefusedError(Exception):
    """The device answers a request with a Modbus exception."""

    def __init__(self, code: int) -> None:
        """Refuse with the exception `code`."""
        super().__init__(f"exception {code}")
        self.code = code


def decode_write(
    registers: RegisterMap, address: int, words: list[int]
) -> tuple[dict[str, float], dict[str, list[int]]]:
    """Return the numbers and the tables that a write names, by register.

    Raises:
        RefusedError: exception 2 for a hole or a read-only register, 3 for half a value.
    """
    end = address + len(words)
    if any(each not in registers.name_at for each in range(address, end)):
        raise RefusedError(ILLEGAL_ADDRESS)
    changes: dict[str, float] = {}
    tables: dict[str, list[int]] = {}
    while address < end:
        point = registers.at.get(address)
        if point is None or point.end > end:
            raise RefusedError(ILLEGAL_VALUE)
        if not point.writable:
            raise RefusedError(ILLEGAL_ADDRESS)
        offset = address - end + len(words)
        part = words[offset : offset + point.count]
        if point.type is RegisterType.MLD:
            tables[point.name] = part
        else:
            changes[point.name] = float(point.decode(part))
        address = point.end
    return changes, tables
