"""Where requests from outside come in: a thread that listens and hands on what it hears, unread."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

import structlog

from actors.publisher.command_config import CommandPath, CommandsConfig
from actors.publisher.config import PublisherConfig

PAUSE_S: Final = 2.0
"""How long a listener waits after a failure."""
_log = structlog.get_logger()


class Heard(NamedTuple):
    """A request as it came."""

    raw: bytes


Hand = Callable[[Heard], None]


class CommandSource(abc.ABC):
    """Listens in a thread of its own until it is closed, and begins anew whenever listening fails."""

    def __init__(self, hand: Hand) -> None:
        """Give everything that is heard to `hand`."""
        self.hand = hand
        self.closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """End; does not wait, and may be called more than once and from any thread."""
        self.closing.set()
        self.interrupt()

    @abc.abstractmethod
    def listen(self) -> None:
        """Connect, and hand on what comes until it fails or `closing` is set."""

    @abc.abstractmethod
    def interrupt(self) -> None:
        """Make `listen` end soon; may be called from any thread."""

    def _run(self) -> None:
        told = ""
        while not self.closing.is_set():
            try:
                self.listen()
                told = ""
            except Exception as error:  # noqa: BLE001 - whatever a library raises, the next attempt may go well
                if not self.closing.is_set() and told != str(error):
                    told = str(error)
                    _log.warning("commands cannot be heard", reason=told)
            self.closing.wait(PAUSE_S)


def open_source(config: PublisherConfig, commands: CommandsConfig, hand: Hand) -> CommandSource:
    """Return the source that `commands` chooses, not yet started."""
    match commands.via:
        case CommandPath.PUBSUB:
            from actors.publisher.pubsub_commands import PubsubCommands  # noqa: PLC0415 - if chosen

            if config.pubsub is None:
                raise ValueError("publisher.pubsub is missing")
            return PubsubCommands(config.pubsub, commands.subscription, hand)
        case CommandPath.MQTT:
            from actors.publisher.mqtt_commands import MqttCommands  # noqa: PLC0415 - if chosen

            if config.mqtt is None:
                raise ValueError("publisher.mqtt is missing")
            return MqttCommands(config.mqtt, config.site_id, hand)
        case _:
            assert_never(commands.via)
