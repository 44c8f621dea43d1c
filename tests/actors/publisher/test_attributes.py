from __future__ import annotations

from actors.messages import DeviceSchema, PointInfo, Sample
from actors.publisher.attributes import attributes_of
from actors.publisher.encode import RECORD_VERSION, encode_sample
from actors.publisher.record import Record
from supervision.events import Lifecycle, What

SCHEMA = DeviceSchema(device_id="b1", schema_id=1, points=(PointInfo("soc_pct", "%"),))


def _sample() -> Record:
    sample = Sample(
        device_id="b1", schema_id=1, seq=7, epoch=3, wall_ns=1, mono_ns=1, values=(50.0,)
    )
    return encode_sample(sample, SCHEMA, "SITE")


def test_a_sample_is_named_by_its_attributes() -> None:
    assert attributes_of(_sample()) == {
        "site_id": "SITE",
        "device_id": "b1",
        "epoch": "3",
        "seq": "7",
        "dedupe_id": "SITE/sample/b1/3/7",
        "kind": "sample",
        "schema_version": str(RECORD_VERSION),
        "traceparent": "",
    }


def test_what_the_spool_did_not_keep_is_read_from_the_body() -> None:
    whole = _sample()

    assert attributes_of(Record(*whole[:5])) == attributes_of(whole)


def test_a_record_without_device_and_number_has_no_such_attributes() -> None:
    record = Record("lifecycle", "", "S/lifecycle/1", 1, b'{"v":1,"site_id":"S"}')

    assert attributes_of(record).keys().isdisjoint({"device_id", "epoch", "seq"})


def test_a_body_of_another_form_keeps_what_is_known_from_outside() -> None:
    assert attributes_of(Record("sample", "b1", "x", 1, b"\xff"))["dedupe_id"] == "x"


def test_a_trace_is_carried() -> None:
    assert attributes_of(_sample()._replace(trace="00-1-2-01"))["traceparent"] == "00-1-2-01"


def test_events_name_their_site() -> None:
    from actors.publisher.encode import encode_lifecycle

    record = encode_lifecycle(Lifecycle(cell="api", what=What.CRASHED, wall_ns=1), "SITE")

    assert attributes_of(record)["site_id"] == "SITE"
