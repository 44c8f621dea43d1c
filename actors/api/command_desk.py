"""Turns what people ask for into messages to SafetyActor, and its answers into replies. It decides nothing."""

from __future__ import annotations

from typing import NamedTuple, assert_never

from actors.api.command_socket import Asked
from actors.api.commands import (
    Order,
    ReleaseOrder,
    Reply,
    ResetOrder,
    SetpointOrder,
    encode,
    parse,
    reply_to,
)
from actors.api.people import Person
from actors.messages import (
    OPERATOR,
    ReleaseSetpoint,
    ResetAnswer,
    ResetLatch,
    Role,
    SetpointAnswer,
    SetpointRequest,
)
from supervision.clock import NS_PER_S

ANSWER_S = 3.0
"""How long SafetyActor is waited for."""
MAX_WAITING = 64

Petition = SetpointRequest | ReleaseSetpoint | ResetLatch


class _Waiting(NamedTuple):
    asked: Asked
    until_ns: int


class CommandDesk:
    """The orders that wait for an answer, by sequence number."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self._seq = 0
        self._waiting: dict[int, _Waiting] = {}

    def ask(self, asked: Asked, now_ns: int) -> Petition | None:
        """Return what to send to SafetyActor, or None if the asker has been answered already."""
        order = self._refusal(asked.person) or parse(asked.line)
        if isinstance(order, Reply):
            asked.reply(encode(order))
            return None
        self._seq += 1
        self._waiting[self._seq] = _Waiting(asked, now_ns + int(ANSWER_S * NS_PER_S))
        return _petition(order, asked.person, self._seq, now_ns)

    def answer(self, answer: SetpointAnswer | ResetAnswer) -> None:
        """Tell who asked; an answer that came too late is told nobody."""
        waiting = self._waiting.pop(answer.seq, None)
        if waiting is not None:
            waiting.asked.reply(encode(reply_to(answer)))

    def give_up(self, now_ns: int) -> None:
        """Answer those who have waited too long that nothing is known."""
        for seq, waiting in tuple(self._waiting.items()):
            if now_ns >= waiting.until_ns:
                del self._waiting[seq]
                waiting.asked.reply(
                    encode(_unknown(f"safety did not answer within {ANSWER_S:g} s"))
                )

    def close(self) -> None:
        """Answer everybody that nothing is known."""
        while self._waiting:
            _, waiting = self._waiting.popitem()
            waiting.asked.reply(encode(_unknown("the gateway stops")))

    def _refusal(self, person: Person) -> Reply | None:
        if person.role is not Role.OPERATOR:
            role = person.role.value if person.role else "nobody here"
            detail = f"{person.name} is {role}: name them in [api.roles] as operator"
            return Reply(done=False, rule="role", detail=detail)
        if len(self._waiting) >= MAX_WAITING:
            return Reply(done=False, rule="busy", detail=f"{MAX_WAITING} orders wait for an answer")
        return None


def _unknown(why: str) -> Reply:
    detail = f"{why}: whether it counts is not known, look at bessai audit show"
    return Reply(done=False, rule="unanswered", detail=detail)


def _petition(order: Order, person: Person, seq: int, now_ns: int) -> Petition:
    match order:
        case SetpointOrder():
            return SetpointRequest(
                device_id=order.device,
                power_w=order.watts,
                ttl_s=order.ttl_s,
                mono_ns=now_ns,
                seq=seq,
                source=OPERATOR,
                reason=order.reason,
                by=person.name,
            )
        case ReleaseOrder():
            return ReleaseSetpoint(
                device_id=order.device,
                mono_ns=now_ns,
                seq=seq,
                source=OPERATOR,
                reason=order.reason,
                by=person.name,
            )
        case ResetOrder():
            return ResetLatch(
                device_id=order.device,
                mono_ns=now_ns,
                seq=seq,
                operator=person.name,
                role=Role.OPERATOR,
                reason=order.reason,
            )
        case _:
            assert_never(order)
