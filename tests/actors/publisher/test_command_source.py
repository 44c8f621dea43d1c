from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import grpc
import msgspec
import pytest
from google.pubsub_v1 import types

from actors.publisher import command_source, pubsub_commands
from actors.publisher.command_config import CommandPath, CommandsConfig
from actors.publisher.command_source import Heard, open_source
from actors.publisher.config import PublisherConfig
from actors.publisher.pubsub_channel import open_channel
from actors.publisher.sink_config import MqttConfig, PubsubConfig
from bessai.cloud_simulator.driven import ChaosRelay, SimulatedCloud
from bessai.cloud_simulator.faults import Action, Fault
from bessai.cloud_simulator.relay import Mode
from tests.actors.publisher.orders import command_key
from tests.cloud_client import CloudClient, topic_on
from tests.mosquitto import Broker, Listener


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_source, "PAUSE_S", 0.05)


@pytest.fixture
def client(cloud: SimulatedCloud) -> Iterator[CloudClient]:
    with topic_on(cloud.address) as client:
        yield client
    cloud.clear()


class Ears:
    """A source and what it heard."""

    def __init__(self, config: PublisherConfig) -> None:
        assert config.commands is not None
        self.heard: queue.Queue[Heard] = queue.Queue()
        self.source = open_source(config, config.commands, self.heard.put)

    def __enter__(self) -> Self:
        self.source.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()
        self.source._thread.join(10.0)
        assert not self.source._thread.is_alive()

    def next(self) -> bytes:
        return self.heard.get(timeout=10.0).raw


def _by_pubsub(client: CloudClient, directory: Path) -> PublisherConfig:
    commands = CommandsConfig(
        via=CommandPath.PUBSUB,
        keys=(command_key(directory),),
        subscription=client.subscription.rpartition("/")[2],
    )
    return PublisherConfig(
        site_id="S", state_dir=str(directory), pubsub=client.config, commands=commands
    )


def _ask(client: CloudClient, body: bytes) -> None:
    message = types.PubsubMessage(data=body)
    client.publisher.publish(topic=client.config.topic_path, messages=[message])


def test_a_request_by_pubsub_is_heard_and_acknowledged(client: CloudClient, tmp_path: Path) -> None:
    with Ears(_by_pubsub(client, tmp_path)) as ears:
        _ask(client, b"1")
        assert ears.next() == b"1"
        _ask(client, b"2")
        assert ears.next() == b"2"

    assert client.pull(timeout_s=0.3) == []


def test_listening_begins_anew_after_an_outage(
    cloud: SimulatedCloud, client: CloudClient, tmp_path: Path
) -> None:
    cloud.order(Fault(method="Pull", action=Action.STATUS, count=3))
    with Ears(_by_pubsub(client, tmp_path)) as ears:
        _ask(client, b"1")

        assert ears.next() == b"1"


def test_a_half_open_connection_is_noticed_and_made_anew(
    cloud: SimulatedCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub_commands, "PULL_S", 0.3)
    briefly = topic_on(cloud.address, lease_s=1)  # what the dead connection was given comes again
    with ChaosRelay(cloud.port) as relay, briefly as client:
        pubsub = msgspec.structs.replace(client.config, endpoint=relay.address, timeout_s=0.5)
        config = msgspec.structs.replace(_by_pubsub(client, tmp_path), pubsub=pubsub)
        with Ears(config) as ears:
            _ask(client, b"1")
            assert ears.next() == b"1"
            relay.mode(Mode.HALF_OPEN)
            _ask(client, b"2")

            assert ears.next() == b"2"


def test_an_account_that_may_only_consume_keeps_its_connection(
    cloud: SimulatedCloud,
    client: CloudClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[PubsubConfig] = []

    def open_counted(config: PubsubConfig) -> grpc.Channel:
        opened.append(config)
        return open_channel(config)

    monkeypatch.setattr(pubsub_commands, "PULL_S", 0.1)
    monkeypatch.setattr(pubsub_commands, "open_channel", open_counted)
    denied = Action.STATUS
    cloud.order(Fault(method="GetSubscription", action=denied, code="PERMISSION_DENIED", count=-1))
    cloud.order(Fault(method="Pull", action=Action.HANG, seconds=1.0, count=3))
    with Ears(_by_pubsub(client, tmp_path)) as ears:
        _ask(client, b"1")

        assert ears.next() == b"1"
    assert len(opened) == 1


def test_a_request_by_mqtt_is_heard_and_a_retained_one_is_not(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker, Listener(broker.port, "$SYS/none") as asker:
        config = PublisherConfig(
            site_id="S",
            state_dir=str(tmp_path),
            mqtt=MqttConfig(host="127.0.0.1", port=broker.port, tls=False),
            commands=CommandsConfig(via=CommandPath.MQTT, keys=(command_key(tmp_path),)),
        )
        asker.client.publish("bessai/S/command", b"old", 1, retain=True).wait_for_publish(10.0)
        with Ears(config) as ears:
            while ears.heard.empty():
                asker.client.publish("bessai/S/command", b"new", 1).wait_for_publish(10.0)

            assert ears.next() == b"new"
