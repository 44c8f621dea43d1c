"""Spans reach a real collector in a process of its own; one that is broken costs spans and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.messages import Span
from actors.publisher.otlp import make_exporter
from actors.publisher.span_export import SpanExport
from actors.publisher.tracing_config import OtlpProtocol, TracingConfig
from bessai.testing import wait_for
from tests.actors.publisher.collector import PATIENCE_S, Collector


def span(number: int = 1, **changes: Any) -> Span:
    plain = Span(
        context=f"00-{number:032x}-{number:016x}-01",
        parent=f"00-{number:032x}-{number + 1:016x}-01",
        name="poll",
        device_id="d1",
        start_wall_ns=1_000,
        end_wall_ns=2_000,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.end()


def export_to(config: TracingConfig, capacity: int = 100) -> SpanExport:
    return SpanExport(make_exporter(config), site_id="S", capacity=capacity)


@pytest.mark.parametrize("protocol", OtlpProtocol)
def test_a_span_arrives_as_it_was_told(collector: Collector, protocol: OtlpProtocol) -> None:
    export = export_to(collector.config(protocol, headers={"Authorization": "key"}))
    export.offer(span(fault="no answer", links=(f"00-{9:032x}-{9:016x}-01",)))
    assert collector.take() == {
        "name": "poll",
        "trace": f"{1:032x}",
        "span": f"{1:016x}",
        "parent": f"{2:016x}",
        "links": [f"{9:032x}"],
        "start_ns": 1_000,
        "end_ns": 2_000,
        "fault": "no answer",
        "device": "d1",
        "site": "S",
        "authorization": "key",
    }
    wait_for("the count", lambda: export.exported == 1)


@pytest.mark.parametrize("mood", ["hang", "refuse", "deny"])
@pytest.mark.parametrize("protocol", OtlpProtocol)
def test_a_broken_collector_costs_counted_spans_only(
    collector: Collector, protocol: OtlpProtocol, mood: str
) -> None:
    collector.mood(mood)
    export = export_to(collector.config(protocol), capacity=10)
    for number in range(1, 1001):
        export.offer(span(number))
    wait_for("dropped spans", lambda: export.dropped >= 980, timeout_s=PATIENCE_S)
    collector.mood("ok")
    export.offer(span(2000))
    while collector.take()["trace"] != f"{2000:032x}":
        pass
    wait_for(
        "all to be counted", lambda: export.exported + export.dropped == 1001, timeout_s=PATIENCE_S
    )


def test_nobody_waits_for_a_dead_collector_at_the_end(collector: Collector) -> None:
    """The interpreter ends while spans wait for a collector that hangs: the SDK's own shutdown would take 30 s."""
    collector.mood("hang")
    config = collector.config(OtlpProtocol.HTTP)
    program = (
        "from actors.publisher.otlp import make_exporter\n"
        "from actors.publisher.span_export import SpanExport\n"
        "from actors.publisher.tracing_config import TracingConfig\n"
        "from tests.actors.publisher.test_span_export import span\n"
        f"config = TracingConfig(endpoint={config.endpoint!r}, timeout_s=30.0)\n"
        "export = SpanExport(make_exporter(config), site_id='S', capacity=10)\n"
        "[export.offer(span(n)) for n in range(1, 20)]\n"
        "export.close()\n"
    )
    began_s = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=25.0)
    assert time.monotonic() - began_s < 25.0


def test_what_has_no_context_is_dropped_and_counted(collector: Collector) -> None:
    export = export_to(collector.config(OtlpProtocol.HTTP))
    export.offer(span(context="nonsense"))
    export.offer(span(7, parent="nonsense"))
    assert collector.take()["parent"] == ""
    wait_for("the counts", lambda: (export.exported, export.dropped) == (1, 1))


def test_google_is_asked_with_a_token(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps(service_account(collector.ports["http"])), encoding="utf-8")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    export = export_to(collector.config(OtlpProtocol.HTTP, google_credentials=True))
    export.offer(span())
    assert collector.take()["authorization"] == "Bearer a-token"


def service_account(port: int) -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key": private.decode(),
        "client_email": "gateway@p.example",
        "token_uri": f"http://127.0.0.1:{port}/token",
    }
