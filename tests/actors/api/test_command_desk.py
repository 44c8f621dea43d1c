from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from actors.api.command_desk import ANSWER_S, MAX_WAITING, CommandDesk, Petition
from actors.api.command_socket import Asked
from actors.api.people import Person
from actors.messages import (
    ReleaseSetpoint,
    ResetAnswer,
    ResetLatch,
    Role,
    Ruling,
    SetpointAnswer,
    SetpointRequest,
)
from supervision.clock import NS_PER_S

SETPOINT = {"do": "setpoint", "device": "d1", "watts": -1500, "ttl_s": 60, "reason": "test"}
NOW_NS = 10 * NS_PER_S


class Counter:
    """A desk, and the people in front of it."""

    def __init__(self) -> None:
        self.desk = CommandDesk()
        self.sockets: list[socket.socket] = []

    def ask(
        self, order: object, role: Role | None = Role.OPERATOR
    ) -> tuple[Petition | None, socket.socket]:
        ours, theirs = socket.socketpair()
        theirs.settimeout(5.0)
        self.sockets += [ours, theirs]
        line = order if isinstance(order, bytes) else json.dumps(order).encode()
        asked = Asked(Person(uid=7, name="ana", role=role), line, ours)
        return self.desk.ask(asked, NOW_NS), theirs


@pytest.fixture
def counter() -> Iterator[Counter]:
    """A desk at which nobody waits."""
    counter = Counter()
    yield counter
    for sock in counter.sockets:
        sock.close()


def _reply(client: socket.socket) -> dict[str, Any]:
    reply: dict[str, Any] = json.loads(client.recv(4096))
    return reply


def test_an_order_becomes_a_request_in_the_operator_s_name(counter: Counter) -> None:
    request, _ = counter.ask(SETPOINT)

    assert request == SetpointRequest(
        device_id="d1",
        power_w=-1500.0,
        ttl_s=60.0,
        mono_ns=NOW_NS,
        seq=1,
        source="operator",
        reason="test",
        by="ana",
    )
    release, _ = counter.ask({"do": "release", "device": "d1", "reason": "done"})
    reset, _ = counter.ask({"do": "reset", "device": "d1", "reason": "cool"})
    assert isinstance(release, ReleaseSetpoint)
    assert isinstance(reset, ResetLatch)
    assert (release.seq, reset.seq) == (2, 3)
    assert (reset.operator, reset.role) == ("ana", Role.OPERATOR)


def test_each_answer_reaches_who_asked(counter: Counter) -> None:
    _, first = counter.ask(SETPOINT)
    _, second = counter.ask({"do": "reset", "device": "d1", "reason": "cool"})

    counter.desk.answer(ResetAnswer(device_id="d1", seq=2, done=False, rule="cause", detail="hot"))
    counter.desk.answer(
        SetpointAnswer(
            device_id="d1",
            seq=1,
            ruling=Ruling.CLAMPED,
            power_w=-1200.0,
            rule="power_limit",
            detail="so much",
        )
    )

    assert _reply(second) == {"done": False, "rule": "cause", "detail": "hot"}
    assert _reply(first) == {
        "done": True,
        "ruling": "clamped",
        "watts": -1200.0,
        "rule": "power_limit",
        "detail": "so much",
    }


@pytest.mark.parametrize("role", [Role.VIEWER, None])
def test_who_is_no_operator_is_told_so(counter: Counter, role: Role | None) -> None:
    request, client = counter.ask(SETPOINT, role)

    assert request is None
    assert _reply(client)["rule"] == "role"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"rubbish",
        b"\xff",
        b"[" * 4000,
        b'{"do": "dance", "device": "d1", "reason": "x"}',
        {**SETPOINT, "watts": "many"},
        {**SETPOINT, "reason": ""},
        {**SETPOINT, "device": "d" * 65},
        {**SETPOINT, "more": 1},
        {"do": "setpoint"},
    ],
    ids=repr,
)
def test_what_is_no_order_is_answered_as_such(counter: Counter, line: object) -> None:
    request, client = counter.ask(line)

    reply = _reply(client)
    assert request is None
    assert (reply["done"], reply["rule"]) == (False, "syntax")
    assert reply["detail"].startswith("this is no order: ")


def test_silence_of_safety_is_told_as_not_known(counter: Counter) -> None:
    _, client = counter.ask(SETPOINT)
    counter.desk.give_up(NOW_NS + int(ANSWER_S * NS_PER_S) - 1)
    counter.desk.give_up(NOW_NS + int(ANSWER_S * NS_PER_S))

    reply = _reply(client)

    assert reply["rule"] == "unanswered"
    assert "whether it counts is not known" in reply["detail"]
    counter.desk.answer(ResetAnswer(device_id="d1", seq=1, done=True))  # too late: nobody is there


def test_only_so_many_wait_at_the_same_time(counter: Counter) -> None:
    waiting = [counter.ask(SETPOINT)[1] for _ in range(MAX_WAITING)]

    request, client = counter.ask(SETPOINT)

    assert request is None
    assert _reply(client)["rule"] == "busy"
    counter.desk.close()
    assert _reply(waiting[0])["detail"].startswith("the gateway stops")
