"""A real mosquitto broker of the tests' own, and a client that listens to it."""

from __future__ import annotations

import queue
import shutil
import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from bessai.testing import free_port, wait_for


def program() -> str:
    """Return where mosquitto is; Debian keeps it out of an ordinary user's path."""
    found = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    assert found, "mosquitto is not installed: apt-get install mosquitto"
    return found


class Broker:
    """A mosquitto process on a free port of the loopback."""

    def __init__(self, directory: Path, *settings: str, port: int = 0) -> None:
        self.port = port or free_port()
        self._config = directory / f"mosquitto-{self.port}.conf"
        lines = [f"listener {self.port} 127.0.0.1", "log_dest none", *settings]
        if not any(line.startswith(("allow_anonymous", "password_file")) for line in settings):
            lines.append("allow_anonymous true")
        self._config.write_text("\n".join([*lines, ""]))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [program(), "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        wait_for("the broker listens", self._listens)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10.0)

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._process.communicate()[1]
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1.0).close()
        except OSError:
            return False
        return True


class Heard(NamedTuple):
    topic: str
    payload: bytes
    retained: bool
    properties: dict[str, str]

    @property
    def data(self) -> bytes:
        """The payload, by the name that Pub/Sub has for it."""
        return self.payload

    @property
    def attributes(self) -> dict[str, str]:
        """The properties, by the name that Pub/Sub has for them."""
        return self.properties


class Listener:
    """A client that keeps everything it hears on some topics."""

    def __init__(self, port: int, *topics: str, tls: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._topics = topics
        self._heard: queue.Queue[Heard] = queue.Queue()
        self._ready: queue.Queue[None] = queue.Queue()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self.client.on_message = self._on_message
        self.client.on_subscribe = lambda *_: self._ready.put(None)
        if tls:
            self.client.tls_set_context(tls)

    def __enter__(self) -> Self:
        self.client.connect("localhost" if self.client._ssl_context else "127.0.0.1", self._port)
        self.client.loop_start()
        wait_for("the listener is connected", self.client.is_connected)
        self.client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._topics])
        self._ready.get(timeout=10.0)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def take(self, count: int = 1) -> list[Heard]:
        """Return the next `count` messages."""
        return [self._heard.get(timeout=10.0) for _ in range(count)]

    def keys(self) -> set[str]:
        """Return the keys of the messages that are not yet taken."""
        return {each.properties["dedupe_id"] for each in list(self._heard.queue)}

    def everything(self) -> list[Heard]:
        """Return all that was heard and not yet taken."""
        return self.take(self._heard.qsize())

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        said: Sequence[tuple[str, str]] = getattr(message.properties, "UserProperty", [])
        heard = Heard(message.topic, bytes(message.payload), message.retain, dict(said))
        self._heard.put(heard)
