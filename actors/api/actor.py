"""ApiActor: hears what the site tells, answers on HTTP, and passes orders on. It holds nothing that matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from actors.api.app import make_app
from actors.api.command_desk import ANSWER_S, CommandDesk
from actors.api.command_socket import Asked, CommandSocket
from actors.api.command_socket import listen as listen_for_commands
from actors.api.config import ApiConfig
from actors.api.people import People
from actors.api.server import HttpServer, listen
from actors.api.snapshot import Collection, Snapshot
from actors.messages import (
    SAFETY,
    DescribeDevice,
    DeviceSchema,
    ResetAnswer,
    Sample,
    SetpointAnswer,
)
from actors.schemas import SchemaBook
from supervision.actor import Actor, ActorContext, StopReason
from supervision.envelope import Header, Lane

MAX_UNANSWERED: Final = 15
"""Ticks after which a server whose loop has not turned is given up."""
PETITION_TTL_S: Final = ANSWER_S
"""An order that nobody waits for any more is not delivered."""
_log = structlog.get_logger()

_serving: dict[tuple[str, int], HttpServer] = {}
"""The servers of this process by configured address. A crashed incarnation leaves its own behind, still answering
with ever older news; the next one of the same address ends it."""


class ServerEndedError(Exception):
    """The HTTP server ended by itself, or its loop stands still."""


def build(config: bytes) -> Actor:
    """Return an ApiActor for the msgpack of an `ApiConfig`."""
    return ApiActor(msgspec.msgpack.decode(config, type=ApiConfig))


class ApiActor(Actor):
    """Publishes a snapshot of what it has heard at every tick; the server's thread only reads that."""

    def __init__(self, config: ApiConfig) -> None:
        self._config = config
        self._collection = Collection()
        self._schemas = SchemaBook()
        self._snapshot = Snapshot()
        self._desk = CommandDesk()
        self._commands: CommandSocket | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._server.port

    def on_start(self, context: ActorContext) -> None:
        """Listen.

        Raises:
            ApiBindError: the address cannot be listened on; supervision tries again.
            CommandSocketError: as well.
        """
        self._context = context
        self._unanswered = 0
        address = (self._config.host, self._config.port)
        if address in _serving:
            _serving.pop(address).stop()
        listener = listen(*address)
        app = make_app(lambda: self._snapshot, self._config, context.clock)
        self._server = HttpServer(app, listener, self._config, on_end=context.post)
        context.on_fence(self._server.release)
        self._server.start()
        _serving[address] = self._server
        self._listen_for_commands(context)
        _log.info("api listens", host=self._config.host, port=self.port)

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - a member of the site's union
        """Remember what is shown."""
        self._collection.take(message, self._context.clock.monotonic_ns())
        match message:
            case Sample():
                self._explain(message, header)
            case DeviceSchema():
                self._schemas.learn(message)
            case SetpointAnswer() | ResetAnswer() if header.sender == SAFETY:
                self._desk.answer(message)
            case _:
                pass

    def on_event(self, event: Any) -> None:  # noqa: ANN401 - a line, or the reason that the server's thread gives
        """Pass an order on, or fail with the server: a new incarnation listens again.

        Raises:
            ServerEndedError: the server ended.
        """
        if isinstance(event, Asked):
            petition = self._desk.ask(event, self._context.clock.monotonic_ns())
            if petition is not None:
                self._context.send(petition, SAFETY, lane=Lane.CONTROL, ttl_s=PETITION_TTL_S)
            return
        raise ServerEndedError(f"the http server ended: {event}")

    def on_tick(self) -> None:
        """Publish the snapshot, and see that the server still turns.

        Raises:
            ServerEndedError: its loop has not turned for `MAX_UNANSWERED` ticks.
        """
        self._snapshot = self._collection.snapshot()
        self._desk.give_up(self._context.clock.monotonic_ns())
        if self._unanswered >= MAX_UNANSWERED:
            self._server.release()
            raise ServerEndedError(f"the http server stood still for {self._unanswered} ticks")
        self._unanswered += 1
        self._server.ping(self._on_answer)

    def on_stop(self, reason: StopReason) -> None:
        """Stop serving."""
        self._desk.close()
        if self._commands is not None and not self._commands.stop():
            _log.warning("command socket did not end in time", reason=reason.value)
        if not self._server.stop():
            _log.warning("http server did not end in time", reason=reason.value)

    def _listen_for_commands(self, context: ActorContext) -> None:
        if not self._config.state_dir:
            return
        listening = listen_for_commands(Path(self._config.state_dir), self._config.command_group)
        people = People(self._config.roles)
        self._commands = CommandSocket(listening, people, context.clock, on_line=context.post)
        context.on_fence(self._commands.release)
        self._commands.start()

    def _on_answer(self) -> None:
        self._unanswered = 0  # from the server's thread; losing one count to a race is harmless

    def _explain(self, sample: Sample, header: Header) -> None:
        """Ask for the schema of `sample` if it is unknown."""
        now_s = self._context.clock.monotonic_s()
        unknown = self._schemas.schema_of(sample) is None
        if unknown and self._schemas.should_ask(sample.device_id, now_s):
            self._context.send(DescribeDevice(device_id=sample.device_id), header.sender)
