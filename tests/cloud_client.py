"""A Pub/Sub subscriber and administrator for tests: Google's generated client, plain text."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, SubscriberClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from actors.publisher.sink_config import PubsubConfig

PROJECT = "bessai-test"
_OPTIONS = (("grpc.max_receive_message_length", -1),)
_numbers = itertools.count(1)


class CloudClient:
    """Makes a topic and an ordered subscription of its own, and reads it."""

    def __init__(
        self,
        address: str,
        *,
        channel: Callable[[], grpc.Channel] | None = None,
        lease_s: int = 60,
        ordered: bool = True,
    ) -> None:
        self._address = address
        self._channel = channel() if channel else grpc.insecure_channel(address, options=_OPTIONS)
        number = next(_numbers)
        self.config = PubsubConfig(
            project_id=PROJECT,
            topic=f"telemetry-{number}-{time.time_ns()}",
            endpoint=address,
            plaintext=True,
            timeout_s=2.0,
        )
        self.subscription = self.config.subscription_path(f"reader-{number}-{time.time_ns()}")
        self.publisher = PublisherClient(transport=PublisherGrpcTransport(channel=self._channel))
        self.subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=self._channel))
        self.publisher.create_topic(name=self.config.topic_path)
        self.subscriber.create_subscription(
            request={
                "name": self.subscription,
                "topic": self.config.topic_path,
                "enable_message_ordering": ordered,
                "ack_deadline_seconds": lease_s,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def pull(self, limit: int = 1000, *, timeout_s: float = 2.0) -> list[Any]:
        """Return what waits, as it is received; empty if nothing comes in time."""
        request = types.PullRequest(subscription=self.subscription, max_messages=limit)
        try:
            answer = self.subscriber.pull(request=request, timeout=timeout_s, retry=None)
        except exceptions.DeadlineExceeded:
            return []
        return list(types.PullResponse.pb(answer).received_messages)

    def acknowledge(self, received: list[Any]) -> None:
        if received:
            ack_ids = [each.ack_id for each in received]
            self.subscriber.acknowledge(subscription=self.subscription, ack_ids=ack_ids)

    def take(self, count: int, *, within_s: float = 15.0) -> list[Any]:
        """Return `count` messages, acknowledged, or as many as came within `within_s`."""
        deadline_s = time.monotonic() + within_s
        messages: list[Any] = []
        while len(messages) < count and time.monotonic() < deadline_s:
            received = self.pull()
            self.acknowledge(received)
            messages += [each.message for each in received]
        return messages

    def drain(self, *, quiet_s: float = 0.5) -> list[Any]:
        """Return everything that waits, acknowledged, until nothing more comes for `quiet_s`."""
        messages: list[Any] = []
        while received := self.pull(timeout_s=quiet_s):
            self.acknowledge(received)
            messages += [each.message for each in received]
        return messages


@contextmanager
def topic_on(address: str, **options: Any) -> Generator[CloudClient]:
    with CloudClient(address, **options) as client:
        yield client
