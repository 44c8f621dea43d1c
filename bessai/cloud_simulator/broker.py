"""Topics and what is subscribed to them, safe for the threads of a server."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Final

from bessai.cloud_simulator.names import is_valid
from bessai.cloud_simulator.subscription import Delivered, Subscription
from supervision.clock import NS_PER_S, Clock

MAX_MESSAGES: Final = 1000
MAX_BYTES: Final = 10_000_000


class BrokerError(Exception):
    """A request that the service refuses; `code` is the name of a gRPC status."""

    def __init__(self, code: str, message: str) -> None:
        """Refuse with `code`."""
        super().__init__(message)
        self.code = code


class Broker:
    """The whole service, without its protocol."""

    def __init__(self, clock: Clock) -> None:
        self.rejected_text = b""
        """A message whose data contains this is refused: it stands for one that does not fit its topic's schema."""
        self.published = 0
        self._clock = clock
        self._changed = threading.Condition()
        self._topics: dict[str, dict[str, Subscription]] = {}
        self._subscriptions: dict[str, Subscription] = {}

    def create_topic(self, name: str) -> None:
        """Add a topic."""
        _check_name(name, "topics")
        with self._changed:
            if name in self._topics:
                raise BrokerError("ALREADY_EXISTS", f"Topic already exists: {name}")
            self._topics[name] = {}

    def delete_topic(self, name: str) -> None:
        """Remove a topic; its subscriptions stay, and get nothing any more."""
        with self._changed:
            self._topic(name)
            del self._topics[name]

    def topics(self, project: str) -> list[str]:
        """Return the names of the topics of `project`, which is `projects/...`."""
        with self._changed:
            return [name for name in self._topics if name.startswith(f"{project}/")]

    def check_topic(self, name: str) -> None:
        """Refuse a topic that is not there."""
        with self._changed:
            self._topic(name)

    def subscribe(self, name: str, topic: str, *, ordered: bool, ack_deadline_s: float) -> None:
        """Add a subscription, which gets what is published from now on."""
        _check_name(name, "subscriptions")
        with self._changed:
            if name in self._subscriptions:
                raise BrokerError("ALREADY_EXISTS", f"Subscription already exists: {name}")
            made = Subscription(ordered=ordered, ack_deadline_s=ack_deadline_s)
            self._topic(topic)[name] = made
            self._subscriptions[name] = made

    def delete_subscription(self, name: str) -> None:
        """Remove a subscription and what waits in it."""
        with self._changed:
            gone = self.subscription(name)
            del self._subscriptions[name]
            for subscribed in self._topics.values():
                if subscribed.get(name) is gone:
                    del subscribed[name]

    def publish(self, topic: str, messages: Iterable[Any]) -> list[str]:
        """Store `messages`, all or none, and return their ids."""
        batch = list(messages)
        self._check(batch)
        with self._changed:
            subscribed = self._topic(topic).values()
            stamp_ns = self._clock.wall_ns()
            for message in batch:
                self.published += 1
                message.message_id = str(self.published)
                message.publish_time.seconds, message.publish_time.nanos = divmod(
                    stamp_ns, NS_PER_S
                )
                for subscription in subscribed:
                    subscription.add(self.published, message)
            self._changed.notify_all()
        return [message.message_id for message in batch]

    def pull(self, name: str, limit: int, *, wait_s: float) -> list[Delivered]:
        """Lease messages of a subscription; wait for the first one at most `wait_s`."""
        with self._changed:
            found: list[Delivered] = []

            def any_there() -> bool:
                found.extend(self.subscription(name).pull(limit, self._clock.monotonic_s()))
                return bool(found)

            self._changed.wait_for(any_there, wait_s)
            return found

    def acknowledge(self, name: str, ack_ids: list[str]) -> None:
        """End leases for good."""
        with self._changed:
            self.subscription(name).acknowledge(ack_ids)

    def modify(self, name: str, ack_ids: list[str], seconds: float) -> None:
        """Move the ends of leases."""
        with self._changed:
            self.subscription(name).modify(ack_ids, seconds, self._clock.monotonic_s())
            self._changed.notify_all()

    def subscription(self, name: str) -> Subscription:
        """Return a subscription that is there; its state is the lock holder's."""
        _check_name(name, "subscriptions")
        if name not in self._subscriptions:
            raise BrokerError("NOT_FOUND", f"Resource not found (resource={name})")
        return self._subscriptions[name]

    def _topic(self, name: str) -> dict[str, Subscription]:
        _check_name(name, "topics")
        if name not in self._topics:
            raise BrokerError("NOT_FOUND", f"Resource not found (resource={name})")
        return self._topics[name]

    def _check(self, batch: list[Any]) -> None:
        if not 1 <= len(batch) <= MAX_MESSAGES:
            raise BrokerError("INVALID_ARGUMENT", f"{len(batch)} messages: expected 1 to 1000")
        if sum(len(message.data) for message in batch) > MAX_BYTES:
            raise BrokerError("INVALID_ARGUMENT", f"more than {MAX_BYTES} bytes in one request")
        for message in batch:
            if not message.data and not message.attributes:
                raise BrokerError("INVALID_ARGUMENT", "a message has neither data nor attributes")
            if self.rejected_text and self.rejected_text in message.data:
                raise BrokerError("INVALID_ARGUMENT", "a message does not match the topic's schema")


def _check_name(name: str, collection: str) -> None:
    if not is_valid(name, collection):
        raise BrokerError("INVALID_ARGUMENT", f"Invalid [{collection}] name: (name={name})")
