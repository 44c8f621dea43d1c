"""A device on a real socket, and an actor for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.actors.inverter.driven import Driven, driven
from tests.actors.inverter.linked import Heard, listening
from tests.actors.inverter.scripted_peer import ScriptedPeer, scripted_peer


@pytest.fixture
def peer() -> Iterator[ScriptedPeer]:
    """A scripted device."""
    with scripted_peer() as device:
        yield device


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What the links of a test deliver; they are closed at its end."""
    with listening() as ear:
        yield ear


@pytest.fixture
def subject(peer: ScriptedPeer) -> Iterator[Driven]:
    """An actor that has read the scripted device."""
    with driven(peer.port) as actor:
        actor.online()
        yield actor
