"""What it costs to encode and decode a sample of 100 points, beside the shapes it might have had."""

from __future__ import annotations

import json

import msgspec

from actors.messages import CODEC, Sample
from benchmarks.figures import Figure, figure, repeat_us
from supervision.envelope import Frame, FrameReader, Header, pack

POINTS = 100


class _Point(msgspec.Struct):
    name: str
    value: float
    unit: str
    quality: str


class _DictSample(msgspec.Struct):
    device_id: str
    seq: int
    points: list[_Point]


def run() -> list[Figure]:
    """Measure; about five seconds."""
    values = tuple(230.1 + index * 0.37 for index in range(POINTS))
    sample = Sample(
        device_id="INV-1",
        schema_id=7,
        seq=123456,
        epoch=1 << 62,
        wall_ns=1_790_000_000_000_000_000,
        mono_ns=123_456_789_012,
        values=values,
        quality=bytes(POINTS),
    )
    named = _DictSample(
        "INV-1", 123456, [_Point(f"point_{i}", v, "V", "good") for i, v in enumerate(values)]
    )
    encoder, decoder = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(_DictSample)
    plain = msgspec.to_builtins(named)
    frame = Frame(
        Header(receiver="safety", sender="inverter/INV-1", epoch=1 << 62), CODEC.encode(sample)
    )
    return [
        figure(
            "Sample of 100 points, encode + decode",
            "us",
            repeat_us(lambda: CODEC.decode(CODEC.encode(sample))),
            p99_limit=60.0,
        ),
        figure(
            "the same, framed for a link and cut out again",
            "us",
            repeat_us(lambda: FrameReader().feed(pack(frame))),
        ),
        figure(
            "peer: a struct per point in msgspec msgpack",
            "us",
            repeat_us(lambda: decoder.decode(encoder.encode(named)), calls=300),
        ),
        figure(
            "peer: a dict per point in json",
            "us",
            repeat_us(lambda: json.loads(json.dumps(plain)), calls=100),
        ),
    ]
