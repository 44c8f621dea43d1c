from __future__ import annotations

import contextlib
import grp
import json
import os
import queue
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.api.command_socket import (
    MAX_LINE_BYTES,
    MAX_PEERS,
    SOCKET_NAME,
    Asked,
    CommandSocket,
    CommandSocketError,
    listen,
    reach,
)
from actors.api.people import People
from actors.messages import Role
from supervision.clock import SystemClock


class Served:
    """A command socket, the lines that came, and ways to reach it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.lines: queue.Queue[Asked] = queue.Queue()
        self.socket = CommandSocket(
            listen(state_dir, ""), People({}), SystemClock(), on_line=self.lines.put
        )
        self.socket.start()
        self.clients: list[socket.socket] = []

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(10.0)
        self.clients.append(client)
        with reach(self.state_dir) as short:
            client.connect(f"{short}/{SOCKET_NAME}")
        return client

    def close(self) -> bool:
        for client in self.clients:
            client.close()
        return self.socket.stop()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A command socket in a folder whose path is too long for one."""
    state_dir = tmp_path / ("long-" * 20)
    state_dir.mkdir()
    served = Served(state_dir)
    yield served
    assert served.close()
    assert not (state_dir / SOCKET_NAME).exists()


def test_a_line_comes_with_who_sent_it_and_is_answered(served: Served) -> None:
    client = served.connect()
    client.sendall(b"first half, ")
    client.sendall(b"second half\nand more")

    asked = served.lines.get(timeout=10.0)
    asked.reply(b"answer\n")

    assert asked.line == b"first half, second half"
    assert (asked.person.uid, asked.person.role) == (os.getuid(), Role.OPERATOR)
    assert client.recv(100) == b"answer\n"


def test_a_line_that_is_too_long_is_cut_off(served: Served) -> None:
    client = served.connect()

    with contextlib.suppress(OSError):  # it may be cut before all is sent
        client.sendall(b"x" * 2 * MAX_LINE_BYTES)

    with contextlib.suppress(ConnectionResetError):  # what was not read is told so
        assert client.recv(1) == b""
    assert served.lines.empty()


def test_too_many_connections_are_closed_and_the_first_still_served(served: Served) -> None:
    first, *_ = [served.connect() for _ in range(MAX_PEERS)]
    assert served.connect().recv(1) == b""

    first.sendall(b"here\n")

    asked = served.lines.get(timeout=10.0)
    assert asked.line == b"here"
    asked.reply(b"")


def test_an_answer_to_who_has_gone_is_nobody_s_failure(served: Served) -> None:
    client = served.connect()
    client.sendall(b"line\n")
    asked = served.lines.get(timeout=10.0)
    client.close()

    asked.reply(b"answer\n")

    served.connect().sendall(b"next\n")
    following = served.lines.get(timeout=10.0)
    assert following.line == b"next"
    following.reply(b"")


def test_it_is_for_its_owner_alone_or_for_a_group(tmp_path: Path) -> None:
    modes = []
    for group in ("", grp.getgrgid(os.getgid()).gr_name):
        listening = listen(tmp_path, group)
        modes.append(stat.S_IMODE(listening.path.stat().st_mode))
        listening.close()

    assert modes == [0o600, 0o660]


def test_a_socket_that_a_killed_gateway_left_behind_is_replaced(tmp_path: Path) -> None:
    abandoned = listen(tmp_path, "")
    fresh = listen(tmp_path, "")

    abandoned.close()
    assert (tmp_path / SOCKET_NAME).exists()
    fresh.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "group"), [("missing", ""), (".", "no-such-group-is-there")], ids=str
)
def test_what_keeps_it_from_listening_is_named(tmp_path: Path, folder: str, group: str) -> None:
    with pytest.raises(CommandSocketError, match=r"command\.sock cannot be listened on: .*; name"):
        listen(tmp_path / folder, group)


def test_roles_are_given_by_name_or_number_and_to_nobody_else() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told: list[Any] = [
            People(roles).at(ours).role
            for roles in ({}, {str(os.getuid()): Role.VIEWER}, {"no-such-user": Role.OPERATOR})
        ]
    assert told == [Role.OPERATOR, Role.VIEWER, Role.OPERATOR]
    assert json.dumps(Role.VIEWER.value) == '"viewer"'
