"""The table of facts about the registers of SUN2000 and LUNA2000, from the manufacturer's document and its peers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parent / "data" / "huawei_registers.csv"


class Row(NamedTuple):
    address: int
    registers: int
    type: str
    gain: float
    unit: str
    access: str
    note: str


def rows() -> dict[int, Row]:
    """Return the table by address, with the registers that it describes by a formula."""
    found = {}
    with TABLE.open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            row = Row(
                int(line["address"]),
                int(line["count"]),
                line["type"],
                float(line["gain"]),
                line["unit"],
                line["access"],
                line["note"],
            )
            found[row.address] = row
    repeated = [
        *((address, 2, 24) for address in (32016, 32017)),
        (32212, 2, 10),
        (37920, 1, 6),
        (47750, 1, 6),
        *((38200 + offset, 42, 6) for offset in (0, 10, 28, 29, 33, 35, 36, 38, 40)),
        *((address, 2, 6) for address in (38452, 38453)),
    ]
    for first, stride, times in repeated:
        for number in range(times):
            address = first + stride * number
            found[address] = found[first]._replace(address=address)
    return found


ROWS = rows()
