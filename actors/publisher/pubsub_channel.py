"""Connections to Pub/Sub: TLS with credentials, or plain text to an emulator.

Reconnection is our own: the client's defaults need up to a minute after an outage, and five where a connection is
half open. So the back-off of a channel is short, and whoever uses one makes a new one when it has gone silent.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

import google.auth
import grpc
from google.api_core import grpc_helpers
from google.auth import credentials as auth_credentials
from google.auth import exceptions as auth_errors
from google.oauth2 import service_account

from actors.publisher.sink_config import PubsubConfig
from actors.publisher.sink_fault import FaultError, SinkFault

SCOPES: Final = ("https://www.googleapis.com/auth/pubsub",)
_OPTIONS: Final = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    (
        "grpc.keepalive_time_ms",
        30_000,
    ),  # the official client's; servers refuse to be asked more often
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    (
        "grpc.use_local_subchannel_pool",
        1,
    ),  # a new channel must not inherit the old one's dead connection
)


def open_channel(config: PubsubConfig) -> grpc.Channel:
    """Return a new channel to `config.endpoint`; nothing is connected yet.

    Raises:
        FaultError: a certificate or credentials cannot be used; the message names the file and the fix.
    """
    logging.getLogger("google").setLevel(
        logging.WARNING
    )  # else the client cuts it off from our log
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its core writes to stderr, past every log
    if config.plaintext:
        return grpc.insecure_channel(config.endpoint, options=_OPTIONS)
    channel: grpc.Channel = grpc_helpers.create_channel(
        config.endpoint,
        credentials=_credentials(config),
        scopes=SCOPES,
        ssl_credentials=grpc.ssl_channel_credentials(_authorities(config)),
        options=_OPTIONS,
    )
    return channel


def _credentials(config: PubsubConfig) -> auth_credentials.Credentials:
    try:
        if config.credentials:
            return service_account.Credentials.from_service_account_file(  # type: ignore[no-any-return,no-untyped-call]
                config.credentials, scopes=SCOPES
            )
        found, _ = google.auth.default(scopes=SCOPES)
    except (OSError, ValueError, auth_errors.GoogleAuthError) as error:
        what = config.credentials or "application default credentials"
        raise FaultError(
            f"Pub/Sub takes nothing (credentials): {what} cannot be used: {error}; name the key file of a service"
            " account in publisher.pubsub.credentials or GOOGLE_APPLICATION_CREDENTIALS",
            SinkFault.CREDENTIALS,
        ) from error
    return found


def _authorities(config: PubsubConfig) -> bytes | None:
    if not config.ca:
        return None
    try:
        return Path(config.ca).read_bytes()
    except OSError as error:
        raise FaultError(
            f"Pub/Sub takes nothing (credentials): publisher.pubsub.ca = {config.ca!r} cannot be read:"
            f" {error}; name a PEM file",
            SinkFault.CREDENTIALS,
        ) from error
