"""What happens when a link that was down comes back: how fast the backlog drains, and how old live data gets meanwhile.

The publisher, a Pub/Sub service of ours and a relay are processes of their own; the service's stamps are the judge.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from actors.publisher.config import PublisherConfig
from actors.publisher.sink_config import SinkKind
from benchmarks.figures import Figure, figure
from bessai.cloud_simulator.driven import ChaosRelay, SimulatedCloud
from bessai.cloud_simulator.relay import Mode
from bessai.testing import wait_for
from supervision.clock import NS_PER_S
from tests.campaign.load import SITE, Load, Told
from tests.cloud_client import CloudClient

BACKLOG: Final = 100_000
LIVE_HZ: Final = 500.0
ROUNDS: Final = 3
_LIVE_EPOCH: Final = 2


class Round(NamedTuple):
    """What was measured after one outage."""

    messages_per_s: float
    live_age_s: list[float]
    """From measurement to the service, of every sample that was taken after the link came back."""
    drained_s: float
    """From the restored link until a new sample arrived within a second."""
    rss_mb: float


def run() -> list[Figure]:
    """Return the figures of the suite."""
    rounds = list(_rounds())
    ages = [age for each in rounds for age in each.live_age_s]
    per_message_us = [1e6 / each.messages_per_s for each in rounds]
    return [
        figure("back-fill, time per message", "us", per_message_us, p50_limit=50.0),
        figure("age of live samples while it drains", "s", ages, p99_limit=2.0),
        figure(
            "restored link to live samples within 1 s",
            "s",
            [each.drained_s for each in rounds],
            worst_limit=5.0,
        ),
        figure("memory of the publisher", "MB", [each.rss_mb for each in rounds], worst_limit=90.0),
    ]


def _rounds() -> Iterator[Round]:
    for _ in range(ROUNDS):
        with (
            tempfile.TemporaryDirectory() as name,
            SimulatedCloud() as cloud,
            ChaosRelay(cloud.port) as relay,
        ):
            client = CloudClient(cloud.address, lease_s=600)
            pubsub = msgspec.structs.replace(client.config, endpoint=relay.address, timeout_s=5.0)
            config = PublisherConfig(
                site_id=SITE, state_dir=name, sink=SinkKind.PUBSUB, pubsub=pubsub
            )
            relay.mode(Mode.REFUSE)
            _fill(config)
            yield _restore(config, relay, client)


def _fill(config: PublisherConfig) -> None:
    with Load(config, 1, samples=BACKLOG, rate_hz=10_000.0) as load:
        load.until_accepted(BACKLOG, timeout_s=120.0)


def _restore(config: PublisherConfig, relay: ChaosRelay, client: CloudClient) -> Round:
    with Load(config, _LIVE_EPOCH, samples=10**9, rate_hz=LIVE_HZ) as load:
        load.until_fault("outage")
        relay.mode(Mode.PASS)
        begin_ns, begin_s = time.time_ns(), time.monotonic()
        told: list[Told] = []

        def drained() -> bool:
            told.append(load.last)
            return load.last.delivered >= BACKLOG

        wait_for("the backlog is drained", drained, timeout_s=120.0)
        end_s = time.monotonic()
        load.until_delivered(load.last.accepted + BACKLOG)
        delivered, rss_mb = told[-1].delivered, max(each.rss_mb for each in told)
    live = [message for message in client.drain() if _is_live(message, begin_ns)]
    fresh_ns = next(_arrived_ns(message) for message in live if _age_s(message) < 1.0)
    return Round(
        delivered / (end_s - begin_s),
        [_age_s(message) for message in live],
        (fresh_ns - begin_ns) / NS_PER_S,
        rss_mb,
    )


def _is_live(message: Any, begin_ns: int) -> bool:  # noqa: ANN401 - protobuf, as below
    live = int(message.attributes["epoch"]) == _LIVE_EPOCH
    return live and _taken_ns(message) > begin_ns


def _taken_ns(message: Any) -> int:  # noqa: ANN401
    return int(json.loads(message.data)["wall_ns"])


def _arrived_ns(message: Any) -> int:  # noqa: ANN401
    return int(message.publish_time.seconds) * NS_PER_S + int(message.publish_time.nanos)


def _age_s(message: Any) -> float:  # noqa: ANN401
    return (_arrived_ns(message) - _taken_ns(message)) / NS_PER_S
