from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.health import UNKNOWN, Health, Status, judge
from actors.api.snapshot import Collection
from actors.messages import LinkState, SafetyState, SafetyStatus
from supervision.clock import NS_PER_S
from supervision.events import State
from tests.actors.api import site

NOW_NS = 1_000 * NS_PER_S
OLD_NS = NOW_NS - 60 * NS_PER_S


def _health(*spoiled: msgspec.Struct, now_ns: int = NOW_NS) -> Health:
    collection = Collection()
    for message in [*site.everything(NOW_NS), *spoiled]:
        collection.take(message, NOW_NS)
    return judge(collection.snapshot(), site.config(), now_ns)


def _cell(name: str, state: State, reason: str = "") -> msgspec.Struct:
    changed = site.cell(name, NOW_NS, state=state, reason=reason)
    return site.site_report(NOW_NS, changed)


def _actor(cell: str, actor: str, state: State, **changes: object) -> msgspec.Struct:
    reports = tuple(
        site.actor(name, NOW_NS, **({"state": state, **changes} if name == actor else {}))
        for name in site.CELLS[cell][1]
    )
    return site.site_report(NOW_NS, site.cell(cell, NOW_NS, actors=reports))


def test_a_site_in_good_order_is_healthy() -> None:
    health = _health()

    assert (health.status, health.http_status, health.reason) == (Status.HEALTHY, 200, ())
    assert health.uptime_s == 100.0


def test_the_answer_begins_with_status_site_and_uptime() -> None:
    body = json.loads(msgspec.json.encode(_health()))

    assert list(body) == [
        "status",
        "site_id",
        "uptime_s",
        "reason",
        "cells",
        "actors",
        "devices",
        "publisher",
    ]
    assert body["actors"]["safety"] == {
        "state": "running",
        "last_progress_age_s": 0.0,
        "restarts": 1,
        "reason": "",
        "cell": "control",
        "epoch": 1,
    }
    assert body["devices"]["b1"]["state"] == "online"
    assert body["devices"]["b1"]["safety"]["state"] == "normal"


DEGRADED = [
    (_cell("detector", State.QUARANTINED, "too often"), "cell detector is quarantined: too often"),
    (_cell("publisher", State.BACKING_OFF), "cell publisher is backing_off"),
    (_actor("detector", "detector", State.BACKING_OFF), "actor detector is backing_off"),
    (
        _actor("detector", "detector", State.RUNNING, progress_ns=OLD_NS),
        "actor detector is unknown: no progress for 60.0 s",
    ),
    (
        site.device_state("b1", NOW_NS, link=LinkState.OFFLINE, reason="no answer"),
        "device b1 is offline: no answer",
    ),
    (site.device_state("b2", NOW_NS, link=LinkState.REFUSED), "device b2 is refused"),
    (
        site.device_state("b2", NOW_NS, trouble="polls are skipped: a poll takes 4 s of 1 s"),
        "device b2 is online: polls are skipped: a poll takes 4 s of 1 s",
    ),
    (
        site.device_state("b2", OLD_NS),
        "device b2 is unknown: its state was not heard for 60.0 s",
    ),
    (
        site.safety_status("b1", NOW_NS, state=SafetyState.TRIPPED, rules=("temp: 61 C",)),
        "b1 is tripped: temp: 61 C",
    ),
    (
        site.safety_status("b1", NOW_NS, state=SafetyState.STARTING),
        "b1 is held safe until enough good cycles have been seen",
    ),
    (site.publisher_status(NOW_NS, fault="disk full"), "publisher is fault: disk full"),
    (site.publisher_status(OLD_NS), "publisher is unknown: not heard for 60.0 s"),
]


@pytest.mark.parametrize(("spoiled", "reason"), DEGRADED)
def test_what_may_fail_degrades_the_site(spoiled: msgspec.Struct, reason: str) -> None:
    health = _health(spoiled)

    assert (health.status, health.http_status) == (Status.DEGRADED, 200)
    assert health.reason == (reason,)


UNHEALTHY = [
    (_cell("control", State.BACKING_OFF, "exit 70"), "cell control is backing_off: exit 70"),
    (_cell("control", State.STARTING), "cell control is starting"),
    (_actor("control", "safety", State.BACKING_OFF), "actor safety is backing_off"),
    (_actor("control", "inverter/b2", State.STARTING), "actor inverter/b2 is starting"),
    (
        _actor("control", "inverter/b1", State.RUNNING, progress_ns=OLD_NS),
        "actor inverter/b1 is unknown: no progress for 60.0 s",
    ),
    (
        site.site_report(NOW_NS, site.cell("control", NOW_NS, beat_ns=OLD_NS)),
        "cell control is unknown: no beat for 60.0 s",
    ),
    (site.watchdog_report(OLD_NS), "the watchdog was not heard for 60.0 s"),
    (
        site.watchdog_report(NOW_NS, progressing=False, late=("safety",)),
        "the watchdog waits for progress of safety",
    ),
    (site.safety_status("b1", OLD_NS), "b1 was not evaluated for 60.0 s"),
    (site.safety_status("b1", 0), "b1 was not evaluated yet"),
]


@pytest.mark.parametrize(("spoiled", "reason"), UNHEALTHY)
def test_whatever_keeps_safety_from_being_enforced_is_unhealthy(
    spoiled: msgspec.Struct, reason: str
) -> None:
    health = _health(spoiled)

    assert (health.status, health.http_status) == (Status.UNHEALTHY, 503)
    assert reason in health.reason


def test_a_device_that_is_limited_is_healthy() -> None:
    limited = site.safety_status("b1", NOW_NS, state=SafetyState.LIMITED, may_charge=False)

    assert _health(limited).status is Status.HEALTHY


def test_an_offline_device_need_not_be_evaluated_again() -> None:
    health = _health(
        site.device_state("b1", NOW_NS, link=LinkState.OFFLINE, reason="no answer"),
        site.safety_status("b1", OLD_NS),
    )

    assert health.status is Status.DEGRADED


def test_nothing_heard_is_unhealthy_and_everything_is_unknown() -> None:
    health = judge(Collection().snapshot(), site.config(), NOW_NS)

    assert health.status is Status.UNHEALTHY
    assert health.uptime_s is None
    assert {part.state for part in (*health.cells.values(), *health.actors.values())} == {UNKNOWN}
    assert health.devices["b1"].reason == "its state was not heard yet"


def test_safety_that_has_not_begun_is_unhealthy() -> None:
    starting = [site.safety_status(device, NOW_NS, evaluations=0) for device in site.DEVICES]

    assert "no safety evaluation has been completed yet" in _health(*starting).reason


def test_a_silent_root_leaves_nothing_known_of_its_cells() -> None:
    health = _health(now_ns=NOW_NS + 10 * NS_PER_S)

    assert health.http_status == 503
    assert health.cells["control"].reason == "root was not heard for 10.0 s"
    assert health.cells["control"].restarts is None
    assert health.actors["safety"].state == UNKNOWN


def test_the_serious_reasons_come_first() -> None:
    health = _health(site.publisher_status(NOW_NS, fault="disk full"), site.watchdog_report(OLD_NS))

    assert health.reason[0].startswith("the watchdog")


def test_a_trainer_that_waits_or_trains_is_in_order() -> None:
    for state in (State.IDLE, State.STARTING, State.STOPPED):
        assert _health(_cell("trainer", state)).status is Status.HEALTHY


def test_a_configuration_without_a_critical_cell_is_unhealthy() -> None:
    health = judge(Collection().snapshot(), site.config(cells=()), NOW_NS)

    assert "no critical cell is configured: nothing enforces safety" in health.reason


def test_a_site_without_publisher_has_no_such_section() -> None:
    cells = tuple(cell for cell in site.config().cells if cell.name != "publisher")
    health = judge(Collection().snapshot(), site.config(cells=cells), NOW_NS)

    assert b"publisher" not in msgspec.json.encode(health)


_AGES_S = st.sampled_from([0.0, 0.5, 1.9, 2.1, 2.9, 3.1, 8.0, 1_000.0])
_Message = Callable[[int], msgspec.Struct]
_MAKERS: list[_Message] = [
    site.site_report,
    site.watchdog_report,
    site.publisher_status,
    *(lambda ns, d=d: site.device_state(d, ns) for d in site.DEVICES),
    *(lambda ns, d=d: site.safety_status(d, ns) for d in site.DEVICES),
]


@given(st.lists(st.none() | _AGES_S, min_size=len(_MAKERS), max_size=len(_MAKERS)))
def test_nothing_unknown_is_ever_part_of_healthy(ages_s: list[float | None]) -> None:
    collection = Collection()
    for make, age_s in zip(_MAKERS, ages_s, strict=True):
        if age_s is not None:
            at_ns = NOW_NS - int(age_s * NS_PER_S)
            collection.take(make(at_ns), at_ns)

    health = judge(collection.snapshot(), site.config(), NOW_NS)

    assert (health.status is Status.HEALTHY) == (health.reason == ())
    if health.status is Status.HEALTHY:
        assert all(age_s is not None and age_s <= 3.0 for age_s in ages_s)
        assert b"unknown" not in msgspec.json.encode(health)
    if ages_s[0] is None or ages_s[0] > 2.0:
        assert health.http_status == 503


@given(st.integers(1, 10**12), st.booleans())
def test_a_status_never_heard_is_as_bad_as_an_old_one(age_ns: int, heard: bool) -> None:  # noqa: FBT001 - drawn
    collection = Collection()
    for message in site.everything(NOW_NS):
        if not isinstance(message, SafetyStatus):
            collection.take(message, NOW_NS)
    if heard:
        old_ns = NOW_NS - 3 * NS_PER_S - age_ns
        collection.take(site.safety_status("b1", old_ns), old_ns)

    assert judge(collection.snapshot(), site.config(), NOW_NS).http_status == 503
