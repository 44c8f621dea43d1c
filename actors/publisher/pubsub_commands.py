"""Requests that come by a Pub/Sub subscription.

A request is acknowledged when it is heard: one that is lost with a crash is not carried out later, and its asker
sees that no answer comes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import SubscriberClient, types
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from actors.publisher.command_source import CommandSource, Hand, Heard
from actors.publisher.pubsub_channel import open_channel
from actors.publisher.sink_config import PubsubConfig

PULL_S: Final = 10.0
"""How long one pull waits; a half-open connection is noticed after it."""
_MAX_MESSAGES: Final = 20


class PubsubCommands(CommandSource):
    """Listens to `subscription` of the project of `config`."""

    def __init__(self, config: PubsubConfig, subscription: str, hand: Hand) -> None:
        super().__init__(hand)
        self._config = config
        self._subscription = config.subscription_path(subscription)
        self._channel: grpc.Channel | None = None

    def listen(self) -> None:
        """Pull until a call fails; a channel lives as long as calls are answered."""
        self._channel = channel = open_channel(self._config)
        try:
            transport = SubscriberGrpcTransport(host=self._config.endpoint, channel=channel)
            client = SubscriberClient(transport=transport)
            while not self.closing.is_set():
                self._pull(client)
        finally:
            channel.close()

    def interrupt(self) -> None:
        """Close the channel under the call that waits."""
        if self._channel is not None:
            self._channel.close()

    def _pull(self, client: SubscriberClient) -> None:
        request = types.PullRequest(subscription=self._subscription, max_messages=_MAX_MESSAGES)
        try:
            answer = client.pull(request=request, retry=None, timeout=PULL_S)
        except exceptions.DeadlineExceeded:
            self._probe(client)
            return
        received = types.PullResponse.pb(answer).received_messages
        if not received:
            return
        client.acknowledge(
            subscription=self._subscription,
            ack_ids=[each.ack_id for each in received],
            retry=None,
            timeout=self._config.timeout_s,
        )
        for each in received:
            self.hand(Heard(each.message.data))

    def _probe(self, client: SubscriberClient) -> None:
        """Find out whether nothing came or nothing can come: any answer tells that the connection lives."""
        with suppress(exceptions.PermissionDenied):  # an account that may only consume
            client.get_subscription(
                subscription=self._subscription, retry=None, timeout=self._config.timeout_s
            )
