"""What the points of a device are, and how each was last read, for people and for who gets samples."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import msgspec

from actors.inverter.profile import Point, Profile
from actors.inverter.reading import Readings
from actors.inverter.values import Values
from actors.messages import BitInfo, DeviceSchema, LabelInfo, PointInfo, Quality


class PointReading(msgspec.Struct, frozen=True, kw_only=True):
    """One point as it was last read."""

    name: str
    unit: str
    value: float | None
    reason: str = ""
    """Why there is no value."""
    quality: Quality = Quality.GOOD
    meaning: str = ""
    """The name of the number, or of the bits that are set."""
    text: str = ""
    """What a string says."""
    address: int = 0
    words: tuple[int, ...] = ()
    """The raw registers; empty where there was no answer."""


def schema_of(device_id: str, profile: Profile, points: Iterable[Point]) -> DeviceSchema:
    """Return what the values of a sample of `points` mean; its number changes with anything that is said of them."""
    if "infos" not in profile.memo:
        infos = _infos(points)
        profile.memo["infos"] = (infos, zlib.crc32(msgspec.msgpack.encode(infos)))
    infos, schema_id = profile.memo["infos"]
    return DeviceSchema(device_id=device_id, schema_id=schema_id, points=infos)


def _infos(points: Iterable[Point]) -> tuple[PointInfo, ...]:
    return tuple(
        PointInfo(
            point.name,
            point.unit,
            tuple(LabelInfo(number, name) for number, name in point.enum.items()),
            tuple(
                BitInfo(bit.bit, bit.name, bit.id, bit.severity.value if bit.severity else "")
                for bit in point.bits
            ),
        )
        for point in points
    )


def point_readings(
    profile: Profile, schema: DeviceSchema, readings: Readings, values: Values
) -> list[PointReading]:
    """Return every point of `profile` as it was last read, in the order of the profile."""
    owners = {
        point.name: number
        for number, request in enumerate(readings.requests)
        for point in request.block.points
        if readings.words(number) or not readings.is_part(number)
    }
    return [
        _point_reading(point, owners[point.name], readings, schema, values)
        for block in profile.blocks
        for point in block.points
    ]


def _point_reading(
    point: Point, owner: int, readings: Readings, schema: DeviceSchema, values: Values
) -> PointReading:
    at = point.address - readings.requests[owner].block.address
    words = tuple(readings.words(owner)[at : at + point.count])
    place = values.places.get(point.name)
    if place is None:  # a string or a power of ten
        return PointReading(
            name=point.name,
            unit=point.unit,
            value=None,
            reason="" if words else _why_not(owner, readings),
            quality=Quality.GOOD if words else Quality.MISSING,
            text=values.texts.get(point.name, ""),
            address=point.address,
            words=words,
        )
    value, quality = values.values[place], Quality(values.quality[place])
    return PointReading(
        name=point.name,
        unit=point.unit,
        value=value,
        reason=values.reasons[place] if quality else "",
        quality=quality,
        meaning="" if value is None else schema.points[place].meaning(value),
        address=point.address,
        words=words,
    )


def _why_not(number: int, readings: Readings) -> str:
    """Return why a request has brought no registers."""
    return readings.obstacles.get(number) or readings.faults.get(number) or "not read yet"
