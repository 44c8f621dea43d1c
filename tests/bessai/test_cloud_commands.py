"""The whole gateway with a real broker: telemetry out, signed set-points in, judged from the device's own record."""

from __future__ import annotations

import json
import queue
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bessai.testing import FORCED_MODE, Gateway, SimulatedSite, wait_for
from tests.actors.publisher.orders import key_file, signed
from tests.mosquitto import Broker, Listener

pytestmark = pytest.mark.timeout(120)
_PUBLISHER = """
[publisher]
sink = "mqtt"
mqtt = {{ host = "127.0.0.1", port = {port}, tls = false }}
commands = {{ via = "mqtt", keys = [{{ id = "ems", file = "{key}" }}] }}
"""


class Arena(NamedTuple):
    site: SimulatedSite
    gateway: Gateway
    broker: Broker
    listener: Listener

    def ask(self, raw: bytes) -> dict[str, Any]:
        """Send a request and return what is published back."""
        self.listener.client.publish("bessai/SITE-TEST/command", raw, 1).wait_for_publish(10.0)
        while True:
            answer: dict[str, Any] = json.loads(self.listener.take()[0].payload)
            if answer["rule"] != "form":  # not about the nonsense by which we knocked
                return answer

    def discharges(self) -> int:
        writes = self.site.client.writes("d1", 0)
        return sum(write.address == FORCED_MODE and write.words == [2] for write in writes)


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    with Broker(tmp_path) as broker, SimulatedSite(tmp_path, devices=1) as site:
        extra = _PUBLISHER.format(port=broker.port, key=key_file(tmp_path))
        topics = ("bessai/SITE-TEST/+/command_answer",)
        with (
            Gateway(site, tmp_path, extra=extra) as gateway,
            Listener(broker.port, *topics) as listener,
        ):
            gateway.wait_until_healthy(timeout_s=40.0)
            yield Arena(site, gateway, broker, listener)


def _order(seq: int) -> bytes:
    now_ns = time.time_ns()
    return signed(seq, now_ns=now_ns, site_id="SITE-TEST", device_id="d1", power_w=-1000.0)


def test_a_signed_request_discharges_the_battery_once_and_everything_else_is_refused(
    arena: Arena,
) -> None:
    order = _order(1)
    _wait_for_commands(arena)

    answer = arena.ask(order)
    assert (answer["ruling"], answer["power_w"]) == ("allowed", -1000.0), answer
    wait_for("the device is commanded", lambda: arena.discharges() > 0)

    assert arena.ask(order)["ruling"] == "replayed"
    assert arena.ask(order.replace(b'"ems"', b'"eve"'))["rule"] == "signature"

    pid = arena.gateway.signal_cell("publisher", signal.SIGKILL)
    wait_for("a new publisher", lambda: arena.gateway.pid_of("publisher") != pid)
    arena.gateway.wait_until_healthy(timeout_s=40.0)
    _wait_for_commands(arena)
    assert arena.ask(order)["ruling"] == "replayed"
    assert arena.ask(_order(3))["ruling"] == "allowed"


def _wait_for_commands(arena: Arena) -> None:
    """Return once the publisher listens: it refuses nonsense."""
    client = arena.listener.client

    def refused() -> bool:
        client.publish("bessai/SITE-TEST/command", b"nonsense", 1).wait_for_publish(10.0)
        try:
            return bool(arena.listener._heard.get(timeout=0.5))
        except queue.Empty:
            return False

    wait_for("the publisher listens", refused, timeout_s=30.0)
