"""One gateway on a simulated site of two devices, shared by the chaos tests: each must leave it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from bessai.testing import Gateway, SimulatedSite

CELLS = {
    "safety": "control",
    "watchdog": "control",
    "inverter/d1": "control",
    "api": "api",
    "detector": "detector",
    "dispatcher": "dispatcher",
    "publisher": "publisher",
}
HASTE = "[cells]\nhung_after_s = 1.0\n"
"""A hung actor is found sooner than at a real site, so that the tests are quick."""
DEGRADABLE = ("api", "detector", "dispatcher", "publisher")


class Arena(NamedTuple):
    """The gateway, and the site that judges it."""

    site: SimulatedSite
    gateway: Gateway

    def actors(self) -> dict[str, dict[str, Any]]:
        """Return the actors as /health tells them, or nothing while nobody answers."""
        health = self.gateway.health()
        return health["actors"] if health else {}


@pytest.fixture(scope="session")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    """Return a healthy gateway of which any part may be broken."""
    directory = tmp_path_factory.mktemp("chaos")
    with (
        SimulatedSite(directory, devices=2) as site,
        Gateway(site, directory, extra=HASTE) as gateway,
    ):
        gateway.wait_until_healthy(timeout_s=40.0)
        yield Arena(site, gateway)


@pytest.fixture
def calm(arena: Arena) -> Iterator[Arena]:
    """Return the arena in health, and see that the test left it so."""
    settle(arena)
    yield arena
    for device in arena.site.names:
        arena.site.client.end_fault(device)
        arena.site.mend(device)
    settle(arena)


def settle(arena: Arena) -> None:
    """Wait until all is well and the guard has opened every direction: a new breach is then a new one for it too."""
    arena.gateway.wait_until(
        "health, with every device in normal state",
        lambda health: (
            health["status"] == "healthy"
            and all(d["safety"]["state"] == "normal" for d in health["devices"].values())
        ),
        timeout_s=40.0,
    )
