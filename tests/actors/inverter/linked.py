"""A link on its own, and what it delivers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator

from actors.inverter.io_loop import shared_loop
from actors.inverter.jobs import (
    BlockRef,
    LinkChanged,
    LinkEvent,
    PollJob,
    PollPart,
    RegisterWords,
    WriteDone,
    WriteJob,
)
from actors.inverter.link import Endpoint, ModbusLink
from actors.messages import LinkState
from supervision.clock import SystemClock
from tests.actors.inverter.driven import config
from tests.actors.inverter.scripted_peer import Reply, Request, ScriptedPeer

READ = PollJob(1, (BlockRef(0, 37004, 1),), ())
STOP = RegisterWords("stop", 47100, (0,))
CHARGE = RegisterWords("charge", 47100, (1,))
POWER = RegisterWords("power", 47247, (0, 1000))


class Heard:
    """Everything that links deliver."""

    def __init__(self) -> None:
        self.events: list[LinkEvent] = []
        self._changed = threading.Condition()
        self.links: list[ModbusLink] = []

    def __call__(self, event: LinkEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, predicate: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(predicate, 5.0), self.events

    def parts(self) -> list[PollPart]:
        return [event for event in self.events if isinstance(event, PollPart)]

    def poll(self) -> list[PollPart]:
        """The parts of the first poll that was answered whole."""
        self.wait_for(lambda: any(part.last for part in self.parts()))
        return self.parts()

    def words(self) -> list[int] | None:
        """The words of the first block that was asked for."""
        words = self.poll()[0].answers[0].words
        return None if words is None else list(words)

    def failure(self) -> str:
        """Why the first block that was asked for was not answered."""
        answer = self.poll()[0].answers[0]
        assert answer.words is None
        return str(answer.error)

    def outcome(self, number: int) -> WriteDone:
        def found() -> list[WriteDone]:
            return [
                event
                for event in self.events
                if isinstance(event, WriteDone) and event.number == number
            ]

        self.wait_for(lambda: bool(found()))
        return found()[0]

    def states(self) -> list[LinkState]:
        return [event.state for event in self.events if isinstance(event, LinkChanged)]

    def until(self, state: LinkState, times: int = 1) -> LinkChanged:
        self.wait_for(lambda: self.states().count(state) >= times)
        return [
            event
            for event in self.events
            if isinstance(event, LinkChanged) and event.state is state
        ][-1]


@contextlib.contextmanager
def listening() -> Generator[Heard]:
    """Somebody who hears links; they are closed at the end."""
    ear = Heard()
    try:
        yield ear
    finally:
        for link in ear.links:
            link.close()


def connect(peer: ScriptedPeer, heard: Heard, **changes: object) -> ModbusLink:
    settings = config(peer.port, **{"timeout_s": 0.2, **changes})
    endpoint = Endpoint(
        device_id="d1",
        address=settings.address(),
        unit_id=settings.unit(),
        profile=settings.profile,
        timing=settings.timing(),
        max_registers=settings.longest_read(),
    )
    link = ModbusLink(endpoint, shared_loop(), SystemClock(), heard)
    heard.links.append(link)
    link.start()
    return link


def write(number: int, *steps: RegisterWords, safe: bool = False, expires_ns: int = 0) -> WriteJob:
    return WriteJob(number=number, safe=safe, steps=steps, checks=steps, expires_ns=expires_ns)


def misbehave(peer: ScriptedPeer, address: int, reply: Callable[[Request], Reply]) -> None:
    """Answer requests for one address wrongly, and all others rightly."""
    peer.script = lambda request: reply(request) if request.address == address else None
