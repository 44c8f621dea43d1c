from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervision.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket at a path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5.0)
        yield sock


@pytest.fixture
def made() -> Iterator[list[Notifier]]:
    """Notifiers to close."""
    made: list[Notifier] = []
    yield made
    for notifier in made:
        notifier.close()


def _environment(manager: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


def test_each_word_is_one_datagram_in_the_manager_s_language(
    manager: socket.socket, made: list[Notifier]
) -> None:
    notifier = Notifier.from_environment(_environment(manager, WATCHDOG_USEC="10000000"))
    made.append(notifier)

    notifier.ready("all\nis well")
    notifier.kick()
    notifier.status("waiting")
    notifier.stopping()

    words = [manager.recv(4096).decode() for _ in range(4)]
    assert words[:3] == ["READY=1\nSTATUS=all is well", "WATCHDOG=1", "STATUS=waiting"]
    assert words[3].startswith("STOPPING=1\n")


def test_an_abstract_address_is_reached_too(made: list[Notifier]) -> None:
    name = f"@bessai-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name[1:]}")
        manager.settimeout(5.0)
        made.append(Notifier(name))
        made[0].status("here")
        assert manager.recv(4096) == b"STATUS=here"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "9", "WATCHDOG_PID": "1"},
    ],
)
def test_nobody_is_kicked_who_did_not_ask_for_it(
    manager: socket.socket, made: list[Notifier], asked: dict[str, str]
) -> None:
    notifier = Notifier.from_environment(_environment(manager, **asked))
    made.append(notifier)

    notifier.kick()
    notifier.status("last")

    assert manager.recv(4096) == b"STATUS=last"


def test_children_do_not_inherit_the_manager(manager: socket.socket, made: list[Notifier]) -> None:
    environment = _environment(manager, WATCHDOG_USEC="9", WATCHDOG_PID=str(os.getpid()), HOME="/")

    made.append(Notifier.from_environment(environment))

    assert environment == {"HOME": "/"}


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    for notifier in (Notifier(), Notifier(str(tmp_path / "gone"), watchdog=True)):
        notifier.ready("well")
        notifier.kick()
        notifier.close()
        notifier.stopping()


def test_a_manager_that_does_not_read_holds_nobody_up(
    manager: socket.socket, made: list[Notifier]
) -> None:
    notifier = Notifier(manager.getsockname(), watchdog=True)
    made.append(notifier)

    for _ in range(5000):
        notifier.kick()
