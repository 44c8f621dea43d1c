"""What is told about a record beside its body, so that nobody must decode the body to route or to sort it."""

from __future__ import annotations

import msgspec

from actors.publisher.record import Record


class _Head(msgspec.Struct):
    """The part of a body that attributes repeat; the rest is skipped."""

    v: int = 0
    site_id: str = ""
    epoch: int = 0
    seq: int = 0


_decoder = msgspec.json.Decoder(_Head)


def attributes_of(record: Record) -> dict[str, str]:
    """Return the attributes of `record`; `epoch` and `seq` are left out where it has none.

    `traceparent` is empty as long as no trace is carried. A body that is not of our form, as an older file may hold,
    keeps what is known from outside it.
    """
    head = _head(record)
    found = {
        "site_id": head.site_id,
        "device_id": record.device_id,
        "epoch": str(record.epoch or head.epoch or ""),
        "seq": str(record.seq or head.seq or ""),
        "dedupe_id": record.dedupe_id,
        "kind": record.kind,
        "schema_version": str(head.v or record.schema),
    }
    return {name: text for name, text in found.items() if text} | {"traceparent": record.trace}


def _head(record: Record) -> _Head:
    try:
        return _decoder.decode(record.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Head()
