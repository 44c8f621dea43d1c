"""The peers' environment, installed once per machine."""

from pathlib import Path

import pytest

from tests.peers.environment import peers_python


@pytest.fixture(scope="session")
def stranger() -> Path:
    """The interpreter of the environment that clients run in which nobody here wrote."""
    return peers_python()
