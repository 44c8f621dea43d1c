"""Who may ask for set-points from outside, and how such requests arrive. Off unless it is configured."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from actors.publisher.sink_config import check_resource


class CommandPath(enum.Enum):
    """How requests arrive."""

    PUBSUB = "pubsub"
    MQTT = "mqtt"


class Algorithm(enum.Enum):
    """How a request is signed; it belongs to the key, so no request can choose a weaker one."""

    HMAC_SHA256 = "hmac-sha256"
    ED25519 = "ed25519"


class CommandKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that requests may be signed with."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Its name in requests; sequence numbers rise for each key."""
    file: Annotated[str, msgspec.Meta(min_length=1)]
    """File with the key in base64: a secret of at least 32 bytes, or the 32 bytes of an Ed25519 public key."""
    algorithm: Algorithm = Algorithm.HMAC_SHA256


class CommandsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests are listened to.

    Raises:
        ValueError: no key, one named twice, or no subscription where one is needed.
    """

    via: CommandPath
    keys: tuple[CommandKey, ...]
    subscription: str = ""
    """Short name of the Pub/Sub subscription, in the project of `pubsub`. MQTT has a topic instead."""
    max_life_s: Annotated[float, msgspec.Meta(ge=1, le=900)] = 60.0
    """Longest time between the issue of a request and its end."""
    clock_skew_s: Annotated[float, msgspec.Meta(ge=0, le=60)] = 5.0
    """How far the issuer's clock may be ahead of ours."""

    def __post_init__(self) -> None:
        """Refuse what could never verify anything."""
        names = [key.id for key in self.keys]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"keys = {names} is not allowed: expected at least one, each id once")
        if self.via is CommandPath.PUBSUB and not self.subscription:
            raise ValueError("subscription = '' is not allowed: name the subscription to listen to")
        if self.subscription:
            check_resource("subscription", self.subscription)
