"""Every message of the gateway survives the way, and what is damaged on it never passes for one."""

from __future__ import annotations

import contextlib
import enum
import types
import typing
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import CODEC, Message, Quality, Sample
from supervision.codec import MalformedMessageError

KINDS: tuple[type[msgspec.Struct], ...] = typing.get_args(Message)
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    float: st.floats(allow_nan=False),
    int: st.integers(-(2**63), 2**64 - 1),
    str: st.text(max_size=30),
    bool: st.booleans(),
    bytes: st.binary(max_size=30),
    type(None): st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for what a field of this type may hold."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return messages(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return values(inner[0])
    if origin in {types.UnionType, typing.Union}:
        return st.one_of(*map(values, inner))
    if origin is dict:
        return st.dictionaries(*map(values, inner), max_size=4)
    assert origin is tuple, kind
    return st.lists(values(inner[0]), max_size=4).map(tuple)


def messages(kind: type[msgspec.Struct]) -> st.SearchStrategy[msgspec.Struct]:
    """Return a strategy for messages of one type."""
    fields = {field.name: values(field.type) for field in msgspec.structs.fields(kind)}
    return st.fixed_dictionaries(fields).map(lambda given: kind(**given))


ANY = st.one_of(*map(messages, KINDS))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_message_survives_the_way(kind: type[msgspec.Struct], data: st.DataObject) -> None:
    message = data.draw(messages(kind))
    assert CODEC.decode(CODEC.encode(message)) == message


@given(ANY, st.data())
def test_a_truncated_message_is_malformed(message: msgspec.Struct, data: st.DataObject) -> None:
    body = CODEC.encode(message)
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(MalformedMessageError):
        CODEC.decode(body[:cut])


@given(ANY, st.data())
def test_a_changed_byte_is_malformed_or_another_message_and_never_a_crash(
    message: msgspec.Struct, data: st.DataObject
) -> None:
    body = bytearray(CODEC.encode(message))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessageError):
        assert isinstance(CODEC.decode(bytes(body)), KINDS)


def test_every_tag_is_unique() -> None:
    tags = [kind.__struct_config__.tag for kind in KINDS]
    assert len(tags) == len(set(tags))


def test_a_sample_without_qualities_is_all_good() -> None:
    sample = Sample(
        device_id="d", schema_id=1, seq=1, epoch=1, wall_ns=1, mono_ns=1, values=(1.0, None)
    )
    assert sample.quality_at(0) is Quality.GOOD
    worse = msgspec.structs.replace(sample, quality=bytes([0, 3]))
    assert worse.quality_at(1) is Quality.MISSING
