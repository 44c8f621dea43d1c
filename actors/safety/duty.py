"""When a device is owed a safe command, and when it is to be repeated. Pure: the time is handed in.

A cause is answered at once, then again every `reassert_s` until the InverterActor has read back that the device is
safe. If the cause persists after that it is repeated: as often if the device is forced again, since somebody else must
have commanded it, and ten times more slowly if the battery moves by itself (charging from PV, say).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from actors.messages import BatteryPowerW, WriteResult
from actors.safety.guard import Assessment
from supervision.clock import NS_PER_S

PERSISTING_FACTOR = 10


class Cause(NamedTuple):
    """Why a device must be made safe."""

    rule: str
    reason: str


MOVEMENTS = frozenset({"charging", "discharging", "forced", "unseen"})
"""Causes that a safe command on its way is about to end."""


def find_causes(
    assessment: Assessment,
    *,
    leased: bool,
    deadband_w: float,
    known: AbstractSet[str],
) -> dict[str, Cause]:
    """Return by a stable key every reason to command the safe state.

    `leased` says whether a set-point is approved; that in a closed direction was withdrawn before. A movement that is
    already `known` counts until it has fallen under half the dead-band, so that noise does not repeat it.
    """
    causes = {
        holding.rule: Cause(holding.rule, holding.figures)
        for holding in assessment.holdings
        if holding.commands
    }
    if starting := causes.pop("starting", None):
        # Each incarnation of the InverterActor is told anew; the count of good cycles is no new cause.
        causes[f"starting@{assessment.inverter_epoch}"] = starting
    causes |= _movements(assessment, leased=leased, deadband_w=deadband_w, known=known)
    return causes


def _movements(
    assessment: Assessment, *, leased: bool, deadband_w: float, known: AbstractSet[str]
) -> dict[str, Cause]:
    if assessment.may_charge and assessment.may_discharge:
        return {}
    power_w, forced = assessment.power_w, assessment.forced
    if power_w is None:
        if forced is False:
            return {}
        return {"unseen": _cause(assessment, 0.0, "battery power is not known")}
    moving: dict[str, Cause] = {}
    for key, sign in (("charging", 1.0), ("discharging", -1.0)):
        threshold_w = deadband_w / 2 if key in known else deadband_w
        if power_w * sign > threshold_w and assessment.closing(sign):
            moving[key] = _cause(assessment, sign, f"{key} at {abs(power_w):.0f} W")
    open_movement = abs(power_w) > deadband_w and not assessment.closing(power_w)
    if forced and not leased and not open_movement:
        moving["forced"] = _cause(assessment, 0.0, "forced without an approved set-point")
    return moving


def _cause(assessment: Assessment, direction: BatteryPowerW, reason: str) -> Cause:
    closing = assessment.closing(direction) if direction else None
    rule = closing or next(h for h in assessment.holdings if h.closes_charge or h.closes_discharge)
    return Cause(rule.rule, f"{reason}; {rule.text}")


class SafeDuty:
    """The safe commands owed to one device."""

    def __init__(self, reassert_s: float) -> None:
        """Owe nothing yet."""
        self.cause = Cause("", "")
        self.known: frozenset[str] = frozenset()
        """The causes that have been taken up and still hold."""
        self._reassert_ns = int(reassert_s * NS_PER_S)
        self._urgent = False
        self._owed = False
        self._sent_ns = 0
        self._first_seq = 0

    @property
    def owed(self) -> bool:
        """Whether the device is not known to be safe: nothing may be approved."""
        return self._owed

    def face(self, causes: Mapping[str, Cause], now_ns: int) -> None:
        """Take up the `causes` that hold now; one that is new is urgent."""
        in_flight = self._owed and now_ns - self._sent_ns < self._reassert_ns
        fresh = [
            key for key in causes if key not in self.known and not (in_flight and key in MOVEMENTS)
        ]
        self.known = (self.known & causes.keys()) | frozenset(fresh)
        if fresh:
            self.cause = causes[fresh[0]]
            self._urgent = self._owed = True

    def is_due(self, now_ns: int) -> bool:
        """Return whether a safe command is to be sent now."""
        due_ns = self.due_ns
        return due_ns is not None and now_ns >= due_ns

    @property
    def due_ns(self) -> int | None:
        """When a safe command is to be sent next, or None while there is no reason to."""
        if self._urgent:
            return 0
        if self._owed:
            return self._sent_ns + self._reassert_ns
        if not self.known:
            return None
        pace = 1 if "forced" in self.known else PERSISTING_FACTOR
        return self._sent_ns + pace * self._reassert_ns

    def sent(self, seq: int, now_ns: int) -> None:
        """Note that the safe command `seq` went out."""
        if self._urgent or not self._owed:
            self._first_seq = seq
        self._urgent = False
        self._owed = True
        self._sent_ns = now_ns

    def rest(self, now_ns: int) -> None:
        """Give a set-point that was just approved time to end a persisting movement."""
        self._sent_ns = now_ns

    def heard(self, seq: int, result: WriteResult) -> None:
        """Note how the safe command `seq` ended; only a verified one is done with."""
        if result is WriteResult.VERIFIED and seq >= self._first_seq and not self._urgent:
            self._owed = False
