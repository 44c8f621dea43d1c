"""What it costs to decode 100 points of one block, beside a call of pymodbus' own conversion for each point."""

from __future__ import annotations

from typing import cast

from pymodbus.client.mixin import ModbusClientMixin

from actors.inverter.decode import BlockPlan
from actors.inverter.profile import Block, Point, PointType, PollClass, Profile
from actors.inverter.profile_file import load_profile
from benchmarks.figures import Figure, figure, repeat_us

POINTS = 100
LIMIT_US = 40.0


def run() -> list[Figure]:
    """Measure; about three seconds."""
    points = tuple(_point(index) for index in range(POINTS))
    count = points[-1].address + points[-1].count
    block = Block(name="b", address=0, count=count, poll_class=PollClass.FAST, points=points)
    profile = load_profile("huawei_sun2000_luna2000")
    assert isinstance(profile, Profile)
    plan = BlockPlan(profile, block)
    words = [(7 * index) % 1000 if index % 5 else 0 for index in range(count)]
    absent = [0xFFFF] * count
    convert, kinds = ModbusClientMixin.convert_from_registers, ModbusClientMixin.DATATYPE

    def point_by_point() -> list[float]:
        values = []
        for p in points:
            value = convert(words[p.address : p.address + p.count], kinds[_PYMODBUS[p.type]])
            values.append(cast("float", value) / p.gain)
        return values

    assert point_by_point() == plan.decode(words).values  # the two must do the same
    return [
        figure(
            "100 points of a block, decoded and judged",
            "us",
            repeat_us(lambda: plan.decode(words)),
            p99_limit=LIMIT_US,
        ),
        figure(
            "the same, with every point absent and told why",
            "us",
            repeat_us(lambda: plan.decode(absent)),
        ),
        figure(
            "peer: pymodbus' convert_from_registers point by point, not judged",
            "us",
            repeat_us(point_by_point),
        ),
    ]


_TYPES = (PointType.U16, PointType.I16, PointType.U16, PointType.I32)
_PYMODBUS = {PointType.U16: "UINT16", PointType.I16: "INT16", PointType.I32: "INT32"}


def _point(index: int) -> Point:
    """Three points in four take one register, as in the blocks of real devices."""
    rounds, place = divmod(index, len(_TYPES))
    return Point(
        name=f"point_{index}",
        address=5 * rounds + place,
        type=_TYPES[place],
        gain=10.0,
        low=-1e9,
        high=1e9,
    )
