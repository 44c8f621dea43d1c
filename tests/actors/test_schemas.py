import math

import pytest

from actors.messages import DeviceSchema, PointInfo, Quality, Sample
from actors.schemas import SchemaBook, good_values

SCHEMA = DeviceSchema(
    device_id="a",
    schema_id=7,
    points=(PointInfo("soc_pct", "%"), PointInfo("grid_frequency_hz", "Hz")),
)


def sample(*values: float | None, quality: bytes = b"", schema_id: int = 7) -> Sample:
    return Sample(
        device_id="a",
        schema_id=schema_id,
        seq=1,
        epoch=1,
        wall_ns=1,
        mono_ns=1,
        values=values,
        quality=quality,
    )


def book() -> SchemaBook:
    known = SchemaBook()
    known.learn(SCHEMA)
    return known


def test_a_schema_is_news_only_once() -> None:
    known = SchemaBook()
    assert known.learn(SCHEMA)
    assert not known.learn(SCHEMA)


@pytest.mark.parametrize(
    "unfit",
    [sample(1.0, 50.0, schema_id=8), sample(1.0), sample(1.0, 50.0, quality=b"\0")],
    ids=["another schema", "too few values", "too few qualities"],
)
def test_a_sample_that_does_not_fit_its_schema_has_none(unfit: Sample) -> None:
    assert book().schema_of(sample(1.0, 50.0)) == SCHEMA
    assert book().schema_of(unfit) is None


def test_a_device_is_asked_at_most_once_a_second() -> None:
    known = SchemaBook()
    asked = [known.should_ask("a", now_s) for now_s in (10.0, 10.5, 11.0)]
    assert asked == [True, False, True]


@pytest.mark.parametrize("quality", [Quality.STALE, Quality.INVALID, Quality.MISSING])
def test_a_value_that_is_not_good_is_left_out(quality: Quality) -> None:
    good = good_values(SCHEMA, sample(50.0, 49.9, quality=bytes([quality, Quality.GOOD])))
    assert good == {"grid_frequency_hz": 49.9}


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_finite_number_is_left_out(value: float | None) -> None:
    assert good_values(SCHEMA, sample(value, 49.9)) == {"grid_frequency_hz": 49.9}
