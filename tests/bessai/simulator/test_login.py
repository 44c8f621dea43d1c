"""The vendor's login, with the client's side of it done here by its public description."""

import hashlib
import hmac
import random

import pytest

from bessai.simulator.login import Account, Login

OURS = bytes(range(16))
DELIVERED = Account().password


def login(**account: object) -> Login:
    return Login(Account(**account), random.Random(1))  # type: ignore[arg-type]


def challenge(device: Login) -> bytes:
    answer = device.answer(b"\x41\x24\x01\x00", 0.0)
    assert answer[:3] == b"\x41\x24\x11"
    assert len(answer) == 3 + 17
    return answer[3:19]


def digest(password: str, seed: bytes) -> bytes:
    return hmac.new(hashlib.sha256(password.encode()).digest(), seed, hashlib.sha256).digest()


def log_in(device: Login, *, user: str = "installer", password: str = DELIVERED) -> bytes:
    proof = digest(password, challenge(device))
    content = OURS + bytes([len(user)]) + user.encode() + bytes([len(proof)]) + proof
    return device.answer(b"\x41\x25" + bytes([len(content)]) + content, 0.0)


def test_the_right_password_opens_a_session_and_the_device_proves_itself_too() -> None:
    device = login()
    assert not device.permits(0.0)
    assert log_in(device) == b"\x41\x25\x22\x00\x20" + digest(DELIVERED, OURS)
    assert device.permits(0.0)


@pytest.mark.parametrize("wrong", [{"password": "0"}, {"user": "user"}])
def test_a_wrong_name_or_password_opens_none(wrong: dict[str, str]) -> None:
    device = login()
    assert log_in(device, **wrong)[3] == 1
    assert not device.permits(0.0)


def test_a_challenge_is_good_for_one_answer() -> None:
    device = login()
    proof = digest(DELIVERED, challenge(device))
    content = OURS + b"\x09installer\x20" + proof
    request = b"\x41\x25" + bytes([len(content)]) + content
    assert [device.answer(request, 0.0)[3] for _ in range(2)] == [0, 1]


def test_without_a_challenge_no_digest_is_right() -> None:
    device = login()
    content = OURS + b"\x09installer\x20" + digest(DELIVERED, b"")
    assert device.answer(b"\x41\x25" + bytes([len(content)]) + content, 0.0)[3] == 1


def test_a_session_ends_unless_heartbeats_prolong_it() -> None:
    device = login(session_s=30.0)
    log_in(device)
    assert device.heartbeat(29.0)
    assert device.permits(58.0)
    assert not device.permits(59.0)
    assert not device.heartbeat(59.0)


@pytest.mark.parametrize(
    ("request_pdu", "exception"),
    [(b"\x41\x05\x01\x00", 1), (b"\x41", 1), (b"\x41\x25\x00", 3), (b"\x41\x25\x11" + OURS, 3)],
)
def test_what_is_no_login_answers_an_exception(request_pdu: bytes, exception: int) -> None:
    assert login().answer(request_pdu, 0.0) == bytes((0xC1, exception))


def test_a_session_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="session_s=0 must be above 0"):
        Account(session_s=0.0)
