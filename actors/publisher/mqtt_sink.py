"""The sink that publishes to an MQTT 5 broker: QoS 1, the site's birth and death retained.

The client's own queue is never trusted: a batch is given to it, its acknowledgements are waited for, and whatever is
still open after the timeout is forgotten with the connection and sent again from the spool.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Final

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from actors.publisher.attributes import attributes_of
from actors.publisher.home_assistant import Announcer
from actors.publisher.mqtt_client import abandon, connect, new_client, refused, user_properties
from actors.publisher.mqtt_topics import OFFLINE, ONLINE, Topics
from actors.publisher.record import Record
from actors.publisher.sink_config import MqttConfig
from actors.publisher.sink_fault import FaultError, SinkFault
from actors.publisher.sinks import Delivery

QOS: Final = 1
_AT_ONCE: Final = 1000
REFUSED_RECORD: Final = frozenset({0x83, 0x90, 0x95, 0x99})
"""Implementation specific, topic name, packet too large, payload format: of the record, not of us (MQTT 5, 2.4)."""

COMPLAINTS: Final = frozenset({0x81, 0x82, 0x90, 0x95, 0x99})
"""Malformed packet, protocol error and the above: so a broker closes a connection on which something came that it
does not take; mosquitto does so for a record above its message_size_limit."""


class MqttSink:
    """Publishes each record under the topic of its device and kind.

    `send` blocks for connecting and for the acknowledgements, each at most `config.timeout_s`.
    """

    name = "mqtt"

    def __init__(self, config: MqttConfig, site_id: str) -> None:
        """Publish to the broker of `config` as `site_id`."""
        self._config = config
        self._topics = Topics(config.prefix, site_id)
        self._site_id = site_id
        self._place = f"{config.host}:{config.port}"
        self._client: mqtt.Client | None = None
        self._announcer = Announcer(config.discovery_prefix, self._topics)
        self._changed = threading.Condition()
        self._answers: dict[int, ReasonCode] = {}
        self._lost = ""
        self._complained = False
        self._at_once = _AT_ONCE

    def send(self, batch: Sequence[Record]) -> Delivery:
        """Publish `batch` and return what the broker acknowledged of it in time."""
        try:
            client = self._ready()
            if self._config.home_assistant:
                self._announce(client, batch)
            part = batch[: self._at_once]
            return self._blame(len(part), self._judge([self._publish(client, r) for r in part]))
        except FaultError as error:
            self._drop()
            return Delivery((), fault=str(error))

    def close(self) -> None:
        """Tell that the site goes, and disconnect."""
        client = self._client
        if client is not None and client.is_connected():
            told = client.publish(self._topics.status, OFFLINE, QOS, retain=True)
            self._answered([told.mid], time.monotonic() + self._config.timeout_s)
            client.disconnect()
        self._drop()

    def _ready(self) -> mqtt.Client:
        """Return a client that is connected and has told the site's birth."""
        if self._client is not None and self._client.is_connected():
            return self._client
        self._drop()
        client = new_client(self._config, f"{self._config.prefix}-{self._site_id}")
        client.will_set(self._topics.status, OFFLINE, QOS, retain=True)
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        self._client, self._lost, self._complained = client, "", False
        connect(client, self._config)
        client.publish(self._topics.status, ONLINE, QOS, retain=True)
        self._announcer.forget()
        return client

    def _announce(self, client: mqtt.Client, batch: Sequence[Record]) -> None:
        for record in batch:
            for topic, payload in self._announcer.announcements(record):
                client.publish(topic, payload, QOS, retain=True)

    def _publish(self, client: mqtt.Client, record: Record) -> int:
        """Hand `record` to the client; return the number under which it is acknowledged."""
        properties = user_properties(PacketTypes.PUBLISH, attributes_of(record))
        properties.ContentType = "application/json"
        topic = self._topics.of(record)
        told = client.publish(topic, record.body, QOS, properties=properties)
        if told.rc not in {mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_NO_CONN}:
            raise FaultError(
                f"{self._place} takes nothing (outage): {mqtt.error_string(told.rc)}",
                SinkFault.OUTAGE,
            )
        return told.mid

    def _judge(self, sent: list[int]) -> Delivery:
        """Wait for the broker's answers; stop at the first record that has none."""
        answers = self._answered(sent, time.monotonic() + self._config.timeout_s)
        acknowledged: list[int] = []
        rejected: dict[int, str] = {}
        for index, mid in enumerate(sent):
            code = answers.get(mid)
            if code is None:
                reason = self._lost or f"no acknowledgement within {self._config.timeout_s:g} s"
                self._drop()
                fault = f"{self._place} takes nothing (outage): {reason}; it is tried again"
                return Delivery(acknowledged, rejected, fault)
            if not code.is_failure:
                acknowledged.append(index)
            elif code.value in REFUSED_RECORD:
                rejected[index] = f"{self._place} refuses the record (poison): {code}"
            else:
                self._drop()
                return Delivery(acknowledged, rejected, str(refused(self._place, code)))
        return Delivery(acknowledged, rejected)

    def _blame(self, count: int, delivery: Delivery) -> Delivery:
        """Send fewer at once after a complaint, until a record stands alone that is then refused."""
        if not self._complained:
            self._at_once = min(2 * self._at_once, _AT_ONCE)
            return delivery
        if count == 1 and not delivery.acknowledged:
            return Delivery((), {0: f"{self._place} closes on the record (poison): {self._lost}"})
        self._at_once = max(1, count // 2)
        return delivery

    def _answered(self, sent: Sequence[int], deadline_s: float) -> dict[int, ReasonCode]:
        """Return the answers to `sent` that came before `deadline_s` of the monotonic clock, and forget them."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._lost or all(mid in self._answers for mid in reversed(sent)),
                deadline_s - time.monotonic(),
            )
            answers, self._answers = self._answers, {}
            return answers

    def _drop(self) -> None:
        """Forget the connection and everything that the client still holds."""
        client, self._client = self._client, None
        if client is not None:
            abandon(client)
        with self._changed:
            self._answers.clear()

    def _on_publish(
        self,
        _client: mqtt.Client,
        _data: object,
        mid: int,
        code: ReasonCode,
        _properties: object,
    ) -> None:
        with self._changed:
            self._answers[mid] = code
            self._changed.notify_all()

    def _on_disconnect(
        self,
        client: mqtt.Client,
        _data: object,
        _flags: object,
        code: ReasonCode,
        _properties: object,
    ) -> None:
        with self._changed:
            if client is self._client:
                self._lost = f"the connection was lost ({code})"
                self._complained = code.value in COMPLAINTS
            self._changed.notify_all()
