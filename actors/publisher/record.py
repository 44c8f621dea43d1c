"""One message as it is stored and sent."""

from __future__ import annotations

import enum
from typing import NamedTuple


class RecordLane(enum.IntEnum):
    """In which order records leave, and the reverse of the order in which they are evicted."""

    EVENT = 0
    """Trips, rules, lifecycle, anomalies: few, and first."""
    TELEMETRY = 1


class Record(NamedTuple):
    """One message as it is stored and sent."""

    kind: str
    """`sample`, `safety_event`, `anomaly`, `lifecycle`, ..."""
    device_id: str
    """The device it is about, or empty."""
    dedupe_id: str
    """Names the message for ever."""
    wall_ns: int
    body: bytes
    """What is sent: a JSON object without line breaks."""
    lane: RecordLane = RecordLane.TELEMETRY
    epoch: int = 0
    """The sender's incarnation, or 0."""
    seq: int = 0
    """The message's number in that incarnation, or 0."""
    schema: int = 1
    """Version of the body's form."""
    trace: str = ""
    """W3C `traceparent`, or empty."""
