"""The protocol: google.pubsub.v1 over gRPC, by generic handlers and the client's own message types."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2
from google.pubsub_v1 import types

from bessai.cloud_simulator.broker import Broker, BrokerError
from bessai.cloud_simulator.faults import Action, Fault, FaultPlan
from bessai.cloud_simulator.subscription import Delivered

PULL_WAIT_S: Final = 5.0
"""How long a pull waits for the first message."""
STREAM_WAIT_S: Final = 0.2
STREAM_MESSAGES: Final = 1000
_ACK_DEADLINE_S: Final = 10
_Call = Callable[[Any, Any], Any]


class Service:
    """Answers the calls of both services for `broker`, and lets them suffer what `plan` says."""

    def __init__(self, broker: Broker, plan: FaultPlan, *, token: str = "") -> None:
        """Answer only callers who show `token`, if there is one."""
        self._broker = broker
        self._plan = plan
        self._token = token

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        """Return the handlers of google.pubsub.v1.Publisher and Subscriber."""
        publisher = {
            "CreateTopic": (self._create_topic, types.Topic),
            "GetTopic": (self._get_topic, types.GetTopicRequest),
            "ListTopics": (self._list_topics, types.ListTopicsRequest),
            "DeleteTopic": (self._delete_topic, types.DeleteTopicRequest),
            "Publish": (self._publish, types.PublishRequest),
        }
        subscriber = {
            "CreateSubscription": (self._create_subscription, types.Subscription),
            "GetSubscription": (self._get_subscription, types.GetSubscriptionRequest),
            "DeleteSubscription": (self._delete_subscription, types.DeleteSubscriptionRequest),
            "Pull": (self._pull, types.PullRequest),
            "Acknowledge": (self._acknowledge, types.AcknowledgeRequest),
            "ModifyAckDeadline": (self._modify, types.ModifyAckDeadlineRequest),
        }
        streaming = grpc.stream_stream_rpc_method_handler(
            self._streaming_pull,
            request_deserializer=types.StreamingPullRequest.pb().FromString,
            response_serializer=_serialize,
        )
        subscribing = {name: self._unary(name, *call) for name, call in subscriber.items()}
        return [
            grpc.method_handlers_generic_handler(
                "google.pubsub.v1.Publisher",
                {name: self._unary(name, *call) for name, call in publisher.items()},
            ),
            grpc.method_handlers_generic_handler(
                "google.pubsub.v1.Subscriber", {**subscribing, "StreamingPull": streaming}
            ),
        ]

    def _unary(self, name: str, call: _Call, request: Any) -> grpc.RpcMethodHandler[Any, Any]:  # noqa: ANN401 - a class made at run time
        def served(message: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 - protobuf
            self._check_token(context)
            fault = self._plan.take(name)
            if fault is not None:
                _suffer(fault, context)
            try:
                answer = call(message, context)
            except BrokerError as error:
                context.abort(grpc.StatusCode[error.code], str(error))
            if fault is not None and fault.action is Action.LOSE_REPLY:
                context.abort(grpc.StatusCode[fault.code], "the reply was lost")
            return answer

        return grpc.unary_unary_rpc_method_handler(
            served, request_deserializer=request.pb().FromString, response_serializer=_serialize
        )

    def _check_token(self, context: grpc.ServicerContext) -> None:
        shown = dict(context.invocation_metadata()).get("authorization", "")
        if self._token and shown != f"Bearer {self._token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no valid token is shown")

    def _create_topic(self, topic: Any, _: object) -> Any:  # noqa: ANN401 - protobuf, as below
        self._broker.create_topic(topic.name)
        return topic

    def _get_topic(self, request: Any, _: object) -> Any:  # noqa: ANN401
        self._broker.check_topic(request.topic)
        return types.Topic.pb()(name=request.topic)

    def _list_topics(self, request: Any, _: object) -> Any:  # noqa: ANN401
        topics = [types.Topic.pb()(name=name) for name in self._broker.topics(request.project)]
        return types.ListTopicsResponse.pb()(topics=topics)

    def _delete_topic(self, request: Any, _: object) -> Any:  # noqa: ANN401
        self._broker.delete_topic(request.topic)
        return empty_pb2.Empty()

    def _publish(self, request: Any, _: object) -> Any:  # noqa: ANN401
        ids = self._broker.publish(request.topic, request.messages)
        return types.PublishResponse.pb()(message_ids=ids)

    def _create_subscription(self, wanted: Any, _: object) -> Any:  # noqa: ANN401
        wanted.ack_deadline_seconds = wanted.ack_deadline_seconds or _ACK_DEADLINE_S
        self._broker.subscribe(
            wanted.name,
            wanted.topic,
            ordered=wanted.enable_message_ordering,
            ack_deadline_s=wanted.ack_deadline_seconds,
        )
        return wanted

    def _get_subscription(self, request: Any, _: object) -> Any:  # noqa: ANN401
        found = self._broker.subscription(request.subscription)
        return types.Subscription.pb()(
            name=request.subscription, ack_deadline_seconds=int(found.ack_deadline_s)
        )

    def _delete_subscription(self, request: Any, _: object) -> Any:  # noqa: ANN401
        self._broker.delete_subscription(request.subscription)
        return empty_pb2.Empty()

    def _pull(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
        left_s = (
            context.time_remaining() or 2 * PULL_WAIT_S
        )  # None where the caller has no deadline
        wait_s = min(PULL_WAIT_S, left_s / 2)
        found = self._broker.pull(request.subscription, request.max_messages, wait_s=wait_s)
        return types.PullResponse.pb()(received_messages=map(_received, found))

    def _acknowledge(self, request: Any, _: object) -> Any:  # noqa: ANN401
        self._broker.acknowledge(request.subscription, list(request.ack_ids))
        return empty_pb2.Empty()

    def _modify(self, request: Any, _: object) -> Any:  # noqa: ANN401
        ids = list(request.ack_ids)
        self._broker.modify(request.subscription, ids, request.ack_deadline_seconds)
        return empty_pb2.Empty()

    def _streaming_pull(
        self, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        self._check_token(context)
        fault = self._plan.take("StreamingPull")
        if fault is not None:
            _suffer(fault, context)
        name = next(requests).subscription
        ended = threading.Event()
        context.add_callback(ended.set)
        hearing = threading.Thread(target=self._hear, args=(name, requests, ended), daemon=True)
        hearing.start()
        try:
            while not ended.is_set():
                found = self._broker.pull(name, STREAM_MESSAGES, wait_s=STREAM_WAIT_S)
                if found:
                    yield types.StreamingPullResponse.pb()(received_messages=map(_received, found))
        except BrokerError as error:
            context.abort(grpc.StatusCode[error.code], str(error))

    def _hear(self, name: str, requests: Iterator[Any], ended: threading.Event) -> None:
        """Do what a streaming subscriber says, until its stream ends."""
        try:
            for request in requests:
                self._broker.acknowledge(name, list(request.ack_ids))
                waits = zip(
                    request.modify_deadline_ack_ids, request.modify_deadline_seconds, strict=False
                )
                for ack_id, seconds in waits:
                    self._broker.modify(name, [ack_id], seconds)
        except (grpc.RpcError, BrokerError):
            pass  # the caller is gone, or its subscription
        finally:
            ended.set()


def _suffer(fault: Fault, context: grpc.ServicerContext) -> None:
    match fault.action:
        case Action.STATUS:
            context.abort(grpc.StatusCode[fault.code], "a fault that was ordered")
        case Action.DELAY:
            threading.Event().wait(fault.seconds)
        case Action.HANG:
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait(fault.seconds)
            context.abort(grpc.StatusCode.CANCELLED, "a call that hung")
        case Action.LOSE_REPLY:
            pass  # it is served first


def _serialize(message: Any) -> bytes:  # noqa: ANN401 - protobuf
    data: bytes = message.SerializeToString()
    return data


def _received(delivered: Delivered) -> Any:  # noqa: ANN401 - protobuf
    return types.ReceivedMessage.pb()(
        ack_id=delivered.ack_id, message=delivered.message, delivery_attempt=delivered.attempt
    )
