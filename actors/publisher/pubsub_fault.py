"""What an error of Pub/Sub means: an outage, credentials, a missing topic, or a record that is refused.

A token that cannot be refreshed arrives as UNAVAILABLE, as if the network were down; only its text tells.
"""

from __future__ import annotations

from typing import Final

from google.api_core import exceptions

from actors.publisher.sink_fault import FaultError, SinkFault

PLUGIN_FAILED: Final = "Getting metadata from plugin failed"
"""What gRPC says when the credentials could not be refreshed."""
_CREDENTIALS: Final = (exceptions.Unauthenticated, exceptions.PermissionDenied)
_SHOWN: Final = 300


def classify(error: exceptions.GoogleAPICallError) -> SinkFault:
    """Return the kind of fault that `error` tells."""
    if isinstance(error, _CREDENTIALS) or PLUGIN_FAILED in str(error):
        return SinkFault.CREDENTIALS
    match error:
        case exceptions.NotFound():
            return SinkFault.TARGET
        case exceptions.InvalidArgument():
            return SinkFault.POISON
        case _:
            return SinkFault.OUTAGE


def explain(error: exceptions.GoogleAPICallError, *, topic: str, endpoint: str) -> FaultError:
    """Return what is told about `error`, with the fix where there is one."""
    fault = classify(error)
    fixes = {
        SinkFault.OUTAGE: f"it is tried again; see whether {endpoint} can be reached",
        SinkFault.CREDENTIALS: "renew the key in publisher.pubsub.credentials, and give its account"
        " the role Pub/Sub Publisher on the topic",
        SinkFault.TARGET: "create the topic, or correct publisher.pubsub.project_id and topic",
        SinkFault.POISON: "the record is refused for what it is; see whether it fits the topic's schema",
    }
    said = error.message.partition("; last error")[0]  # which differs from attempt to attempt
    text = f"{type(error).__name__}: {said}"[:_SHOWN]
    return FaultError(f"{topic} takes nothing ({fault.value}): {text}; {fixes[fault]}", fault)
