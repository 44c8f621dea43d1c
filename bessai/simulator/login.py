"""The vendor's login, by which a device tells who may change its settings: function 0x41 with its challenge and answer.

As public clients of these devices use it: 0x24 asks for 16 random bytes; 0x25 brings 16 bytes of the client's own, the
user's name, and HMAC-SHA256 of the device's bytes under SHA-256 of the password. The device answers with the same of
the client's bytes, so each knows the other. A session belongs to one connection and is kept alive by writes to 49999.
How long it lasts without them no public text says: `session_s` is an assumption.
"""

from __future__ import annotations

import hashlib
import hmac
import random

import msgspec

FUNCTION = 0x41
CHALLENGE, ANSWER = 0x24, 0x25
HEARTBEAT_REGISTER = 49_999
PERMISSION_DENIED = 0x80
"""The vendor's exception for a write that needs a login."""
ILLEGAL_FUNCTION, ILLEGAL_VALUE = 1, 3
_CHALLENGE_SIZE = 16
_DIGEST_SIZE = 32


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may log in to a device that wants a login."""

    user: str = "installer"
    password: str = "00000a"  # noqa: S105 - what such devices are delivered with, and no secret
    session_s: float = 30.0
    """How long a session lasts without a heartbeat; clients send one every 15 s."""

    def __post_init__(self) -> None:
        """Refuse a session that cannot be.

        Raises:
            ValueError: naming the time and its range.
        """
        if not 0.0 < self.session_s <= 86_400.0:  # noqa: PLR2004 - a day
            raise ValueError(f"session_s={self.session_s:g} must be above 0, to 86400 seconds")


class Login:
    """What one connection has of a session; a new connection starts with a new one."""

    def __init__(self, account: Account, draw: random.Random) -> None:
        """Log in by `account`; challenges are drawn from `draw`."""
        self._account = account
        self._draw = draw
        self._challenge = b""
        self._until_s = 0.0

    def answer(self, pdu: bytes, now_s: float) -> bytes:
        """Return the answer to the request `pdu`, function code first, at `now_s` of any steady clock."""
        match pdu[1:2]:
            case b"\x24":
                self._challenge = self._draw.randbytes(_CHALLENGE_SIZE)
                return bytes((FUNCTION, CHALLENGE, _CHALLENGE_SIZE + 1)) + self._challenge + b"\0"
            case b"\x25":
                return self._check(pdu[3:], now_s)
            case _:
                return bytes((FUNCTION | 0x80, ILLEGAL_FUNCTION))

    def permits(self, now_s: float) -> bool:
        """Tell whether settings may be written at `now_s`."""
        return now_s < self._until_s

    def heartbeat(self, now_s: float) -> bool:
        """Prolong the session, if there still is one, and tell whether there is."""
        if not self.permits(now_s):
            return False
        self._until_s = now_s + self._account.session_s
        return True

    def _check(self, content: bytes, now_s: float) -> bytes:
        """Return the answer to the content of 0x25; a challenge is good for one answer."""
        challenge, self._challenge = self._challenge, b""
        parts = _parts(content)
        if parts is None:
            return bytes((FUNCTION | 0x80, ILLEGAL_VALUE))
        theirs, user, digest = parts
        wanted = _digest(self._account.password, challenge)
        right = hmac.compare_digest(digest, wanted) and user == self._account.user.encode()
        if not (challenge and right):
            return bytes((FUNCTION, ANSWER, 2, 1, 0))
        self._until_s = now_s + self._account.session_s
        mine = _digest(self._account.password, theirs)
        return bytes((FUNCTION, ANSWER, len(mine) + 2, 0, len(mine))) + mine


def _parts(content: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Return the client's bytes, the user's name and the digest; None where the lengths do not fit."""
    theirs, rest = content[:_CHALLENGE_SIZE], content[_CHALLENGE_SIZE:]
    user_end = 1 + (rest[0] if rest else 0)
    user, digest = rest[1:user_end], rest[user_end + 1 :]
    if rest[user_end : user_end + 1] != bytes((_DIGEST_SIZE,)) or len(digest) != _DIGEST_SIZE:
        return None
    return theirs, user, digest


def _digest(password: str, seed: bytes) -> bytes:
    return hmac.digest(hashlib.sha256(password.encode()).digest(), seed, "sha256")
