"""Records for tests of what stores and sends them."""

from __future__ import annotations

import json
import random

from actors.publisher.record import Record, RecordLane


def record(
    number: int, *, size: int = 0, lane: RecordLane = RecordLane.TELEMETRY, device_id: str = "b1"
) -> Record:
    """Return a record that `number` names, with about `size` bytes of body that do not compress."""
    body = json.dumps({"n": number, "fill": noise(number, size)}).encode()
    kind = "sample" if lane is RecordLane.TELEMETRY else "safety_event"
    dedupe_id = f"S/{kind}/{device_id}/1/{number}"
    return Record(kind, device_id, dedupe_id, number, body, lane, 1, number)


def noise(number: int, size: int) -> str:
    """Return `size` hexadecimal digits that `number` determines."""
    return f"{random.Random(number).getrandbits(4 * size):x}" if size else ""


def number_of(body: bytes) -> int:
    """Return the number of a record by its body."""
    number = json.loads(body)["n"]
    assert isinstance(number, int)
    return number
