from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.api.actor import MAX_UNANSWERED, ApiActor, ServerEndedError, build
from actors.api.config import ApiConfig
from actors.api.server import ApiBindError, listen
from actors.messages import DescribeDevice
from supervision.actor import StopReason
from supervision.clock import ManualClock
from supervision.envelope import Header
from tests.actors.api import site
from tests.actors.fakes import RecordingContext

HEADER = Header(receiver="api", sender="inverter/b1", epoch=1)


class Bench:
    """A started ApiActor on a real port, with a clock of its own."""

    def __init__(self, config: ApiConfig | None = None) -> None:
        self.clock = ManualClock()
        self.context = RecordingContext("api", clock=self.clock)
        actor = build(msgspec.msgpack.encode(config or site.config()))
        assert isinstance(actor, ApiActor)
        self.actor = actor
        self.actor.on_start(self.context)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.actor.port}"

    def give(self, *messages: msgspec.Struct) -> None:
        for message in messages:
            self.actor.on_message(message, HEADER)
        self.actor.on_tick()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=5.0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.actor.on_stop(StopReason.SHUTDOWN)


def _eventually(condition: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    """Poll `condition` until it holds or the time is up."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        pause.wait(0.01)
    return True


def test_health_is_503_before_anything_was_heard(bench: Bench) -> None:
    answer = bench.get("/health")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["status"] == "unhealthy"


def test_health_is_200_when_the_site_is_in_order(bench: Bench) -> None:
    bench.give(*site.everything(bench.clock.monotonic_ns()))

    answer = bench.get("/health")

    assert answer.status_code == 200
    assert list(answer.json())[:3] == ["status", "site_id", "uptime_s"]
    assert answer.json()["status"] == "healthy"


def test_health_turns_to_503_by_itself_when_the_actor_hears_nothing_more(bench: Bench) -> None:
    bench.give(*site.everything(bench.clock.monotonic_ns()))
    bench.clock.advance(10.0)

    answer = bench.get("/health")

    assert answer.status_code == 503
    assert answer.json()["actors"]["safety"]["state"] == "unknown"


def test_metrics_are_what_prometheus_reads(bench: Bench) -> None:
    bench.give(*site.everything(bench.clock.monotonic_ns()))

    answer = bench.get("/metrics")

    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"bessai_battery_soc_percent", "bessai_safety_state", "bessai_actor_restarts"} <= names


def test_the_index_names_the_endpoints(bench: Bench) -> None:
    text = bench.get("/").text

    assert "/health" in text
    assert "/metrics" in text


@pytest.mark.parametrize("path", ["/", "/health", "/metrics"])
def test_head_answers_without_a_body(bench: Bench, path: str) -> None:
    answer = httpx.head(f"{bench.url}{path}")

    assert answer.status_code in {200, 503}
    assert answer.content == b""


def test_an_unknown_path_is_answered_with_the_fix(bench: Bench) -> None:
    answer = bench.get("/metric")

    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no /metric", "fix": "use one of / /health /metrics"}


def test_another_method_is_answered_with_the_fix(bench: Bench) -> None:
    answer = httpx.post(f"{bench.url}/health")

    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert answer.json()["fix"] == "use GET or HEAD"


def test_a_sample_without_schema_makes_it_ask_once_a_second(bench: Bench) -> None:
    sample = site.sample("b1", bench.clock.monotonic_ns())
    bench.give(sample, sample)
    assert len(bench.context.messages(DescribeDevice, "inverter/b1")) == 1

    bench.clock.advance(1.0)
    bench.give(sample, site.schema("b1"), sample)

    assert len(bench.context.messages(DescribeDevice)) == 2


def test_a_port_in_use_is_named_with_the_fix() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(ApiBindError, match=rf"127\.0\.0\.1 port {port}: .*set another port"):
            Bench(site.config(port=port))


def test_an_address_of_another_machine_is_named_with_the_fix() -> None:
    with pytest.raises(ApiBindError, match=r"192\.0\.2\.1 port 0.*address of this machine"):
        listen("192.0.2.1", 0)


def test_a_host_that_does_not_resolve_is_named_with_the_fix() -> None:
    with pytest.raises(ApiBindError, match=r"no such host\.invalid.*set the host"):
        listen("no such host.invalid", 0)


def test_a_stopped_api_frees_its_port_at_once() -> None:
    first = Bench()
    config = site.config(port=first.actor.port)
    assert first.get("/health").status_code == 503
    first.actor.on_stop(StopReason.SHUTDOWN)

    second = Bench(config)

    assert second.get("/health").status_code == 503
    second.actor.on_stop(StopReason.SHUTDOWN)


def test_a_stop_does_not_wait_for_a_client_that_sends_nothing() -> None:
    bench = Bench()
    with socket.create_connection(("127.0.0.1", bench.actor.port)) as idle:
        assert bench.get("/health").status_code == 503
        assert bench.actor._server.stop()
        assert idle.recv(1) == b""


def test_a_crashed_incarnation_leaves_the_port_to_the_next() -> None:
    with listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    crashed = Bench(site.config(port=port))
    bench = Bench(site.config(port=port))

    assert bench.actor.port == crashed.actor.port
    assert not crashed.actor._server._thread.is_alive()
    assert bench.get("/health").status_code == 503
    bench.actor.on_stop(StopReason.SHUTDOWN)


def test_a_fenced_incarnation_frees_the_port() -> None:
    bench = Bench()
    port = bench.actor.port
    assert bench.get("/health").status_code == 503
    bench.context.fence()

    def is_free() -> bool:
        try:
            listen("127.0.0.1", port).close()
        except ApiBindError:
            return False
        return True

    assert _eventually(is_free)
    bench.actor.on_stop(StopReason.SHUTDOWN)


def test_a_client_that_sends_nothing_is_cut() -> None:
    bench = Bench(site.config(response_limit_s=0.2))
    with socket.create_connection(("127.0.0.1", bench.actor.port)) as idle:
        idle.settimeout(5.0)
        idle.sendall(b"GET /health HTT")
        assert idle.recv(1) == b""
    bench.actor.on_stop(StopReason.SHUTDOWN)


def test_idle_clients_cannot_exhaust_the_server() -> None:
    bench = Bench(site.config(max_connections=4, response_limit_s=0.5))
    address = ("127.0.0.1", bench.actor.port)
    idle = [socket.create_connection(address) for _ in range(8)]

    assert _eventually(lambda: b"site_id" in bench.get("/health").content)

    for each in idle:
        each.close()
    bench.actor.on_stop(StopReason.SHUTDOWN)


def test_a_server_that_ends_by_itself_ends_the_actor(bench: Bench) -> None:
    with pytest.raises(ServerEndedError, match="the http server ended: because"):
        bench.actor.on_event("because")


def test_the_end_of_the_servers_thread_is_told_to_the_actor(bench: Bench) -> None:
    bench.actor._server._call(bench.actor._server._loop.stop)

    assert bench.context.wait_for(lambda: bool(bench.context.posted))


def test_a_server_that_stands_still_ends_the_actor(bench: Bench) -> None:
    stuck, done = threading.Event(), threading.Event()

    def block() -> None:
        stuck.set()
        done.wait(10.0)

    bench.actor._server._call(block)
    assert stuck.wait(5.0)

    for _ in range(MAX_UNANSWERED):
        bench.actor.on_tick()
    with pytest.raises(ServerEndedError, match="stood still"):
        bench.actor.on_tick()
    done.set()


def test_a_server_that_turns_is_never_given_up(bench: Bench) -> None:
    for _ in range(2 * MAX_UNANSWERED):
        bench.actor.on_tick()
        assert _eventually(lambda: bench.actor._unanswered == 0)


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="port"):
        build(msgspec.msgpack.encode({"site_id": "S", "port": 70_000}))
