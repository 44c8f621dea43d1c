"""/metrics: a collector over the snapshot, in a registry of its own.

Only what has arrived and is still current is exported; what is unknown or stale is absent, never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from actors.api.config import ApiConfig
from actors.api.device_metrics import device_metrics
from actors.api.families import gauge
from actors.api.health import Status, judge
from actors.api.kept import Kept
from actors.api.site_metrics import publisher_metrics, site_metrics, watchdog_metrics
from actors.api.snapshot import Snapshot
from supervision.clock import Clock


class SnapshotCollector(Collector):
    """Turns the newest snapshot into metric families at each scrape."""

    def __init__(self, snapshot: Callable[[], Snapshot], config: ApiConfig, clock: Clock) -> None:
        self._snapshot = snapshot
        self._config = config
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """Yield every family that has something to say now."""
        snapshot, config, now_ns = self._snapshot(), self._config, self._clock.monotonic_ns()
        status = judge(snapshot, config, now_ns).status
        yield from gauge(
            "safety_enforced",
            "Whether safety is known to be enforced: 0 is the 503 of /health.",
            (),
            [((), float(status is not Status.UNHEALTHY))],
        )
        yield from gauge(
            "healthy",
            "Whether /health says healthy.",
            (),
            [((), float(status is Status.HEALTHY))],
        )
        yield from site_metrics(snapshot, config, now_ns)
        yield from watchdog_metrics(snapshot, config, now_ns)
        yield from device_metrics(snapshot, config, now_ns)
        yield from publisher_metrics(snapshot, config, now_ns)


class Exposition:
    """The text of /metrics."""

    def __init__(self, snapshot: Callable[[], Snapshot], config: ApiConfig, clock: Clock) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(SnapshotCollector(snapshot, config, clock))
        self._clock = clock
        self._kept: dict[str, Kept[bytes]] = {}

    def render(self, accept: str) -> tuple[bytes, str]:
        """Return body and content type in the form that the Accept header asks for; from any thread."""
        encode, content_type = choose_encoder(accept)
        fresh = Kept(lambda: encode(self._registry), self._clock)
        return self._kept.setdefault(content_type, fresh).get(), content_type
