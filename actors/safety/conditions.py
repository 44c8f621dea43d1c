"""What closes a device beside the limits of its values, and what a command alone is refused for: as data, for docs."""

from __future__ import annotations

import msgspec

from actors.safety.rules import Action, Direction


class ConditionRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that looks at time, order or the command itself."""

    name: str
    hazard: str
    limit: str
    """In words."""
    direction: Direction = Direction.BOTH
    action: Action = Action.STOP
    source: str = "project's choice"


_STRANGE = "commands to a battery that is not as it is believed to be"
_TOO_MUCH = "more power than battery, inverter or connection bear"

CONDITIONS = (
    ConditionRule(
        name="trip",
        hazard="running again what tripped before a restart",
        limit="a latch in the journal that was not reset",
        action=Action.TRIP,
    ),
    ConditionRule(
        name="order",
        hazard="replayed or late measurements",
        limit="sequence, incarnation or time not after the last, or in the future",
    ),
    ConditionRule(
        name="clock", hazard="ages that are not true", limit="a monotonic clock that goes back"
    ),
    ConditionRule(name="stale", hazard=_STRANGE, limit="a measurement older than `stale_after_s`"),
    ConditionRule(name="link", hazard=_STRANGE, limit="no link since the last measurement"),
    ConditionRule(
        name="grid_stale",
        hazard=_STRANGE,
        limit="values of the grid older than `stale_after_s`",
        action=Action.CLOSE,
    ),
    ConditionRule(
        name="starting",
        hazard=_STRANGE,
        limit="fewer good measurements in a row than `good_cycles`",
    ),
)
"""Of a device."""

COMMAND_RULES = (
    ConditionRule(
        name="power_finite",
        hazard="commands that are no numbers",
        limit="neither a finite number nor within 1 GW",
        action=Action.CLOSE,
    ),
    ConditionRule(
        name="device",
        hazard="one battery's state deciding on another",
        limit="another device than was assessed",
        action=Action.CLOSE,
    ),
    ConditionRule(
        name="power_limit",
        hazard=_TOO_MUCH,
        limit="`max_charge_w`, `max_discharge_w`, and the device's own limits",
        action=Action.DERATE,
        source="configuration, and the device's registers",
    ),
    ConditionRule(
        name="ramp",
        hazard="steps that shake grid and battery",
        limit="`ramp_pct_per_min` away from 0; towards 0 and to a stop at once",
        action=Action.DERATE,
    ),
)
"""Of a command."""
