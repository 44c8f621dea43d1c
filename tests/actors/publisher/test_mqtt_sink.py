from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trustme

from actors.publisher.mqtt_sink import MqttSink
from actors.publisher.record import Record
from actors.publisher.sink_config import MqttConfig
from bessai.cloud_simulator.driven import ChaosRelay
from bessai.cloud_simulator.relay import Mode
from bessai.testing import wait_for
from tests.actors.publisher.records import number_of, record
from tests.mosquitto import Broker, Listener


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


def _config(port: int, **changes: object) -> MqttConfig:
    plain = MqttConfig(host="127.0.0.1", port=port, tls=False, timeout_s=2.0)
    return msgspec.structs.replace(plain, **changes)


def _sink(broker: Broker, site_id: str = "S", **changes: object) -> MqttSink:
    return MqttSink(_config(broker.port, **changes), site_id)


def _records(count: int) -> list[Record]:
    return [record(number) for number in range(count)]


def test_records_arrive_in_order_under_the_topic_of_device_and_kind(broker: Broker) -> None:
    sink = _sink(broker, "order")
    with Listener(broker.port, "bessai/order/b1/sample") as listener:
        assert len(sink.send(_records(500)).acknowledged) == 500
        heard = listener.take(500)
    sink.close()

    assert [number_of(each.payload) for each in heard] == list(range(500))
    assert heard[3].properties["dedupe_id"] == "S/sample/b1/1/3"
    assert heard[3].properties["kind"] == "sample"


def test_birth_and_orderly_death_are_retained(broker: Broker) -> None:
    sink = _sink(broker, "life")
    sink.send(_records(1))
    with Listener(broker.port, "bessai/life/status") as listener:
        born = listener.take()[0]
        sink.close()
        died = listener.take()[0]

    assert (born.payload, born.retained) == (b"online", True)
    assert died.payload == b"offline"


_LIVE = """
import sys
from tests.actors.publisher.test_mqtt_sink import MqttSink, _config, _records

sink = MqttSink(_config(int(sys.argv[1])), "killed")
print(len(sink.send(_records(1)).acknowledged), flush=True)
sys.stdin.read()
"""


def test_the_broker_tells_the_death_of_a_process_that_was_killed(broker: Broker) -> None:
    with (
        Listener(broker.port, "bessai/killed/status") as listener,
        subprocess.Popen(
            [sys.executable, "-c", _LIVE, str(broker.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"1\n"
        assert listener.take()[0].payload == b"online"
        process.send_signal(signal.SIGKILL)

        assert listener.take()[0].payload == b"offline"


def test_a_broker_that_is_down_is_an_outage_and_nothing_is_queued(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    sink = _sink(broker)
    assert "(outage)" in sink.send(_records(3)).fault

    with broker, Listener(broker.port, "bessai/#") as listener:
        assert len(sink.send(_records(1)).acknowledged) == 1
        heard = listener.take(2)
    sink.close()

    assert {each.topic for each in heard} == {"bessai/S/status", "bessai/S/b1/sample"}


def test_a_connection_that_goes_silent_is_given_up_and_made_anew(broker: Broker) -> None:
    with ChaosRelay(broker.port) as relay:
        sink = MqttSink(_config(relay.port, timeout_s=0.5), "silent")
        assert len(sink.send(_records(1)).acknowledged) == 1
        relay.mode(Mode.HALF_OPEN)

        delivery = sink.send(_records(2))

        assert (list(delivery.acknowledged), "(outage)" in delivery.fault) == ([], True)
        wait_for("a new connection works", lambda: not sink.send(_records(2)).fault)
        sink.close()


def test_a_connection_cut_in_the_middle_is_told(broker: Broker) -> None:
    with ChaosRelay(broker.port) as relay:
        sink = MqttSink(_config(relay.port), "cut")
        sink.send(_records(1))
        relay.mode(Mode.REFUSE)

        assert "(outage)" in sink.send(_records(1)).fault
        relay.mode(Mode.PASS)
        wait_for("a new connection works", lambda: not sink.send(_records(1)).fault)
        sink.close()


def test_a_wrong_password_is_told_as_credentials(tmp_path: Path) -> None:
    tool = shutil.which("mosquitto_passwd")
    assert tool is not None
    subprocess.run([tool, "-c", "-b", str(tmp_path / "users"), "gw", "right"], check=True)
    (tmp_path / "users").chmod(0o644)
    tmp_path.chmod(0o755)
    (tmp_path / "password").write_text("wrong\n")
    settings = ("allow_anonymous false", f"password_file {tmp_path / 'users'}", "user root")
    with Broker(tmp_path, *settings) as broker:
        told = str(tmp_path / "password")
        fault = _sink(broker, username="gw", password_file=told).send(_records(1)).fault
        (tmp_path / "password").write_text("right\n")
        sink = _sink(broker, username="gw", password_file=told)
        well = sink.send(_records(1))
        sink.close()

    assert "(credentials)" in fault
    assert len(well.acknowledged) == 1


def test_a_record_larger_than_the_broker_takes_is_found_and_refused_alone(tmp_path: Path) -> None:
    left = [*_records(3), record(3, size=5000), record(4), record(5)]
    rejected: list[str] = []
    with Broker(tmp_path, "message_size_limit 1000") as broker:
        sink = _sink(broker)
        for _ in range(20):
            delivery = sink.send(left)
            rejected += [left[index].dedupe_id for index in delivery.rejected]
            done = {*delivery.acknowledged, *delivery.rejected}
            left = [each for index, each in enumerate(left) if index not in done]
        sink.close()

    assert left == []
    assert rejected == ["S/sample/b1/1/3"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho's socket
def test_a_broker_behind_tls_is_verified(tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = (f"certfile {tmp_path / 'cert.pem'}", f"keyfile {tmp_path / 'key.pem'}", "user root")
    with Broker(tmp_path, *files) as broker:
        sink = _sink(broker, host="localhost", tls=True, ca=str(tmp_path / "ca.pem"))
        well = sink.send(_records(1))
        sink.close()
        fault = (
            _sink(broker, host="localhost", tls=True, ca=str(tmp_path / "other.pem"))
            .send(_records(1))
            .fault
        )
        tls = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with Listener(broker.port, "bessai/S/status", tls=tls) as listener:
            assert listener.take()[0].payload == b"offline"

    assert len(well.acknowledged) == 1
    assert "CERTIFICATE_VERIFY_FAILED" in fault


def test_home_assistant_is_told_of_each_point_once(broker: Broker) -> None:
    body = json.dumps({"values": {"soc_pct": 50.0}, "quality": {"battery_power_w": "missing"}})
    sample = Record("sample", "b1", "H/sample/b1/1/1", 1, body.encode())
    sink = _sink(broker, "ha", home_assistant=True, discovery_prefix="found")
    with Listener(broker.port, "found/#", "bessai/ha/b1/sample") as listener:
        sink.send([sample])
        sink.send([sample])
        heard = listener.take(4)
    sink.close()

    told = {each.topic: json.loads(each.payload) for each in heard[:2]}
    soc = told["found/sensor/bessai_ha_b1_soc_pct/config"]
    assert (soc["unit_of_measurement"], soc["device_class"]) == ("%", "battery")
    assert soc["state_topic"] == heard[2].topic == heard[3].topic
    assert told["found/sensor/bessai_ha_b1_battery_power_w/config"]["unit_of_measurement"] == "W"
