"""The language of the command socket: one JSON object on a line asks, one on a line answers.

{"do": "setpoint", "device": "INV-1", "watts": -1500, "ttl_s": 600, "reason": "test of the meter"}
{"done": true, "ruling": "clamped", "watts": -1200.0, "rule": "power_limit", "detail": "..."}
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from actors.messages import ResetAnswer, Ruling, SetpointAnswer

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class _Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"):
    device: _Id
    reason: _Reason


class SetpointOrder(_Order, frozen=True, kw_only=True, tag="setpoint"):
    """Ask for battery power."""

    watts: float
    """+ charging, - discharging."""
    ttl_s: float
    """How long it is to hold."""


class ReleaseOrder(_Order, frozen=True, kw_only=True, tag="release"):
    """Give a set-point up before its time."""


class ResetOrder(_Order, frozen=True, kw_only=True, tag="reset"):
    """End a trip."""


Order = SetpointOrder | ReleaseOrder | ResetOrder
_orders: msgspec.json.Decoder[Order] = msgspec.json.Decoder(Order)


class Reply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of an order."""

    done: bool
    ruling: str = ""
    watts: float | None = None
    """What was approved of a set-point."""
    rule: str = ""
    """By which rule it was clamped or refused; of a reset, which had tripped."""
    detail: str = ""


def parse(line: bytes) -> Order | Reply:
    """Return the order on `line`, or the reply that it is none."""
    try:
        return _orders.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Reply(done=False, rule="syntax", detail=f"this is no order: {error}")


def reply_to(answer: SetpointAnswer | ResetAnswer) -> Reply:
    """Return what SafetyActor decided in the words of the socket."""
    if isinstance(answer, ResetAnswer):
        return Reply(done=answer.done, rule=answer.rule, detail=answer.detail)
    done = answer.ruling in {Ruling.ALLOWED, Ruling.CLAMPED}
    return Reply(
        done=done,
        ruling=answer.ruling.value,
        watts=answer.power_w if done else None,
        rule=answer.rule,
        detail=answer.detail,
    )


def encode(reply: Reply) -> bytes:
    """Return `reply` as a line."""
    return msgspec.json.encode(reply) + b"\n"
