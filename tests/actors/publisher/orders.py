"""Requests from outside for tests, and the keys that they are signed with."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import msgspec

from actors.publisher.command_config import CommandKey
from actors.publisher.command_order import Order, sign
from supervision.clock import NS_PER_S

SECRET = b"0123456789abcdef0123456789abcdef"
NOW_NS = 1_795_622_400 * NS_PER_S


def key_file(directory: Path, material: bytes = SECRET) -> str:
    path = directory / "ems.key"
    path.write_bytes(base64.b64encode(material) + b"\n")
    return str(path)


def command_key(directory: Path) -> CommandKey:
    return CommandKey(id="ems", file=key_file(directory))


def hmac_of(payload: bytes) -> bytes:
    return hmac.digest(SECRET, payload, hashlib.sha256)


def order(seq: int = 1, *, now_ns: int = NOW_NS, **changes: Any) -> Order:
    usual = Order(
        v=1,
        command="setpoint",
        command_id=f"c{seq}",
        site_id="S",
        device_id="b1",
        power_w=-500.0,
        ttl_s=60.0,
        seq=seq,
        issued_ns=now_ns,
        expires_ns=now_ns + 30 * NS_PER_S,
        reason="peak",
    )
    return msgspec.structs.replace(usual, **changes)


def signed(seq: int = 1, *, now_ns: int = NOW_NS, **changes: Any) -> bytes:
    return sign(order(seq, now_ns=now_ns, **changes), "ems", hmac_of)
