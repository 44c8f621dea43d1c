"""A signed set-point request from outside: its form, and whether it may be passed on. Pure: keys and time come in.

What is signed are the bytes of the payload as they are sent, so nobody has to write JSON twice in the same way. What
is not a set-point for this site, signed, in time and of the exact form, is refused with a reason.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Final

import msgspec

from actors.messages import Ruling
from actors.publisher.command_key import Verify
from supervision.clock import NS_PER_S

MAX_BYTES: Final = 4096
"""A longer request is not looked at."""
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What travels: the payload and who vouches for it."""

    key_id: _Name
    payload: str
    """Base64 of the JSON of an `Order`."""
    signature: str
    """Base64 of the signature of the payload's bytes (before base64)."""


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for."""

    v: int
    """Version of this form: 1."""
    command: str
    """`setpoint`; nothing else is taken."""
    command_id: _Name
    """The asker's name for it, which the answer repeats."""
    site_id: _Name
    device_id: _Name
    power_w: float
    """+ charging, - discharging."""
    ttl_s: float
    """How long it is to hold, from when it is passed on."""
    seq: Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
    """Rises with every request signed with one key."""
    issued_ns: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    """Nanoseconds since 1970."""
    expires_ns: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
    """Not passed on at this time or later."""
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request is not passed on."""

    ruling: Ruling
    rule: str
    detail: str
    key_id: str = ""
    order: Order | None = None
    """What was asked, if the signature is valid and it could be read."""


class Judge(msgspec.Struct, frozen=True, kw_only=True):
    """What a request is held against."""

    site_id: str
    keys: Mapping[str, Verify]
    max_life_s: float
    clock_skew_s: float

    def verify(self, raw: bytes, now_ns: int) -> tuple[str, Order] | Refusal:
        """Return the key's id and the order of `raw`, unless it must be refused at wall time `now_ns`."""
        if len(raw) > MAX_BYTES:
            return _refused("size", f"{len(raw)} bytes, at most {MAX_BYTES} are read")
        try:
            signed = _decode_signed(raw)
            payload = base64.b64decode(signed.payload, validate=True)
            signature = base64.b64decode(signed.signature, validate=True)
        except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError, ValueError) as error:
            return _refused("form", f"it is no signed request: {error}"[:200])
        verify = self.keys.get(signed.key_id)
        if verify is None or not verify(payload, signature):
            return _refused("signature", "the key is not known, or the signature is not its own")
        try:
            order = _decode_order(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _refused("form", f"its payload is no order: {error}"[:200], signed.key_id)
        return self._refusal(signed.key_id, order, now_ns) or (signed.key_id, order)

    def _refusal(self, key_id: str, order: Order, now_ns: int) -> Refusal | None:
        """Return why a genuine order is not passed on now, if so."""
        life_s = (order.expires_ns - order.issued_ns) / NS_PER_S
        ahead_s = (order.issued_ns - now_ns) / NS_PER_S
        late_s = (now_ns - order.expires_ns) / NS_PER_S
        checks = (
            (order.v != 1, Ruling.DENIED, "form", f"v = {order.v}, expected 1"),
            (
                order.command != "setpoint",
                Ruling.DENIED,
                "command",
                f"{order.command!r} is not taken from outside, only 'setpoint'",
            ),
            (
                order.site_id != self.site_id,
                Ruling.DENIED,
                "site",
                f"it is for the site {order.site_id!r}",
            ),
            (
                not math.isfinite(order.power_w) or not math.isfinite(order.ttl_s),
                Ruling.DENIED,
                "form",
                "power_w and ttl_s must be finite",
            ),
            (
                not 0 < life_s <= self.max_life_s,
                Ruling.DENIED,
                "life",
                f"it lives {life_s:g} s, allowed is above 0 to {self.max_life_s:g}",
            ),
            (
                ahead_s > self.clock_skew_s,
                Ruling.DENIED,
                "clock",
                f"it was issued {ahead_s:.1f} s from now; the clocks differ",
            ),
            (late_s >= 0, Ruling.EXPIRED, "life", f"it ended {late_s:.1f} s ago"),
        )
        for holds, ruling, rule, detail in checks:
            if holds:
                return Refusal(ruling=ruling, rule=rule, detail=detail, key_id=key_id, order=order)
        return None


def sign(order: Order, key_id: str, signature_of: Callable[[bytes], bytes]) -> bytes:
    """Return the bytes to send: what somebody who may command has to do."""
    payload = msgspec.json.encode(order)
    return msgspec.json.encode(
        Signed(
            key_id=key_id,
            payload=base64.b64encode(payload).decode(),
            signature=base64.b64encode(signature_of(payload)).decode(),
        )
    )


_decode_signed = msgspec.json.Decoder(Signed).decode
_decode_order = msgspec.json.Decoder(Order).decode


def _refused(rule: str, detail: str, key_id: str = "") -> Refusal:
    return Refusal(ruling=Ruling.DENIED, rule=rule, detail=detail, key_id=key_id)
