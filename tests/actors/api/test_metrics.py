from __future__ import annotations

import math
import shutil
import subprocess

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actors.api.metrics import Exposition
from actors.api.snapshot import Collection
from actors.messages import Quality, SafetyEvent, WriteReport, WriteResult
from supervision.clock import NS_PER_S, ManualClock
from supervision.events import Lifecycle, What
from tests.actors.api import site

Values = dict[tuple[str, ...], float]
"""By metric name and label values, these in the order of the labels' names."""


def _text(*messages: msgspec.Struct, clock: ManualClock) -> bytes:
    collection = Collection()
    for message in messages:
        collection.take(message, clock.monotonic_ns())
    body, content_type = Exposition(collection.snapshot, site.config(), clock).render("")
    assert content_type.startswith("text/plain; version=")
    return body


def _values(text: bytes) -> Values:
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def _scrape(*spoiled: msgspec.Struct, after_s: float = 0.0) -> Values:
    clock = ManualClock()
    messages = [*site.everything(clock.monotonic_ns()), *spoiled]
    collection = Collection()
    for message in messages:
        collection.take(message, clock.monotonic_ns())
    clock.advance(after_s)
    return _values(Exposition(collection.snapshot, site.config(), clock).render("")[0])


def _now_ns() -> int:
    return ManualClock().monotonic_ns()


def test_what_was_heard_is_exported_with_units_in_the_names() -> None:
    values = _scrape()

    assert values["bessai_battery_soc_percent", "b1"] == 55.5
    assert values["bessai_battery_power_watts", "b2"] == -1200.0
    assert values["bessai_cell_memory_bytes", "control"] == 50e6
    assert values["bessai_actor_restarts_total", "safety", "control"] == 1
    assert values["bessai_dead_letters_total", "control"] == 3
    assert values["bessai_publisher_spool_waiting", "file"] == 2
    assert values["bessai_anomaly_z_max", "b1"] == 1.5
    assert values["bessai_dispatch_power_watts", "b1", "time_of_use"] == 500.0
    assert values["bessai_safety_enforced",] == 1
    assert values["bessai_uptime_seconds",] == 100.0


def test_what_was_lost_or_refused_on_the_way_to_the_cloud_is_counted() -> None:
    now_ns = _now_ns()
    values = _scrape(
        site.publisher_status(now_ns, dead=3, upstream_lost=4),
        site.device_state("b1", now_ns, unacked=5, unacked_lost=6),
    )

    assert values["bessai_publisher_dead_letters_total", "file"] == 3
    assert values["bessai_publisher_upstream_lost_total", "file"] == 4
    assert values["bessai_device_unacked_samples", "b1"] == 5
    assert values["bessai_device_lost_samples_total", "b1"] == 6


def test_the_safety_state_is_one_of_its_series() -> None:
    values = _scrape()

    states = {
        key[2]: value for key, value in values.items() if key[:2] == ("bessai_safety_state", "b1")
    }
    assert states == {"starting": 0, "normal": 1, "limited": 0, "tripped": 0}


def test_nothing_heard_exports_only_that_safety_is_not_known_to_be_enforced() -> None:
    values = _values(_text(clock=ManualClock()))

    assert values == {("bessai_safety_enforced",): 0, ("bessai_healthy",): 0}


def test_what_is_stale_is_absent_not_zero() -> None:
    names = {key[0] for key in _scrape(after_s=60.0)}

    assert names == {"bessai_safety_enforced", "bessai_healthy"}


@pytest.mark.parametrize(
    ("value", "quality"),
    [(None, b""), (math.nan, b""), (50.0, bytes([Quality.STALE, 0, 0]))],
)
def test_a_value_that_is_not_good_is_absent(value: float | None, quality: bytes) -> None:
    bad = site.sample("b1", _now_ns(), values=(value, 1.0, 1.0), quality=quality)

    values = _scrape(bad)

    assert ("bessai_battery_soc_percent", "b1") not in values
    assert ("bessai_battery_power_watts", "b1") in values


def test_a_sample_of_another_schema_is_not_exported() -> None:
    values = _scrape(site.sample("b1", _now_ns(), schema_id=2))

    assert ("bessai_battery_soc_percent", "b1") not in values


def test_an_unknown_score_is_absent() -> None:
    assert "bessai_anomaly_forest_score" not in {key[0] for key in _scrape()}


def test_a_closed_spool_says_nothing_of_its_contents() -> None:
    values = _scrape(site.publisher_status(_now_ns(), spooling=False, fault="disk full"))

    assert values["bessai_publisher_fault", "file"] == 1
    assert ("bessai_publisher_spool_waiting", "file") not in values


def test_a_cell_that_does_not_beat_has_no_actors_to_show() -> None:
    silent = site.cell("detector", _now_ns(), beat_ns=_now_ns() - 9 * NS_PER_S)

    values = _scrape(site.site_report(_now_ns(), silent))

    assert ("bessai_actor_up", "detector", "detector") not in values
    assert ("bessai_actor_up", "safety", "control") in values


def test_events_are_counted() -> None:
    event = SafetyEvent(device_id="b1", kind="began", rule="soc", detail="", wall_ns=1, mono_ns=1)
    written = WriteReport(
        device_id="b1", seq=1, safe=True, result=WriteResult.VERIFIED, power_w=0.0
    )
    lost = Lifecycle(cell="api", actor="x", what=What.DEAD_LETTERS, wall_ns=1, count=5)
    again = Lifecycle(cell="api", actor="x", what=What.RESTARTING, wall_ns=1, count=5)

    values = _scrape(event, event, written, lost, again)

    assert values["bessai_safety_events_total", "b1", "began", "soc"] == 2
    assert values["bessai_writes_total", "safe", "b1", "verified"] == 1
    assert values["bessai_lifecycle_events_total", "x", "api", "dead_letters"] == 5
    assert values["bessai_lifecycle_events_total", "x", "api", "restarting"] == 1


def test_every_name_has_the_prefix() -> None:
    assert all(key[0].startswith("bessai_") for key in _scrape())


def test_openmetrics_is_answered_to_whoever_asks_for_it() -> None:
    exposition = Exposition(Collection().snapshot, site.config(), ManualClock())

    body, content_type = exposition.render("application/openmetrics-text; version=1.0.0")

    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_wrong() -> None:
    clock = ManualClock()
    text = _text(*site.everything(clock.monotonic_ns()), clock=clock)

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
