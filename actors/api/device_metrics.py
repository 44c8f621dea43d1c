"""Metrics of the devices: link, measurements, safety, anomaly score, decision and writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.metrics_core import Metric

from actors.api.config import ApiConfig
from actors.api.families import Row, counter, gauge
from actors.api.snapshot import Snapshot, age_s
from actors.messages import LinkState, Quality, SafetyState, SafetyStatus, Sample
from actors.schemas import good_values

_DEVICE = ("device",)

POINT_METRICS: Final = {
    "soc_pct": ("battery_soc_percent", "State of charge, 0 to 100."),
    "battery_temperature_c": ("battery_temperature_celsius", "Battery temperature."),
    "battery_power_w": ("battery_power_watts", "Battery power, + charging, - discharging."),
    "battery_voltage_v": ("battery_voltage_volts", "Battery voltage."),
    "battery_current_a": ("battery_current_amperes", "Battery current, + charging."),
    "max_charge_w": ("battery_max_charge_watts", "The device's own limit for charging now."),
    "max_discharge_w": (
        "battery_max_discharge_watts",
        "The device's own limit for discharging now.",
    ),
    "pv_power_w": ("pv_power_watts", "Photovoltaic power."),
    "active_power_w": ("inverter_active_power_watts", "Active power of the inverter."),
    "grid_power_w": ("grid_power_watts", "Power at the meter, + import, - export."),
    "grid_frequency_hz": ("grid_frequency_hertz", "Grid frequency."),
    "grid_voltage_v": ("grid_voltage_volts", "Grid voltage."),
}
"""Metric and help text of each point that is exported; the others are published, not exported."""


def device_metrics(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    """Yield everything about devices that is current at monotonic `now_ns`."""
    yield from _links(snapshot, config, now_ns)
    yield from _points(snapshot, config, now_ns)
    yield from _safety(snapshot, config, now_ns)
    yield from _scores(snapshot, config, now_ns)
    yield from _decisions(snapshot, config, now_ns)
    yield from counter(
        "safety_events",
        "Rules begun, ceased, tripped and the like that this api has heard of.",
        ("device", "event", "rule"),
        snapshot.safety_event_counts.items(),
    )
    yield from counter(
        "writes",
        "Commands written to the device that this api has heard of, by what is known of them.",
        ("device", "command", "result"),
        snapshot.write_counts.items(),
    )


def _links(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    limit_s = config.status_limit_s
    states = [d for d in snapshot.devices.values() if age_s(d.mono_ns, now_ns) <= limit_s]
    yield from gauge(
        "device_online",
        "Whether the device answers and is the one expected.",
        _DEVICE,
        [((d.device_id,), float(d.link is LinkState.ONLINE)) for d in states],
    )
    yield from counter(
        "device_reconnects",
        "New connections after the first.",
        _DEVICE,
        [((d.device_id,), d.reconnects) for d in states],
    )
    yield from counter(
        "device_polls", "Complete polls.", _DEVICE, [((d.device_id,), d.polls) for d in states]
    )
    yield from counter(
        "device_failed_requests",
        "Modbus requests without a valid answer.",
        _DEVICE,
        [((d.device_id,), d.failed_requests) for d in states],
    )
    yield from counter(
        "device_errors",
        "Requests and connections that failed, by kind.",
        ("device", "kind"),
        [((d.device_id, each.kind), each.count) for d in states for each in d.errors],
    )
    yield from counter(
        "device_doubted_values",
        "Values that were read but not believed: sentinels, out of range, implausible.",
        _DEVICE,
        [((d.device_id,), d.doubted) for d in states],
    )
    yield from gauge(
        "device_unacked_samples",
        "Samples that are not yet known to be durable.",
        _DEVICE,
        [((d.device_id,), d.unacked) for d in states],
    )
    yield from counter(
        "device_lost_samples",
        "Samples that left the control cell's memory before they were known to be durable.",
        _DEVICE,
        [((d.device_id,), d.unacked_lost) for d in states],
    )
    yield from counter(
        "device_skipped_polls",
        "Polls that were due while the one before was still running.",
        _DEVICE,
        [((d.device_id,), d.skipped_polls) for d in states],
    )
    yield from gauge(
        "device_poll_seconds",
        "Duration of the last complete poll.",
        _DEVICE,
        [((d.device_id,), d.poll_s or None) for d in states],
    )


def _points(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    rows: dict[str, list[Row]] = {}
    for device_id, sample in snapshot.samples.items():
        schema = snapshot.schemas.get(device_id)
        old = age_s(sample.mono_ns, now_ns) > config.sample_limit_s
        if old or schema is None or schema.schema_id != sample.schema_id:
            continue
        if len(schema.points) != len(sample.values):
            continue
        for point, value in good_values(schema, sample).items():
            rows.setdefault(point, []).append(((device_id,), value))
    for point, (name, help_text) in POINT_METRICS.items():
        yield from gauge(name, help_text, _DEVICE, rows.get(point, ()))
    yield from gauge(
        "device_points",
        "Points of the last sample, by quality.",
        ("device", "quality"),
        [
            ((device_id, quality.name.lower()), float(count))
            for device_id, sample in snapshot.samples.items()
            if age_s(sample.mono_ns, now_ns) <= config.sample_limit_s
            for quality, count in _qualities(sample).items()
        ],
    )


def _qualities(sample: Sample) -> dict[Quality, int]:
    """Return how many values of `sample` have each quality."""
    if not sample.quality:
        return {Quality.GOOD: len(sample.values)} | dict.fromkeys(list(Quality)[1:], 0)
    return {quality: sample.quality.count(quality) for quality in Quality}


def _safety(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    current = [
        heard.status
        for heard in snapshot.safety.values()
        if age_s(heard.heard_ns, now_ns) <= config.status_limit_s
    ]
    yield from gauge(
        "safety_state",
        "1 for the state in which safety holds the device, 0 for the others.",
        ("device", "state"),
        [
            ((status.device_id, state.value), float(status.state is state))
            for status in current
            for state in SafetyState
        ],
    )
    yield from gauge(
        "safety_may_charge",
        "Whether safety lets the device charge.",
        _DEVICE,
        [((s.device_id,), float(s.may_charge)) for s in current],
    )
    yield from gauge(
        "safety_may_discharge",
        "Whether safety lets the device discharge.",
        _DEVICE,
        [((s.device_id,), float(s.may_discharge)) for s in current],
    )
    yield from gauge(
        "safety_evaluation_age_seconds",
        "Seconds since the device was last evaluated.",
        _DEVICE,
        [((s.device_id,), age_s(s.mono_ns, now_ns) if s.mono_ns else None) for s in current],
    )
    yield from gauge(
        "safety_setpoint_watts",
        "Battery power that safety has approved, + charging, - discharging.",
        _DEVICE,
        [((s.device_id,), s.setpoint_w) for s in current],
    )
    yield from _evaluations(current)


def _evaluations(current: list[SafetyStatus]) -> Iterator[Metric]:
    newest = max((status.evaluations for status in current), default=None)
    yield from counter(
        "safety_evaluations",
        "Safety evaluations completed over all devices since SafetyActor started.",
        (),
        [((), newest)],
    )


def _scores(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    limit_s = config.sample_limit_s
    scores = [s for s in snapshot.scores.values() if age_s(s.mono_ns, now_ns) <= limit_s]
    yield from gauge(
        "anomaly_z_max",
        "Largest robust z-score of the device's points.",
        _DEVICE,
        [((s.device_id,), s.z_max) for s in scores],
    )
    yield from gauge(
        "anomaly_forest_score",
        "IsolationForest score, 0 to 1, larger is stranger.",
        _DEVICE,
        [((s.device_id,), s.forest_score) for s in scores],
    )
    yield from gauge(
        "anomalous",
        "Whether the last sample counts as an anomaly.",
        _DEVICE,
        [((s.device_id,), float(s.anomalous)) for s in scores],
    )


def _decisions(snapshot: Snapshot, config: ApiConfig, now_ns: int) -> Iterator[Metric]:
    limit_s = config.sample_limit_s
    decisions = [d for d in snapshot.dispatch.values() if age_s(d.mono_ns, now_ns) <= limit_s]
    yield from gauge(
        "dispatch_power_watts",
        "Battery power last asked for, + charging, - discharging.",
        ("device", "policy"),
        [((d.device_id, d.policy), d.power_w) for d in decisions],
    )
    yield from counter(
        "dispatch_fallbacks",
        "Decisions made by something other than the model since DispatcherActor started.",
        _DEVICE,
        [((d.device_id,), d.fallbacks) for d in decisions],
    )
