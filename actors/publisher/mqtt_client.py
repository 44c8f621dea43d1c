"""A connection to an MQTT 5 broker that was made within its time, or an error that says why it was not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Final

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from actors.publisher.sink_config import MqttConfig
from actors.publisher.sink_fault import FaultError, SinkFault

_LOOK_S: Final = 0.05
"""How often it is looked whether a broker that has not answered has hung up."""
CREDENTIAL_CODES: Final = frozenset({0x85, 0x86, 0x87, 0x8A, 0x8C})
"""Client identifier, user name or password, authorization, banned, authentication method (MQTT 5, 2.4)."""


def new_client(config: MqttConfig, client_id: str) -> mqtt.Client:
    """Return a client that is set up for `config` and not connected.

    Raises:
        FaultError: a file that `config` names cannot be used.
    """
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=mqtt.MQTTv5,
        reconnect_on_failure=False,  # it would send again what the spool sends again too
    )
    client.connect_timeout = config.timeout_s
    client.max_inflight_messages_set(config.max_inflight)
    try:
        if config.tls:
            client.tls_set_context(_tls(config))
        if config.username:
            client.username_pw_set(config.username, _password(config))
    except (OSError, ssl.SSLError) as error:
        raise FaultError(
            f"the MQTT broker takes nothing (credentials): a file of [publisher.mqtt] cannot be used: {error};"
            " see ca, certificate, key and password_file",
            SinkFault.CREDENTIALS,
        ) from error
    return client


def connect(client: mqtt.Client, config: MqttConfig) -> None:
    """Connect `client`, whose network thread runs from then on; blocks for at most twice `config.timeout_s`.

    Raises:
        FaultError: the broker does not answer, or refuses.
    """
    place = f"{config.host}:{config.port}"
    answered = threading.Event()
    answers: list[ReasonCode] = []

    def on_connect(
        _client: object, _data: object, _flags: object, code: ReasonCode, _properties: object
    ) -> None:
        answers.append(code)
        answered.set()

    client.on_connect = on_connect
    try:
        client.connect(config.host, config.port, keepalive=config.keepalive_s, clean_start=True)
    except (OSError, ValueError) as error:
        raise _outage(place, str(error)) from error
    client.loop_start()
    deadline_s = time.monotonic() + config.timeout_s
    while not answered.wait(_LOOK_S):
        if client.socket() is None or time.monotonic() >= deadline_s:
            abandon(client)
            raise _outage(place, f"no answer within {config.timeout_s:g} s, or it hung up")
    if answers[0].is_failure:
        abandon(client)
        raise refused(place, answers[0])


def abandon(client: mqtt.Client) -> None:
    """End the connection of `client` without a farewell, so that the broker tells our death if we do not come back.

    The socket goes first: the library's thread otherwise waits for acknowledgements until the keep-alive ends.
    """
    sock = client.socket()
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
    client.loop_stop()


def refused(place: str, code: ReasonCode) -> FaultError:
    """Return what a broker's reason code means."""
    if code.value in CREDENTIAL_CODES:
        return FaultError(
            f"{place} takes nothing (credentials): {code}; correct username, password_file or"
            " certificate in [publisher.mqtt], or what the broker allows this user",
            SinkFault.CREDENTIALS,
        )
    return _outage(place, str(code))


def user_properties(kind: int, attributes: dict[str, str]) -> Properties:
    """Return `attributes` as the user properties of a packet of `kind`."""
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    properties.UserProperty = list(attributes.items())
    return properties


def _outage(place: str, reason: str) -> FaultError:
    return FaultError(
        f"{place} takes nothing (outage): {reason}; it is tried again; see whether the broker runs",
        SinkFault.OUTAGE,
    )


def _tls(config: MqttConfig) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=config.ca or None)
    if config.certificate:
        context.load_cert_chain(config.certificate, config.key)
    return context


def _password(config: MqttConfig) -> str | None:
    if not config.password_file:
        return None
    return Path(config.password_file).read_text(encoding="utf-8").rstrip("\r\n")
