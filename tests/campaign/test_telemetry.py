"""A publisher that is killed, cut off, frozen out and lied to: everything it called durable arrives, in order.

`make telemetry-campaign` runs 20 rounds of each; by default it is a few seconds.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from actors.publisher.config import PublisherConfig
from actors.publisher.pubsub_channel import open_channel
from actors.publisher.sink_config import MqttConfig, PubsubConfig, SinkKind
from bessai.cloud_simulator.driven import ChaosRelay, SimulatedCloud
from bessai.cloud_simulator.faults import Action, Fault
from bessai.cloud_simulator.relay import Mode
from bessai.cloud_simulator.tokens import TokenState
from bessai.testing import wait_for
from supervision.clock import ManualClock
from tests.campaign.judge import Verdict, judge
from tests.campaign.load import DEVICES, SITE, Driver, Load, dedupe_id
from tests.cloud_client import CloudClient
from tests.mosquitto import Broker, Listener
from tests.secure_cloud import secure_cloud

ROUNDS = int(os.environ.get("BESSAI_ROUNDS", "0"))
"""Rounds of each kind of attack; 0 is the short form that every test run has."""
RATE_HZ = 2000.0
OUTAGE_H = 24.0 if ROUNDS else 0.5
pytestmark = pytest.mark.timeout(900)


class Front:
    """A service, a relay before it, and a subscriber that nothing keeps from the service."""

    def __init__(self, directory: Path, cloud: SimulatedCloud, relay: ChaosRelay) -> None:
        self.cloud = cloud
        self.relay = relay
        self.client = CloudClient(cloud.address, lease_s=600)
        self.config = _publisher(directory, self.client.config, relay.address)
        self._runs: list[Load] = []

    def load(self, epoch: int, *, samples: int = 10**9) -> Load:
        load = Load(self.config, epoch, samples=samples, rate_hz=RATE_HZ)
        self._runs.append(load)
        return load

    def verdict(self) -> Verdict:
        """Deliver what waits, and judge everything."""
        with self.load(10**6, samples=DEVICES) as last:
            last.until_done()
        expected = [key for run in self._runs for key in run.expected()]
        verdict = judge(self.client.drain(), expected)
        print(  # noqa: T201 - the campaign's result, shown by make telemetry-campaign
            f"\n{len(expected)} durable, {verdict.arrivals} arrived, {verdict.duplicates} twice"
        )
        return verdict


def _publisher(directory: Path, topic: PubsubConfig, address: str) -> PublisherConfig:
    pubsub = msgspec.structs.replace(topic, endpoint=address, timeout_s=1.0)
    return PublisherConfig(
        site_id=SITE, state_dir=str(directory), sink=SinkKind.PUBSUB, pubsub=pubsub
    )


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with SimulatedCloud() as cloud, ChaosRelay(cloud.port) as relay:
        yield Front(tmp_path, cloud, relay)


def _cut(front: Front) -> None:
    front.relay.cut()


def _refuse(front: Front) -> None:
    front.relay.mode(Mode.REFUSE)


def _half_open(front: Front) -> None:
    front.relay.mode(Mode.HALF_OPEN)


def _lose_reply(front: Front) -> None:
    front.cloud.order(Fault(method="Publish", action=Action.LOSE_REPLY, count=2))


def _hang(front: Front) -> None:
    front.cloud.order(Fault(method="Publish", action=Action.HANG, seconds=3.0))


ATTACKS: tuple[Callable[[Front], None], ...] = (_cut, _refuse, _half_open, _lose_reply, _hang)


def _hold_good(verdict: Verdict) -> None:
    assert verdict.missing == []
    assert verdict.contradictions == []
    assert verdict.strands <= 2


def test_nothing_durable_is_lost_though_the_publisher_is_killed_and_its_connection_attacked(
    front: Front,
) -> None:
    chance = random.Random(20261125)
    attacks = [*ATTACKS * (ROUNDS // 4), *ATTACKS[:2]] if ROUNDS else [_cut, _lose_reply]
    for epoch, attack in enumerate(attacks, start=1):
        with front.load(epoch) as load:
            load.until_accepted(chance.randrange(200, 1500))
            attack(front)
            load.until_accepted(load.last.accepted + chance.randrange(200, 1500))
            front.relay.mode(Mode.PASS)
            if chance.random() < 0.5 and ROUNDS:
                load.until_delivered(load.last.delivered + 100)
            load.kill()
        front.cloud.clear()

    _hold_good(front.verdict())


@pytest.mark.skipif(not ROUNDS, reason="make telemetry-campaign")
def test_a_half_open_connection_is_left_within_seconds_and_nothing_is_lost(front: Front) -> None:
    with front.load(1, samples=6000) as load:
        load.until_delivered(500)
        front.relay.mode(Mode.HALF_OPEN)
        load.until_done(timeout_s=60.0)

    _hold_good(front.verdict())


@pytest.mark.skipif(not ROUNDS, reason="make telemetry-campaign")
def test_a_record_that_is_refused_holds_up_no_other(front: Front) -> None:
    front.cloud.reject('"device_id":"b3","dedupe_id":"S/sample/b3/1/20"')
    with front.load(1, samples=400) as load:
        load.until_delivered(399)
        load.kill()

    arrived = {message.attributes["dedupe_id"] for message in front.client.drain()}
    assert {dedupe_id(number, 1) for number in range(400)} - arrived == {"S/sample/b3/1/20"}


@pytest.mark.skipif(not ROUNDS, reason="make telemetry-campaign")
def test_credentials_that_are_refused_are_told_as_such_and_lose_nothing(tmp_path: Path) -> None:
    with secure_cloud(tmp_path) as secure:
        client = CloudClient(
            f"localhost:{secure.cloud.port}", channel=lambda: open_channel(secure.config)
        )
        topic = msgspec.structs.replace(secure.config, topic=client.config.topic)
        secure.cloud.tokens(TokenState.REFUSED)
        config = _publisher(tmp_path, topic, secure.config.endpoint)
        with Load(config, 1, samples=1000, rate_hz=RATE_HZ) as load:
            load.until_fault("takes nothing (credentials)")
            load.until_accepted(1000)
            assert load.last.delivered == 0
            secure.cloud.tokens(TokenState.GRANTED)
            load.until_done()
        verdict = judge(client.drain(), load.expected())

    _hold_good(verdict)


def test_an_outage_of_many_hours_is_delivered_in_full_when_it_ends(front: Front) -> None:
    clock = ManualClock()
    front.relay.mode(Mode.REFUSE)
    driver = Driver(front.config, 1, clock)
    steps = int(OUTAGE_H * 360)
    for _ in range(steps):
        driver.give(DEVICES)
        clock.advance(10.0)
        driver.turn()
    status = driver.status
    assert status is not None
    assert status.delivered == 0
    assert "(outage)" in status.fault

    front.relay.mode(Mode.PASS)
    _go_on(driver, clock)
    driver.stop()
    verdict = judge(front.client.drain(), [dedupe_id(n, 1) for n in range(driver.given)])

    assert driver.given == steps * DEVICES
    _hold_good(verdict)


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0] if ROUNDS else [-86_400.0])
def test_a_jump_of_the_clock_changes_neither_keys_nor_order(front: Front, jump_s: float) -> None:
    clock = ManualClock()
    driver = Driver(front.config, 1, clock)
    for _ in range(2):
        driver.give(10 * DEVICES)
        clock.advance(1.0)
        driver.turn()
        clock.jump_wall(jump_s)
    _go_on(driver, clock)
    driver.stop()
    verdict = judge(front.client.drain(), [dedupe_id(n, 1) for n in range(driver.given)])

    _hold_good(verdict)
    assert verdict.arrivals == 20 * DEVICES


def _go_on(driver: Driver, clock: ManualClock) -> None:
    """Let the time pass until everything is delivered."""

    def delivered() -> bool:
        clock.advance(1.0)
        driver.turn()
        return driver.status is not None and not driver.status.waiting

    wait_for("everything is delivered", delivered, timeout_s=120.0)


@pytest.mark.skipif(not ROUNDS, reason="make telemetry-campaign")
def test_a_broker_gets_everything_though_the_publisher_is_killed_and_cut_off(
    tmp_path: Path,
) -> None:
    chance = random.Random(20261125)
    settings = ("max_queued_messages 0", "max_inflight_messages 0")
    expected: list[str] = []
    with (
        Broker(tmp_path, *settings) as broker,
        ChaosRelay(broker.port) as relay,
        Listener(broker.port, f"bessai/{SITE}/+/sample") as listener,
    ):
        mqtt = MqttConfig(host="127.0.0.1", port=relay.port, tls=False, timeout_s=1.0)
        config = PublisherConfig(
            site_id=SITE, state_dir=str(tmp_path), sink=SinkKind.MQTT, mqtt=mqtt
        )
        for epoch in range(1, ROUNDS + 1):
            with Load(config, epoch, samples=10**9, rate_hz=RATE_HZ) as load:
                load.until_delivered(chance.randrange(200, 1500))
                relay.mode(chance.choice([Mode.REFUSE, Mode.HALF_OPEN]))
                load.until_accepted(load.last.accepted + chance.randrange(200, 1500))
                relay.mode(Mode.PASS)
                load.kill()
                expected += load.expected()
        with Load(config, 10**6, samples=DEVICES, rate_hz=RATE_HZ) as last:
            last.until_done()
            expected += last.expected()
        awaited = set(expected)
        wait_for("all is heard", lambda: awaited <= listener.keys(), timeout_s=60.0, pause_s=0.5)
        verdict = judge(listener.everything(), expected)

    _hold_good(verdict)
