"""Plans a campaign: from a seed to a list of steps, the same one always. Pure.

Every device goes through spells of 15 to 30 seconds. In each of them its battery is pushed to and beyond limits and
forced by another master; what else happens to it is the spell's: nothing, faults of requests, faults of values, or
faults of its own actor. Meanwhile parts of the gateway suffer, each no more often than supervision forgives.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Callable

from bessai.campaign import draws
from bessai.campaign.step import Kind, Order, Physics, Signal, Step, Suffer, What

SPELL_S = (15.0, 30.0)
_GATEWAY_SHARE = 0.06
"""Of the steps that befall the gateway instead of a device."""
_PUSHED_SHARE = 0.5
"""Of a device's steps that push its battery whatever the spell."""
_DANGER_SHARE = 0.75
"""Of the pushes that force a battery which is beyond a limit, as against moving it elsewhere."""
_FORCE_SHARE = 0.3
"""The same of a battery that is within its limits."""
_ASKED_SHARE = 0.5
"""Of what happens in calm beside the pushes: an operator asks for power."""
_TRIP_SHARE = 0.004
"""Of the last device's pushes: a trip latches, and nothing is commanded afterwards."""
REST_S = {
    # Restart back-off starts anew after 10 s of life for an actor and 30 s for a cell; the rest is margin.
    "actor": 12.0,
    "cell": 12.0,
    "control cell": 45.0,
    # Safety and watchdog concern all devices: rarely enough that most of the time is judged without an excuse.
    "control actor": 20.0,
    "any inverter": 2.0,
}
"""Shortest time between two faults of the same part of the gateway, seconds."""
_DEGRADABLE = ("dispatcher", "api", "detector", "publisher")


class Spell(enum.Enum):
    """What happens to a device beside pushes of its battery."""

    CALM = "calm"
    """Nothing is wrong; operators ask for power."""
    WIRE = "wire"
    VALUES = "values"
    ACTOR = "actor"


_SPELLS = (Spell.CALM, Spell.CALM, Spell.WIRE, Spell.WIRE, Spell.VALUES, Spell.ACTOR)


def plan(seed: int, *, steps: int, devices: int, pause_s: float) -> tuple[Step, ...]:
    """Return `steps` steps for the devices `d1` to `d<devices>`, `pause_s` seconds apart on average."""
    draw = random.Random(f"campaign {seed}")  # noqa: S311 - no secret
    gateway = _Gateway(draw)
    site = [
        _Device(f"d{number}", draw, gateway, trips=number == devices)
        for number in range(1, devices + 1)
    ]
    planned: list[Step] = []
    at_s = 0.0
    for number in range(steps):
        at_s = round(at_s + draw.uniform(0.2, 1.8) * pause_s, 3)
        what = gateway.next(at_s) if draw.random() < _GATEWAY_SHARE else None
        device = ""
        if what is None:
            chosen = draw.choice(site)
            device, what = chosen.name, chosen.next(at_s)
        planned.append(Step(number=number, at_s=at_s, device=device, what=what))
    return tuple(planned)


class _Gateway:
    """The parts of the gateway that suffer as a whole, and when each may do so again."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._ready_s: dict[str, float] = {}
        self._kinds: tuple[Callable[[float], What | None], ...] = (
            self._degradable_actor,
            self._degradable_actor,
            self._degradable_cell,
            self._control_actor,
            self._control_cell,
            self._root,
        )

    def next(self, at_s: float) -> What | None:
        """Return what befalls the gateway at `at_s`, or None if what was drawn needs more rest."""
        return self._draw.choice(self._kinds)(at_s)

    def may(self, part: str, at_s: float, rest: str) -> bool:
        """Tell whether `part` may suffer at `at_s`, and if so let it rest afterwards."""
        if at_s < self._ready_s.get(part, 0.0):
            return False
        self._ready_s[part] = at_s + REST_S[rest]
        return True

    def _degradable_actor(self, at_s: float) -> What | None:
        actor = self._draw.choice(_DEGRADABLE)
        if not self.may(actor, at_s, "cell"):
            return None
        return draws.order(self._draw, actor, draws.DEGRADABLE_ORDERS)

    def _degradable_cell(self, at_s: float) -> What | None:
        cell = self._draw.choice(_DEGRADABLE)
        return draws.signal(self._draw, cell) if self.may(cell, at_s, "cell") else None

    def _control_actor(self, at_s: float) -> What | None:
        if not self.may("control actor", at_s, "control actor"):
            return None
        actor = self._draw.choice(("safety", "safety", "watchdog"))
        return draws.order(self._draw, actor, draws.CONTROL_ORDERS)

    def _control_cell(self, at_s: float) -> What | None:
        if not self.may("control", at_s, "control cell"):
            return None
        return draws.signal(self._draw, "control")

    def _root(self, at_s: float) -> What | None:
        if not self.may("root", at_s, "control actor"):
            return None
        return Signal(cell="root", stop_s=round(self._draw.uniform(0.2, 2.0), 2))


class _Device:
    """One device: its spell, and whether its battery is beyond a limit now."""

    def __init__(self, name: str, draw: random.Random, gateway: _Gateway, *, trips: bool) -> None:
        self.name = name
        self._draw = draw
        self._gateway = gateway
        self._trips = trips
        self._spell = Spell.CALM
        self._spell_ends_s = draw.uniform(0.0, SPELL_S[1])
        self._danger: Kind | None = None

    def next(self, at_s: float) -> What:
        """Return what happens to the device at `at_s`."""
        if at_s >= self._spell_ends_s:
            self._spell = self._draw.choice(_SPELLS)
            self._spell_ends_s = at_s + self._draw.uniform(*SPELL_S)
        if self._draw.random() < _PUSHED_SHARE:
            return self._push()
        return self._of_spell(at_s) or self._push()

    def _push(self) -> What:
        if self._trips and self._draw.random() < _TRIP_SHARE:
            return draws.too_hot(self._draw)
        forced = _FORCE_SHARE if self._danger is None else _DANGER_SHARE
        if self._draw.random() < forced:
            return draws.force(self._draw, self._danger)
        return self._move()

    def _move(self) -> Physics:
        moved, self._danger = draws.physics(self._draw)
        return moved

    def _of_spell(self, at_s: float) -> What | None:
        match self._spell:
            case Spell.CALM:
                return draws.ask(self._draw) if self._draw.random() < _ASKED_SHARE else None
            case Spell.WIRE:
                return draws.wire_fault(self._draw)
            case Spell.VALUES:
                return self._lie()
            case Spell.ACTOR:
                return self._own_actor(at_s)

    def _lie(self) -> Suffer:
        if self._draw.random() < _FORCE_SHARE:
            return draws.foreign_writes(self._draw)
        return draws.value_fault(self._draw)

    def _own_actor(self, at_s: float) -> Order | None:
        # Hung threads of the shared pool are given up; too many at once and the control cell is.
        actor = f"inverter/{self.name}"
        if not self._gateway.may(actor, at_s, "actor") or not self._gateway.may(
            "any inverter", at_s, "any inverter"
        ):
            return None
        return draws.order(self._draw, actor, draws.CONTROL_ORDERS)
