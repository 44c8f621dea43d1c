"""The sink that publishes to Google Cloud Pub/Sub, by the client's generated part only.

The client's batching layer keeps messages in memory that the spool keeps better, loses them after ten minutes, and
starts a thread for every batch while it is offline. Here the spool is the batcher: one request is under way at a time,
made by the thread that calls, and it ends within its timeout. Messages of one device have one ordering key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import grpc
from google.api_core import exceptions
from google.pubsub_v1 import PublisherClient, types
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from actors.publisher.attributes import attributes_of
from actors.publisher.pubsub_channel import open_channel
from actors.publisher.pubsub_fault import explain
from actors.publisher.record import Record
from actors.publisher.sink_config import PubsubConfig
from actors.publisher.sink_fault import FaultError, SinkFault
from actors.publisher.sinks import Delivery

MAX_MESSAGES: Final = 1000
"""The service refuses more in one request."""
MAX_BYTES: Final = 9_000_000
"""The service refuses 10 MB; attributes are counted roughly."""
SILENT_ATTEMPTS: Final = 2
"""So many attempts in a row without any answer, and the connection is taken for half open."""
_ATTRIBUTE_BYTES: Final = 400
_Message = types.PubsubMessage.pb()
_Request = types.PublishRequest.pb()


class _Outcome(NamedTuple):
    """What is known of a batch so far, by index."""

    acknowledged: set[int]
    rejected: dict[int, str]


class PubsubSink:
    """Publishes to one topic; `send` blocks for as long as `config.timeout_s` for each request."""

    name = "pubsub"

    def __init__(
        self, config: PubsubConfig, connect: Callable[[PubsubConfig], grpc.Channel] = open_channel
    ) -> None:
        """Publish to the topic of `config` through channels made by `connect`."""
        self._config = config
        self._connect = connect
        self._channel: grpc.Channel | None = None
        self._client: PublisherClient | None = None
        self._silent = 0

    def send(self, batch: Sequence[Record]) -> Delivery:
        """Publish `batch`, request by request, up to the first that fails for another reason than its records."""
        outcome = _Outcome(set(), {})
        try:
            for start, part in _requests(batch):
                self._publish(part, start, outcome)
        except FaultError as error:
            return Delivery(outcome.acknowledged, outcome.rejected, str(error))
        return Delivery(outcome.acknowledged, outcome.rejected)

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._client = None
        self._silent = 0

    def _publish(self, records: Sequence[Record], start: int, outcome: _Outcome) -> None:
        """Publish `records`; where the service refuses one of them, halve until it stands alone."""
        try:
            self._request(records)
        except FaultError as error:
            if error.fault is not SinkFault.POISON:
                raise
            if len(records) == 1:
                outcome.rejected[start] = str(error)
                return
            half = len(records) // 2
            self._publish(records[:half], start, outcome)
            self._publish(records[half:], start + half, outcome)
        else:
            outcome.acknowledged.update(range(start, start + len(records)))

    def _request(self, records: Sequence[Record]) -> None:
        request = _Request(topic=self._config.topic_path, messages=map(_message, records))
        try:
            self._ready().publish(
                request=types.PublishRequest.wrap(request),
                retry=None,
                timeout=self._config.timeout_s,
            )
        except exceptions.GoogleAPICallError as error:
            self._note_silence(error)
            raise explain(
                error, topic=self._config.topic_path, endpoint=self._config.endpoint
            ) from error
        self._silent = 0

    def _ready(self) -> PublisherClient:
        if self._client is None:
            self._channel = self._connect(self._config)
            transport = PublisherGrpcTransport(host=self._config.endpoint, channel=self._channel)
            self._client = PublisherClient(transport=transport)
        return self._client

    def _note_silence(self, error: exceptions.GoogleAPICallError) -> None:
        """After too many attempts without an answer, have the next one connect anew."""
        self._silent = self._silent + 1 if isinstance(error, exceptions.DeadlineExceeded) else 0
        if self._silent >= SILENT_ATTEMPTS:
            self.close()


def _message(record: Record) -> Any:  # noqa: ANN401 - a protobuf class that is made at run time
    return _Message(
        data=record.body,
        attributes=attributes_of(record),
        ordering_key=record.device_id,
    )


def _requests(batch: Sequence[Record]) -> Iterator[tuple[int, Sequence[Record]]]:
    """Cut `batch` into what the service takes in one request, each with the index of its first record."""
    start = size = 0
    for index, record in enumerate(batch):
        more = len(record.body) + _ATTRIBUTE_BYTES
        if index > start and (index - start >= MAX_MESSAGES or size + more > MAX_BYTES):
            yield start, batch[start:index]
            start, size = index, 0
        size += more
    if start < len(batch):
        yield start, batch[start:]
