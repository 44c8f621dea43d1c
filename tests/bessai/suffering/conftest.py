"""One gateway with a device for every kind of fault: all suffer at once, and what comes of it is looked at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bessai.config import DEFAULT_PROFILE
from bessai.simulator.faults import FaultKind
from bessai.testing import Gateway, NotInTimeError, SimulatedSite, wait_for
from tests.bessai.suffering.evidence import Evidence, Suffered
from tests.bessai.suffering.judge import wrong_counts, wrong_quality, wrong_safety, wrong_words
from tests.bessai.suffering.rows import ASKED_W, ROWS

POLL_S = 0.25
DEADLINE_S = 30.0
HOLD_S = 6.0
"""Faults hold at least so long: a temperature that jumped would be believed after 5 s."""
KEYS = {
    "timeout_s": 2.0,
    "reconnect_initial_s": 0.2,
    "reconnect_max_s": 1.0,
    "rated_power_w": ASKED_W,
}
ALWAYS_CHARGE = f"""
[dispatcher]
decide_s = 0.5
time_of_use = {{ charge_hours_utc = {list(range(24))} }}
"""


class Suffering(NamedTuple):
    """The running site and gateway, and what had come of every fault while it held."""

    site: SimulatedSite
    gateway: Gateway
    found: dict[FaultKind, Suffered]


@pytest.fixture(scope="session")
def suffering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suffering]:
    """Let one device of a charging site suffer each kind of fault until all that is expected has come."""
    directory = tmp_path_factory.mktemp("suffering")
    with SimulatedSite(directory, devices=len(ROWS)) as site:
        for name, row in zip(site.names, ROWS, strict=True):
            if row.before:
                site.client.set_state(name, **row.before)
            if row.early:
                site.client.add_fault(name, row.kind.value, **row.parameters)
        with Gateway(
            site,
            directory,
            poll_s=POLL_S,
            profile=DEFAULT_PROFILE,
            keys=KEYS,
            extra=ALWAYS_CHARGE,
        ) as gateway:
            gateway.wait_until_healthy(timeout_s=40.0)
            wait_for("every battery charges", lambda: _all_charge(site), timeout_s=40.0)
            yield Suffering(site, gateway, _suffer(Evidence(site, gateway)))


def _all_charge(site: SimulatedSite) -> bool:
    return all(site.client.truth(name).battery_power_w == ASKED_W for name in site.names)


def _suffer(evidence: Evidence) -> dict[FaultKind, Suffered]:
    client, names = evidence.site.client, evidence.site.names
    for name, row in zip(names, ROWS, strict=True):
        if not row.early:
            client.add_fault(name, row.kind.value, **row.parameters)
    for name, row in zip(names, ROWS, strict=True):
        if row.then:
            evidence.wait_until_read(name)
            evidence.change(name, row.then)
    try:
        return wait_for("all", lambda: _complete(evidence), timeout_s=DEADLINE_S, pause_s=0.5)
    except NotInTimeError:
        return _by_kind(evidence)  # the tests say what is missing


def _complete(evidence: Evidence) -> dict[FaultKind, Suffered] | None:
    found = _by_kind(evidence)
    checks = (wrong_quality, wrong_counts, wrong_words, wrong_safety)
    missing = any(list(check(row, found[row.kind])) for row in ROWS for check in checks)
    return None if missing or evidence.age_s < HOLD_S else found


def _by_kind(evidence: Evidence) -> dict[FaultKind, Suffered]:
    now = evidence.now()
    return {row.kind: now[name] for name, row in zip(evidence.site.names, ROWS, strict=True)}
