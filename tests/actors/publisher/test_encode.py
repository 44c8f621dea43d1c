from __future__ import annotations

import json
import math

import pytest

from actors.messages import AnomalyScore, DeviceSchema, PointInfo, Quality, SafetyEvent, Sample
from actors.publisher.encode import (
    encode_anomaly,
    encode_lifecycle,
    encode_safety_event,
    encode_sample,
    rfc3339,
)
from supervision.events import Lifecycle, What

SCHEMA = DeviceSchema(
    device_id="b1",
    schema_id=1,
    points=(PointInfo("soc_pct", "%"), PointInfo("battery_power_w", "W")),
)
WALL_NS = 1_700_000_000_000_000_001


def _sample(*values: float | None, quality: bytes = b"") -> Sample:
    return Sample(
        device_id="b1",
        schema_id=1,
        seq=7,
        epoch=3,
        wall_ns=WALL_NS,
        mono_ns=1,
        values=values,
        quality=quality,
    )


def test_a_sample_is_published_with_names_units_and_identity() -> None:
    record = encode_sample(_sample(55.5, -1200.0), SCHEMA, "SITE")

    assert json.loads(record.body) == {
        "v": 2,
        "kind": "sample",
        "site_id": "SITE",
        "device_id": "b1",
        "dedupe_id": "SITE/sample/b1/3/7",
        "wall": "2023-11-14T22:13:20.000000001Z",
        "wall_ns": WALL_NS,
        "epoch": 3,
        "seq": 7,
        "values": {"soc_pct": 55.5, "battery_power_w": -1200.0},
    }


def test_quality_is_published_only_where_it_is_not_good() -> None:
    quality = bytes([Quality.STALE, Quality.GOOD])

    published = json.loads(encode_sample(_sample(55.5, 0.0, quality=quality), SCHEMA, "S").body)

    assert published["quality"] == {"soc_pct": "stale"}


@pytest.mark.parametrize(
    ("value", "quality"), [(math.nan, "invalid"), (math.inf, "invalid"), (None, "missing")]
)
def test_what_is_no_number_has_a_quality_only(value: float | None, quality: str) -> None:
    published = json.loads(encode_sample(_sample(value, 1.0), SCHEMA, "S").body)

    assert "soc_pct" not in published["values"]
    assert published["quality"] == {"soc_pct": quality}


def test_a_sample_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        encode_sample(_sample(1.0), SCHEMA, "S")


def test_a_safety_event_keeps_its_rule_and_figures() -> None:
    event = SafetyEvent(
        device_id="b1", kind="began", rule="soc_min", detail="4 < 5 %", wall_ns=WALL_NS, mono_ns=1
    )

    record = encode_safety_event(event, 9, "S")

    published = json.loads(record.body)
    assert (published["event"], published["rule"], published["detail"]) == (
        "began",
        "soc_min",
        "4 < 5 %",
    )
    assert published["epoch"] == 9
    assert record == encode_safety_event(event, 9, "S")


def test_two_events_of_one_moment_have_different_names() -> None:
    events = [
        Lifecycle(cell="c", what=What.DEAD_LETTERS, wall_ns=WALL_NS, reason=f"to {receiver}: full")
        for receiver in ("a", "b")
    ]

    first, second = (encode_lifecycle(event, "S") for event in events)

    assert first.dedupe_id != second.dedupe_id


def test_a_stack_dump_stays_at_home() -> None:
    event = Lifecycle(cell="c", what=What.CRASHED, wall_ns=WALL_NS, detail="Traceback ...")

    assert b"Traceback" not in encode_lifecycle(event, "S").body


def test_an_anomaly_is_published_without_invented_scores() -> None:
    score = AnomalyScore(
        device_id="b1",
        seq=1,
        mono_ns=1,
        wall_ns=WALL_NS,
        z_max=9.5,
        z_point="soc_pct",
        forest_score=None,
        anomalous=True,
    )

    published = json.loads(encode_anomaly(score, 2, "S").body)

    assert (published["z_max"], published["forest_score"]) == (9.5, None)


def test_wall_time_is_utc_with_nanoseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
