from __future__ import annotations

from collections.abc import Iterator

import grpc
import msgspec
import pytest

from actors.publisher.pubsub_channel import open_channel
from actors.publisher.pubsub_sink import PubsubSink
from actors.publisher.record import Record
from actors.publisher.sink_config import PubsubConfig
from bessai.cloud_simulator.driven import ChaosRelay, SimulatedCloud
from bessai.cloud_simulator.faults import Action, Fault
from bessai.cloud_simulator.relay import Mode
from bessai.testing import wait_for
from tests.actors.publisher.records import number_of, record
from tests.cloud_client import CloudClient, topic_on


@pytest.fixture
def client(cloud: SimulatedCloud) -> Iterator[CloudClient]:
    with topic_on(cloud.address) as client:
        yield client
    cloud.clear()


@pytest.fixture
def sink(client: CloudClient) -> Iterator[PubsubSink]:
    sink = PubsubSink(client.config)
    yield sink
    sink.close()


def _records(count: int) -> list[Record]:
    return [record(number) for number in range(count)]


def _numbers(client: CloudClient, count: int) -> list[int]:
    return [number_of(message.data) for message in client.take(count)]


def test_records_are_published_in_order_under_their_devices_key(address: str) -> None:
    with topic_on(address) as client:
        sink = PubsubSink(client.config)
        assert len(sink.send(_records(300)).acknowledged) == 300
        sink.close()

        messages = client.take(300)

        assert [number_of(message.data) for message in messages] == list(range(300))
        assert {message.ordering_key for message in messages} == {"b1"}
        assert messages[7].attributes["dedupe_id"] == "S/sample/b1/1/7"


def test_more_than_a_request_holds_goes_in_several(client: CloudClient, sink: PubsubSink) -> None:
    assert len(sink.send(_records(2500)).acknowledged) == 2500
    assert _numbers(client, 2500) == list(range(2500))


def test_large_records_are_cut_into_requests_that_fit(
    client: CloudClient, sink: PubsubSink
) -> None:
    large = [record(number, size=900_000) for number in range(15)]

    assert len(sink.send(large).acknowledged) == 15
    assert len(client.take(15)) == 15


@pytest.mark.parametrize("bad", [0, 41, 99])
def test_a_record_that_is_refused_is_found_and_the_others_pass(
    cloud: SimulatedCloud, client: CloudClient, sink: PubsubSink, bad: int
) -> None:
    cloud.reject(f'"n": {bad},')

    delivery = sink.send(_records(100))

    assert set(delivery.rejected) == {bad}
    assert "poison" in delivery.rejected[bad]
    assert _numbers(client, 99) == [number for number in range(100) if number != bad]


def test_a_missing_topic_is_told_with_the_fix(client: CloudClient) -> None:
    config = msgspec.structs.replace(client.config, topic="nobody-made-it")

    fault = PubsubSink(config).send(_records(1)).fault

    assert "takes nothing (target)" in fault
    assert "create the topic" in fault


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNAVAILABLE", "outage"),
        ("RESOURCE_EXHAUSTED", "outage"),
        ("INTERNAL", "outage"),
        ("UNAUTHENTICATED", "credentials"),
        ("PERMISSION_DENIED", "credentials"),
    ],
)
def test_each_status_is_told_as_what_it_means(
    cloud: SimulatedCloud, sink: PubsubSink, code: str, kind: str
) -> None:
    cloud.order(Fault(method="Publish", action=Action.STATUS, code=code))

    assert f"takes nothing ({kind})" in sink.send(_records(1)).fault
    assert sink.send(_records(1)).fault == ""


def test_after_a_lost_reply_the_repetition_has_the_same_key(
    cloud: SimulatedCloud, client: CloudClient, sink: PubsubSink
) -> None:
    cloud.order(Fault(method="Publish", action=Action.LOSE_REPLY))
    assert not sink.send(_records(2)).acknowledged
    assert len(sink.send(_records(2)).acknowledged) == 2

    messages = client.take(4)

    assert [message.attributes["dedupe_id"][-1] for message in messages] == ["0", "1", "0", "1"]


def test_a_half_open_connection_is_given_up_after_two_silent_attempts(
    cloud: SimulatedCloud, client: CloudClient
) -> None:
    opened: list[PubsubConfig] = []

    def connect(config: PubsubConfig) -> grpc.Channel:
        opened.append(config)
        return open_channel(config)

    with ChaosRelay(cloud.port) as relay:
        config = msgspec.structs.replace(client.config, endpoint=relay.address, timeout_s=0.5)
        sink = PubsubSink(config, connect)
        wait_for("the first record is taken", lambda: not sink.send(_records(1)).fault)
        before = len(opened)
        relay.mode(Mode.HALF_OPEN)

        faults = [sink.send(_records(1)).fault for _ in range(2)]
        wait_for("a new connection is made", lambda: not sink.send(_records(1)).fault)
        sink.close()

    assert all("outage" in fault for fault in faults)
    assert len(opened) > before


def test_a_refused_connection_is_an_outage_that_passes(
    cloud: SimulatedCloud, client: CloudClient
) -> None:
    with ChaosRelay(cloud.port) as relay:
        relay.mode(Mode.REFUSE)
        sink = PubsubSink(msgspec.structs.replace(client.config, endpoint=relay.address))
        assert "outage" in sink.send(_records(1)).fault
        relay.mode(Mode.PASS)
        sink.close()  # a channel in its back-off is not waited for here

        assert sink.send(_records(1)).fault == ""
        sink.close()
