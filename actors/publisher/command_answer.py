"""What became of a set-point request from outside, as it is published back."""

from __future__ import annotations

import zlib
from typing import Final

import msgspec

from actors.publisher.encode import RECORD_VERSION, rfc3339
from actors.publisher.record import Record, RecordLane

KIND: Final = "command_answer"
_encoder = msgspec.json.Encoder()


class CommandAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer; what a request does not tell, or tells without a valid signature, is empty."""

    device_id: str = ""
    command_id: str = ""
    key_id: str = ""
    command_seq: int = 0
    ruling: str = "denied"
    """A `Ruling`, or `unanswered`."""
    rule: str = ""
    detail: str = ""
    power_w: float = 0.0
    """What was approved; + charging, - discharging."""


def encode_command_answer(answer: CommandAnswer, site_id: str, *, wall_ns: int) -> Record:
    """Return the record of `answer`, given at `wall_ns`."""
    said = msgspec.structs.asdict(answer)
    device_id = said.pop("device_id")
    about = {"device_id": device_id} if device_id else {}
    checksum = zlib.crc32(msgspec.msgpack.encode(answer))
    parts = (site_id, KIND, device_id, f"{wall_ns}/{checksum:08x}")
    dedupe_id = "/".join(part for part in parts if part)
    body = _encoder.encode(
        {
            "v": RECORD_VERSION,
            "kind": KIND,
            "site_id": site_id,
            **about,
            "dedupe_id": dedupe_id,
            "wall": rfc3339(wall_ns),
            "wall_ns": wall_ns,
            **said,
        }
    )
    return Record(
        KIND,
        device_id,
        dedupe_id,
        wall_ns,
        body,
        lane=RecordLane.EVENT,
        schema=RECORD_VERSION,
    )
