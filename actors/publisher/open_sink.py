"""Which sink a configuration means. A client library is imported only where its sink is chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Final, assert_never

from actors.publisher.config import PublisherConfig
from actors.publisher.file_sink import FileSink
from actors.publisher.sender import SenderSink
from actors.publisher.sink_config import MqttConfig, PubsubConfig, SinkKind
from actors.publisher.sinks import Sink
from supervision.clock import Clock

_MB: Final = 1 << 20


def open_sink(config: PublisherConfig, clock: Clock) -> Sink:
    """Return the sink that `config` chooses; nothing is connected or written yet."""
    match config.sink:
        case SinkKind.FILE:
            return FileSink(
                Path(config.state_dir) / "published",
                clock,
                max_bytes=config.file_max_mb * _MB,
                keep_bytes=config.file_keep_mb * _MB,
                compress=config.file_compress,
            )
        case SinkKind.PUBSUB:
            return SenderSink(_pubsub(config.pubsub), clock)
        case SinkKind.MQTT:
            return SenderSink(_mqtt(config.mqtt, config.site_id), clock)
        case _:
            assert_never(config.sink)


def _pubsub(config: PubsubConfig | None) -> Sink:
    from actors.publisher.pubsub_sink import PubsubSink  # noqa: PLC0415 - 50 MB, for who has Pub/Sub

    if config is None:
        raise ValueError("publisher.pubsub is missing")
    return PubsubSink(config)


def _mqtt(config: MqttConfig | None, site_id: str) -> Sink:
    from actors.publisher.mqtt_sink import MqttSink  # noqa: PLC0415 - for who has a broker

    if config is None:
        raise ValueError("publisher.mqtt is missing")
    return MqttSink(config, site_id)
