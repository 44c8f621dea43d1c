"""Who is at the other end of the command socket: the kernel says which user, configuration says which role."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Mapping

import msgspec

from actors.messages import Role

_UCRED = struct.Struct("3i")
"""`struct ucred` of unix(7): process, user and group."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user of this machine."""

    uid: int
    name: str
    role: Role | None
    """None: nothing is known of them here, and nothing is taken from them."""


class People:
    """Knows users and their roles."""

    def __init__(self, roles: Mapping[str, Role]) -> None:
        """Give `roles` by user name or number; root and the gateway's own user are operators unless they are named.

        A name that this machine does not know gives nobody a role.
        """
        known = {str(uid): Role.OPERATOR for uid in (0, os.getuid())}
        self._roles = known | {_number(user): role for user, role in roles.items()}

    def at(self, peer: socket.socket) -> Person:
        """Return who connected on `peer`.

        Raises:
            OSError: the connection is gone.
        """
        data = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        _, uid, _ = _UCRED.unpack(data)
        return Person(uid=uid, name=_name(uid), role=self._roles.get(str(uid)))


def _number(user: str) -> str:
    try:
        return user if user.isdecimal() else str(pwd.getpwnam(user).pw_uid)
    except KeyError:
        return user


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
