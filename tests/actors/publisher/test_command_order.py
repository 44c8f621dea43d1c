from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from actors.messages import Ruling
from actors.publisher.command_config import Algorithm, CommandKey
from actors.publisher.command_key import KeyFileError, load_key
from actors.publisher.command_order import Judge, Order, Refusal, sign
from supervision.clock import NS_PER_S
from tests.actors.publisher.orders import NOW_NS, hmac_of, key_file, order, signed


def _verify(payload: bytes, signature: bytes) -> bool:
    return hmac_of(payload) == signature


JUDGE = Judge(site_id="S", keys={"ems": _verify}, max_life_s=60.0, clock_skew_s=5.0)


def _refusal(raw: bytes, now_ns: int = NOW_NS) -> Refusal:
    found = JUDGE.verify(raw, now_ns)
    assert isinstance(found, Refusal)
    return found


def test_a_genuine_request_is_passed_on_as_it_was_signed() -> None:
    assert JUDGE.verify(signed(7), NOW_NS) == ("ems", order(7))


@pytest.mark.parametrize(
    ("changes", "ruling", "rule"),
    [
        ({"v": 2}, Ruling.DENIED, "form"),
        ({"command": "reset_trip"}, Ruling.DENIED, "command"),
        ({"site_id": "OTHER"}, Ruling.DENIED, "site"),
        ({"expires_ns": NOW_NS + 61 * NS_PER_S}, Ruling.DENIED, "life"),
        ({"expires_ns": NOW_NS - 1}, Ruling.DENIED, "life"),
        (
            {"issued_ns": NOW_NS + 6 * NS_PER_S, "expires_ns": NOW_NS + 30 * NS_PER_S},
            Ruling.DENIED,
            "clock",
        ),
        (
            {"issued_ns": NOW_NS - 50 * NS_PER_S, "expires_ns": NOW_NS},
            Ruling.EXPIRED,
            "life",
        ),
    ],
)
def test_what_is_signed_and_wrong_is_refused_and_named(
    changes: dict[str, Any], ruling: Ruling, rule: str
) -> None:
    refusal = _refusal(signed(1, **changes))

    assert (refusal.ruling, refusal.rule, refusal.key_id) == (ruling, rule, "ems")
    assert refusal.order is not None


def test_power_that_is_no_number_cannot_be_signed_for() -> None:
    payload = json.dumps(json.loads(base64.b64decode(json.loads(signed())["payload"]))).replace(
        "-500.0", "NaN"
    )
    raw = json.loads(signed()) | {
        "payload": base64.b64encode(payload.encode()).decode(),
        "signature": base64.b64encode(hmac_of(payload.encode())).decode(),
    }

    assert _refusal(json.dumps(raw).encode()).rule == "form"


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "form"),
        (b"\xff\xfe", "form"),
        (b"[]", "form"),
        (b'{"key_id":"ems","payload":"!","signature":"!"}', "form"),
        (b"{" + b" " * 5000 + b"}", "size"),
        (sign(order(), "stranger", hmac_of), "signature"),
        (sign(order(), "ems", lambda _: b"\0" * 32), "signature"),
        (sign(order(), "ems", lambda _: b""), "signature"),
    ],
)
def test_what_is_not_signed_is_refused_and_nothing_of_it_is_repeated(raw: bytes, rule: str) -> None:
    refusal = _refusal(raw)

    assert (refusal.ruling, refusal.rule, refusal.order) == (Ruling.DENIED, rule, None)


@given(st.binary(max_size=300))
def test_nonsense_is_refused_and_never_raises(raw: bytes) -> None:
    assert isinstance(JUDGE.verify(raw, NOW_NS), Refusal)


@given(st.data())
def test_a_changed_byte_of_payload_or_signature_is_never_passed_on(data: st.DataObject) -> None:
    raw = json.loads(signed())
    field = data.draw(st.sampled_from(["payload", "signature"]))
    content = bytearray(base64.b64decode(raw[field]))
    index = data.draw(st.integers(0, len(content) - 1))
    content[index] ^= data.draw(st.integers(1, 255))
    raw[field] = base64.b64encode(bytes(content)).decode()

    assert _refusal(json.dumps(raw).encode()).rule == "signature"


@given(
    st.integers(-(10**11), 10**11),
    st.integers(-(10**11), 2 * 10**11),
    st.integers(-(10**11), 10**11),
)
def test_what_is_passed_on_lives_now_and_not_for_long(issued: int, life: int, now: int) -> None:
    issued_ns, now_ns = NOW_NS + issued, NOW_NS + now
    raw = signed(1, issued_ns=issued_ns, expires_ns=issued_ns + life)

    if isinstance(JUDGE.verify(raw, now_ns), Refusal):
        return
    assert 0 < life <= 60 * NS_PER_S
    assert issued_ns - 5 * NS_PER_S <= now_ns < issued_ns + life


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_figures_beyond_all_numbers_are_refused(power_w: float, ttl_s: float) -> None:
    assume(abs(power_w) != float("inf") and abs(ttl_s) != float("inf"))

    assert JUDGE.verify(signed(1, power_w=power_w, ttl_s=ttl_s), NOW_NS) == (
        "ems",
        order(1, power_w=power_w, ttl_s=ttl_s),
    )


def test_an_ed25519_key_verifies_its_own_signatures_only(tmp_path: Path) -> None:
    private = Ed25519PrivateKey.generate()
    file = key_file(tmp_path, private.public_key().public_bytes_raw())
    verify = load_key(CommandKey(id="ems", file=file, algorithm=Algorithm.ED25519))

    assert verify(b"payload", private.sign(b"payload"))
    assert not verify(b"payloae", private.sign(b"payload"))
    assert not verify(b"payload", Ed25519PrivateKey.generate().sign(b"payload"))


@pytest.mark.parametrize(
    ("write", "algorithm", "sentence"),
    [
        (lambda path: path.write_bytes(b"c2hvcnQ="), Algorithm.HMAC_SHA256, "has 5 bytes"),
        (lambda path: path.write_bytes(b"c2hvcnQ="), Algorithm.ED25519, "has 5 bytes"),
        (lambda path: path.write_bytes(b"not base64!"), Algorithm.HMAC_SHA256, "is not base64"),
        (Path.mkdir, Algorithm.HMAC_SHA256, "cannot be read"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_without_its_content(
    tmp_path: Path, write: Callable[[Path], object], algorithm: Algorithm, sentence: str
) -> None:
    path = tmp_path / "key"
    write(path)

    with pytest.raises(KeyFileError, match=sentence) as caught:
        load_key(CommandKey(id="ems", file=str(path), algorithm=algorithm))
    assert str(path) in str(caught.value)
    assert "short" not in str(caught.value)


def test_the_documented_way_to_sign_is_the_one_that_is_verified() -> None:
    fields = Order.__struct_fields__

    text = (Path(__file__).parents[3] / "docs" / "cloud-commands.md").read_text(encoding="utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    space: dict[str, Any] = {}
    exec(compile(program, "docs/cloud-commands.md", "exec"), space)  # noqa: S102 - our own document
    raw = space["signed_request"](b"0123456789abcdef0123456789abcdef", seq=3, now_ns=NOW_NS)

    assert all(f"`{field}`" in text for field in fields)
    judge = Judge(site_id="SITE-CL-001", keys={"ems": _verify}, max_life_s=60.0, clock_skew_s=5.0)
    assert not isinstance(judge.verify(raw, NOW_NS), Refusal)
