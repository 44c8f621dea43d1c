"""Requests that come by an MQTT topic, on a connection of their own."""

from __future__ import annotations

import threading

import paho.mqtt.client as mqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from actors.publisher.command_source import CommandSource, Hand, Heard
from actors.publisher.mqtt_client import abandon, connect, new_client
from actors.publisher.mqtt_topics import Topics
from actors.publisher.sink_config import MqttConfig


class MqttCommands(CommandSource):
    """Listens to `PREFIX/SITE/command`; what the broker kept from before is not asked for."""

    def __init__(self, config: MqttConfig, site_id: str, hand: Hand) -> None:
        super().__init__(hand)
        self._config = config
        self._topic = Topics(config.prefix, site_id).command
        self._client_id = f"{config.prefix}-{site_id}-commands"
        self._gone = threading.Event()

    def listen(self) -> None:
        """Subscribe, and hand on what comes until the connection ends."""
        client = new_client(self._config, self._client_id)
        self._gone.clear()
        client.on_message = self._on_message
        client.on_disconnect = lambda *_: self._gone.set()
        connect(client, self._config)
        try:
            never = SubscribeOptions.RETAIN_DO_NOT_SEND
            options = SubscribeOptions(qos=1, retainHandling=never)
            client.subscribe(self._topic, options=options)
            self._gone.wait()
        finally:
            abandon(client)

    def interrupt(self) -> None:
        """End the wait for the connection's end."""
        self._gone.set()

    def _on_message(self, _client: object, _data: object, message: mqtt.MQTTMessage) -> None:
        self.hand(Heard(bytes(message.payload)))
