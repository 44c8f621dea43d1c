"""The rules as data: which signal, which limit, which direction it concerns, and what is done.

A rule names figures of `DeviceLimits`, or is a figure itself. Rules know nothing of time, devices or messages: `bound`
gives them a device's figures, `watch` applies them over time, and docs/safety.md is generated from them.
"""

from __future__ import annotations

import enum

import msgspec


class Side(enum.Enum):
    """On which side of its limit a value is unsafe."""

    BELOW = "at or below"
    ABOVE = "at or above"


class Direction(enum.Enum):
    """Which direction of battery power a rule concerns."""

    CHARGE = "charging"
    DISCHARGE = "discharging"
    BOTH = "both directions"

    @property
    def charges(self) -> bool:
        """Whether charging is concerned."""
        return self is not Direction.DISCHARGE

    @property
    def discharges(self) -> bool:
        """Whether discharging is concerned."""
        return self is not Direction.CHARGE


class Action(enum.Enum):
    """What is done when a rule holds, from the mildest."""

    DERATE = "less power"
    CLOSE = "no more of it"
    STOP = "the safe state"
    TRIP = "the safe state, latched"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of one signal."""

    name: str
    hazard: str
    signal: str
    """A point of `Vitals`, or what `signals` makes of several."""
    unit: str
    side: Side
    limit: str | float
    """A figure or property of `DeviceLimits`; where power falls, it is where nothing is left."""
    direction: Direction
    action: Action = Action.CLOSE
    hysteresis: str | float = 0.0
    delay: str | float = 0.0
    """For how many seconds it must be so."""
    clear: str | float = 0.0
    """For how many seconds it must be gone again."""
    back_at: str = ""
    """The figure that it must come back to, in place of a hysteresis."""
    band: str | float = 0.0
    """Over how much of the signal power falls to nothing; a name, or `from` another figure of the same signal."""
    figure: str = ""
    """Whose source is the limit's, where `limit` is worked out of it."""


class Holding(msgspec.Struct, frozen=True):
    """A rule that holds now, with its figures."""

    rule: str
    figures: str
    closes_charge: bool
    closes_discharge: bool
    commands: bool = False
    """Whether it calls for the safe state even if the battery does not move."""

    @property
    def text(self) -> str:
        """The rule and its figures, as people read them."""
        return f"{self.rule}: {self.figures}"


def closed(rule: str, figures: str) -> Holding:
    """Return the record that both directions are closed and the safe state is called for."""
    return Holding(rule, figures, closes_charge=True, closes_discharge=True, commands=True)
