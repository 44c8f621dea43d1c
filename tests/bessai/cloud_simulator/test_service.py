from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from google.api_core import exceptions
from google.pubsub_v1 import types

from bessai.cloud_simulator.driven import SimulatedCloud
from bessai.cloud_simulator.faults import Action, Fault
from tests.cloud_client import PROJECT, CloudClient, topic_on


def _publish(client: CloudClient, *bodies: bytes, key: str = "") -> list[str]:
    messages = [types.PubsubMessage(data=body, ordering_key=key) for body in bodies]
    answer = client.publisher.publish(
        topic=client.config.topic_path, messages=messages, retry=None, timeout=5.0
    )
    return list(answer.message_ids)


def test_what_is_published_is_pulled_with_its_attributes(address: str) -> None:
    with topic_on(address) as client:
        message = types.PubsubMessage(data=b"1", attributes={"a": "b", "empty": ""})
        client.publisher.publish(topic=client.config.topic_path, messages=[message])

        (received,) = client.take(1)

        assert (received.data, dict(received.attributes)) == (b"1", {"a": "b", "empty": ""})


def test_messages_of_one_key_arrive_in_order(address: str) -> None:
    with topic_on(address) as client:
        bodies = [str(number).encode() for number in range(500)]
        for start in range(0, 500, 100):
            _publish(client, *bodies[start : start + 100], key="b1")

        assert [message.data for message in client.take(500)] == bodies


def test_a_message_given_back_is_delivered_again(address: str) -> None:
    with topic_on(address) as client:
        _publish(client, b"1")
        (first,) = client.pull()
        client.subscriber.modify_ack_deadline(
            subscription=client.subscription, ack_ids=[first.ack_id], ack_deadline_seconds=0
        )

        (again,) = client.take(1)

        assert again.message_id == first.message.message_id


def test_a_stream_delivers_what_is_published_after_it_was_opened(address: str) -> None:
    with topic_on(address) as client:
        heard = threading.Event()
        stream = client.subscriber.streaming_pull(requests=_open_stream(client, heard), timeout=10)
        _publish(client, b"1")

        response = next(iter(stream))

        assert [each.message.data for each in response.received_messages] == [b"1"]
        heard.set()


def _open_stream(
    client: CloudClient, heard: threading.Event
) -> Iterator[types.StreamingPullRequest]:
    """Ask for messages, and stay connected until they were heard."""
    yield types.StreamingPullRequest(
        subscription=client.subscription, stream_ack_deadline_seconds=60
    )
    heard.wait(10.0)


@pytest.mark.parametrize(
    "name", [f"projects/{PROJECT}/topics/t1", f"projects/{PROJECT}/topics/1abc"]
)
def test_a_name_that_is_none_is_refused(address: str, name: str) -> None:
    with topic_on(address) as client, pytest.raises(exceptions.InvalidArgument):
        client.publisher.create_topic(name=name, retry=None, timeout=5.0)


def test_a_topic_exists_once(address: str) -> None:
    with topic_on(address) as client, pytest.raises(exceptions.AlreadyExists):
        client.publisher.create_topic(name=client.config.topic_path, retry=None, timeout=5.0)


def test_a_topic_that_is_gone_is_not_found(address: str) -> None:
    with topic_on(address) as client:
        client.publisher.delete_topic(topic=client.config.topic_path)

        with pytest.raises(exceptions.NotFound):
            _publish(client, b"1")


def test_a_message_of_nothing_is_refused(address: str) -> None:
    with topic_on(address) as client, pytest.raises(exceptions.InvalidArgument):
        _publish(client, b"")


def test_too_many_messages_in_one_request_are_refused(address: str) -> None:
    with topic_on(address) as client, pytest.raises(exceptions.InvalidArgument):
        _publish(client, *[b"1"] * 1001)


def test_a_status_on_order_ends_after_its_count(cloud: SimulatedCloud) -> None:
    with topic_on(cloud.address) as client:
        cloud.order(Fault(method="Publish", action=Action.STATUS, code="UNAVAILABLE"))
        with pytest.raises(exceptions.ServiceUnavailable):
            _publish(client, b"1")

        _publish(client, b"2")

        assert [message.data for message in client.take(1)] == [b"2"]


def test_a_lost_reply_leaves_the_message_stored(cloud: SimulatedCloud) -> None:
    with topic_on(cloud.address) as client:
        cloud.order(Fault(method="Publish", action=Action.LOSE_REPLY))
        with pytest.raises(exceptions.ServiceUnavailable):
            _publish(client, b"1")

        assert [message.data for message in client.take(1)] == [b"1"]


def test_a_call_that_hangs_ends_with_the_callers_patience(cloud: SimulatedCloud) -> None:
    with topic_on(cloud.address) as client:
        cloud.order(Fault(method="GetTopic", action=Action.HANG))

        with pytest.raises(exceptions.DeadlineExceeded):
            client.publisher.get_topic(topic=client.config.topic_path, retry=None, timeout=0.3)


def test_a_lease_that_ends_brings_the_message_back(cloud: SimulatedCloud) -> None:
    with topic_on(cloud.address) as client:
        _publish(client, b"1")
        (first,) = client.pull()
        client.subscriber.modify_ack_deadline(
            subscription=client.subscription, ack_ids=[first.ack_id], ack_deadline_seconds=1
        )

        (again,) = client.take(1)

        assert again.data == b"1"
