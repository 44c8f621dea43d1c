"""Messages to what is published: one JSON object per message, the same for every sink.

Every record has `v` (version of this form), `kind`, `site_id`, `device_id` where there is one, `dedupe_id`, `wall`
(RFC 3339, UTC, nanoseconds) and `wall_ns`. Units are in the names. Delivery is at least once: a record may arrive
again after a crash, with the same `dedupe_id` and the same content.

`wall_ns` and `epoch` are exact integers; readers that hold numbers as doubles should take `wall`.
"""

from __future__ import annotations

import math
import zlib
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from actors.messages import AnomalyScore, DeviceSchema, Quality, SafetyEvent, Sample
from actors.publisher.record import Record, RecordLane
from supervision.clock import NS_PER_S
from supervision.events import Lifecycle

RECORD_VERSION: Final = 2
"""Rises when a reader of the older form would misunderstand the newer."""

_encoder = msgspec.json.Encoder()


def rfc3339(wall_ns: int) -> str:
    """Return `wall_ns`, nanoseconds since the Unix epoch, as UTC with nine decimals."""
    seconds, rest_ns = divmod(wall_ns, NS_PER_S)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns:09d}Z"


def encode_sample(sample: Sample, schema: DeviceSchema, site_id: str) -> Record:
    """Return the record of `sample`, whose points `schema` names.

    `values` has the points that have a number, `quality` those that are not good: a point without a number is named in
    `quality` only, because no map of numbers in protobuf or BigQuery holds a null.

    Raises:
        ValueError: the schema has another number of points.
    """
    values: dict[str, float] = {}
    quality: dict[str, str] = {}
    for index, (point, value) in enumerate(zip(schema.points, sample.values, strict=True)):
        finite = value is not None and math.isfinite(value)
        if value is not None and finite:
            values[point.name] = value
        grade = sample.quality_at(index)
        if grade is Quality.GOOD and not finite:
            grade = Quality.MISSING if value is None else Quality.INVALID
        if grade is not Quality.GOOD:
            quality[point.name] = grade.name.lower()
    what: dict[str, Any] = {"epoch": sample.epoch, "seq": sample.seq, "values": values}
    if quality:
        what["quality"] = quality
    key = f"{sample.epoch}/{sample.seq}"
    return _record("sample", site_id, sample.device_id, key, sample.wall_ns, what=what)


def encode_safety_event(event: SafetyEvent, epoch: int, site_id: str) -> Record:
    """Return the record of `event`, told by incarnation `epoch` of SafetyActor."""
    what = {"epoch": epoch, "event": event.kind, "rule": event.rule, "detail": event.detail}
    return _record("safety_event", site_id, event.device_id, _key(event), event.wall_ns, what=what)


def encode_anomaly(score: AnomalyScore, epoch: int, site_id: str) -> Record:
    """Return the record of `score`, told by incarnation `epoch` of DetectorActor."""
    what = {
        "epoch": epoch,
        "seq": score.seq,
        "anomalous": score.anomalous,
        "z_max": score.z_max,
        "z_point": score.z_point,
        "forest_score": score.forest_score,
        "model": score.model,
    }
    return _record("anomaly", site_id, score.device_id, _key(score), score.wall_ns, what=what)


def encode_lifecycle(event: Lifecycle, site_id: str) -> Record:
    """Return the record of `event`; its stack dump stays in the local log."""
    what = {
        "epoch": event.epoch,
        "cell": event.cell,
        "actor": event.actor,
        "event": event.what.value,
        "reason": event.reason,
        "count": event.count,
    }
    return _record("lifecycle", site_id, "", _key(event), event.wall_ns, what=what)


def _key(message: SafetyEvent | AnomalyScore | Lifecycle) -> str:
    """Return what tells this message from others of its kind: its time and a checksum of all it says."""
    return f"{message.wall_ns}/{zlib.crc32(msgspec.msgpack.encode(message)):08x}"


def _record(
    kind: str, site_id: str, device_id: str, key: str, wall_ns: int, *, what: dict[str, Any]
) -> Record:
    about = {"device_id": device_id} if device_id else {}
    dedupe_id = "/".join(part for part in (site_id, kind, device_id, key) if part)
    head = {"v": RECORD_VERSION, "kind": kind, "site_id": site_id, **about, "dedupe_id": dedupe_id}
    body = _encoder.encode({**head, "wall": rfc3339(wall_ns), "wall_ns": wall_ns, **what})
    lane = RecordLane.TELEMETRY if kind == "sample" else RecordLane.EVENT
    return Record(
        kind,
        device_id,
        dedupe_id,
        wall_ns,
        body,
        lane=lane,
        epoch=what.get("epoch", 0),
        seq=what.get("seq", 0),
        schema=RECORD_VERSION,
    )
