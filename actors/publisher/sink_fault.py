"""What keeps a sink from taking records, by who has to mend it."""

from __future__ import annotations

import enum

from actors.publisher.sinks import SinkError


class SinkFault(enum.Enum):
    """Why a sink takes nothing."""

    OUTAGE = "outage"
    """Nothing answers, or the answer is that it cannot now; it heals by itself."""
    CREDENTIALS = "credentials"
    """What the gateway shows of itself is missing, expired, revoked or not enough."""
    TARGET = "target"
    """The topic does not exist, or its name is wrong."""
    POISON = "poison"
    """A record is refused for what it is; every other may pass."""


class FaultError(SinkError):
    """A SinkError whose kind is known; it stands in the message too, because that is what operators see."""

    def __init__(self, message: str, fault: SinkFault) -> None:
        """Say `message`."""
        super().__init__(message)
        self.fault = fault
