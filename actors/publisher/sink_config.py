"""What a network sink must be told: where it sends, who it is, how long it waits."""

from __future__ import annotations

import enum
import re
from typing import Annotated, Final

import msgspec

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
_PROJECT: Final = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_RESOURCE: Final = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}")
_WILDCARDS: Final = re.compile(r"[+#\0]")


class SinkKind(enum.Enum):
    """Where records go."""

    FILE = "file"
    PUBSUB = "pubsub"
    MQTT = "mqtt"


class PubsubConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Google Cloud Pub/Sub topic, and how to reach it.

    Raises:
        ValueError: a name is none that Pub/Sub knows.
    """

    project_id: str
    topic: str = "bessai-telemetry"
    """The topic's short name, without `projects/.../topics/`."""
    endpoint: str = "pubsub.googleapis.com:443"
    """Host and port of the service."""
    plaintext: bool = False
    """Without TLS and credentials: for an emulator on this machine only."""
    ca: str = ""
    """PEM file of the authorities that are trusted in place of the usual ones."""
    credentials: str = ""
    """Key file of a service account; if empty, Google's application default credentials."""
    timeout_s: _Positive = 5.0
    """How long one attempt may take; after two that did, the connection is made anew."""

    def __post_init__(self) -> None:
        """Refuse a name that the service refuses."""
        if not _PROJECT.fullmatch(self.project_id):
            raise ValueError(
                f"project_id = {self.project_id!r} is not allowed: expected the id of a Google Cloud"
                " project, 6 to 30 lower-case letters, digits and dashes"
            )
        check_resource("topic", self.topic)

    @property
    def topic_path(self) -> str:
        """The topic's full name."""
        return f"projects/{self.project_id}/topics/{self.topic}"

    def subscription_path(self, subscription: str) -> str:
        """Return the full name of a subscription of the same project."""
        return f"projects/{self.project_id}/subscriptions/{subscription}"


class MqttConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An MQTT 5 broker, and what the gateway calls itself there.

    Raises:
        ValueError: `prefix` cannot be the beginning of a topic, or a certificate lacks its key.
    """

    host: Annotated[str, msgspec.Meta(min_length=1)]
    port: _Port = 8883
    tls: bool = True
    """Whether the connection is encrypted and the broker's certificate and name are verified."""
    ca: str = ""
    """PEM file of the authorities that are trusted in place of the usual ones."""
    certificate: str = ""
    """PEM file with the gateway's own certificate, where the broker asks for one."""
    key: str = ""
    """PEM file with its key."""
    username: str = ""
    password_file: str = ""
    """File that holds the password; a configuration file is no place for it."""
    prefix: str = "bessai"
    """First level of every topic."""
    home_assistant: bool = False
    """Whether each point of each device is announced to Home Assistant."""
    discovery_prefix: str = "homeassistant"
    """Where Home Assistant listens for announcements."""
    keepalive_s: Annotated[int, msgspec.Meta(ge=5, le=600)] = 30
    """A connection that is silent for half as long again is closed by the broker, which then tells the site's death."""
    max_inflight: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    """So many messages may be under way without the broker's acknowledgement."""
    timeout_s: _Positive = 5.0
    """How long connecting or the broker's acknowledgements may take."""

    def __post_init__(self) -> None:
        """Refuse what no broker takes."""
        for name in ("prefix", "discovery_prefix"):
            value = getattr(self, name)
            if not value or _WILDCARDS.search(value) or value.startswith(("$", "/")):
                raise ValueError(
                    f"{name} = {value!r} is not allowed: expected the beginning of a topic,"
                    " without +, #, and without / or $ at its start"
                )
        if bool(self.certificate) != bool(self.key):
            raise ValueError(
                f"certificate = {self.certificate!r} is not allowed: it needs key, and key needs it"
            )


def check_resource(field: str, name: str) -> None:
    """Refuse a short name of a topic or subscription that Pub/Sub does not allow.

    Raises:
        ValueError: names `field` and what is allowed.
    """
    if not _RESOURCE.fullmatch(name):
        raise ValueError(
            f"{field} = {name!r} is not allowed: expected 3 to 255 letters, digits and -._~+%,"
            " beginning with a letter, but not with goog"
        )
