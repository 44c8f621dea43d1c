from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actors.publisher.config import PublisherConfig
from actors.publisher.open_sink import open_sink
from actors.publisher.sink_config import MqttConfig, PubsubConfig, SinkKind
from supervision.clock import ManualClock

PUBSUB = PubsubConfig(project_id="my-project", endpoint="127.0.0.1:1", plaintext=True)
MQTT = MqttConfig(host="127.0.0.1", port=1, tls=False)


@pytest.mark.parametrize("kind", list(SinkKind))
def test_the_sink_is_the_one_that_is_chosen(tmp_path: Path, kind: SinkKind) -> None:
    config = PublisherConfig(
        site_id="S", state_dir=str(tmp_path), sink=kind, pubsub=PUBSUB, mqtt=MQTT
    )
    sink = open_sink(config, ManualClock())

    assert sink.name == kind.value
    sink.close()


def test_a_sink_that_is_not_described_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sink = 'mqtt' .* write \[publisher\.mqtt\]"):
        PublisherConfig(site_id="S", state_dir="/x", sink=SinkKind.MQTT)


def test_the_file_sink_needs_no_client_library() -> None:
    program = (
        "import sys; import actors.publisher.actor;"
        "print([name for name in ('grpc', 'google', 'paho', 'cryptography') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert told.stdout.strip() == b"[]"
