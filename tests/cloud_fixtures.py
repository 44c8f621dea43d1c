"""The Pub/Sub services that tests talk to, each started once for a whole run and only if a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bessai.cloud_simulator.driven import SimulatedCloud
from tests.emulator import find_jar, running_emulator


@pytest.fixture(scope="session")
def cloud() -> Iterator[SimulatedCloud]:
    """Our own service."""
    with SimulatedCloud() as cloud:
        yield cloud


@pytest.fixture(scope="session")
def emulator() -> Iterator[str]:
    """Google's emulator, where its jar is on the machine."""
    jar = find_jar()
    if jar is None:
        pytest.skip("Google's emulator is not on this machine")
    with running_emulator(jar) as address:
        yield address


@pytest.fixture(params=["ours", "google's"])
def address(request: pytest.FixtureRequest) -> str:
    """Return where a Pub/Sub service answers: the same tests hold both to the same behaviour."""
    if request.param == "ours":
        cloud: SimulatedCloud = request.getfixturevalue("cloud")
        return cloud.address
    found: str = request.getfixturevalue("emulator")
    return found
