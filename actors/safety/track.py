"""What is remembered of one device, and what follows from it now: pure, the time is handed in."""

from __future__ import annotations

from actors.messages import SafetyState, Vitals
from actors.safety.assessment import Assessment, PowerBound
from actors.safety.catalogue import LIMITS
from actors.safety.config import DeviceLimits
from actors.safety.envelope import CLOSED, one_way
from actors.safety.inputs import GRID_POINTS, Reader
from actors.safety.ramp import Ramp
from actors.safety.rules import Action, Direction, Holding, closed
from actors.safety.signals import Signals
from actors.safety.site import SiteView
from actors.safety.watch import Watch, bind
from supervision.clock import NS_PER_S

_SIGNALS = tuple(rule.signal for rule in LIMITS)
"""What each of a track's watches looks at."""


class Track:
    """What is remembered of one device."""

    def __init__(self, device_id: str, limits: DeviceLimits) -> None:
        """Begin with nothing seen, and everything closed."""
        self._device_id = device_id
        self._limits = limits
        self._stale_ns = int(limits.stale_after_s * NS_PER_S)
        self._watches = [Watch(bind(rule, limits)) for rule in LIMITS]
        self._charging = one_way(Direction.CHARGE, limits)
        self._discharging = one_way(Direction.DISCHARGE, limits)
        self._reader = Reader()
        self._signals = Signals(limits)
        self.ramp = Ramp(limits)
        self._vitals: Vitals | None = None
        self._values: dict[str, float] = {}
        self._faults: tuple[Holding, ...] = ()
        self._has_grid = False
        self._reached_ns = 0
        self._disorder: Holding | None = None
        self._good = 0
        self._started = False
        self._now_ns = 0
        self.latched: Holding | None = None
        self.link_fault = ""
        self.link_ns = 0

    def accept(self, vitals: Vitals, now_ns: int) -> bool:
        """Remember `vitals`, unless they are out of order: then remember that. Return whether they count."""
        disorder = self._find_disorder(vitals, now_ns)
        self._disorder = closed("order", disorder) if disorder else None
        if disorder:
            return False
        if self._vitals is not None and vitals.epoch != self._vitals.epoch:
            self._start_over()
        self._note_gap(vitals)
        self._vitals = vitals
        readout = self._reader.read(vitals)
        self._values, self._faults = readout.values, readout.faults
        self._has_grid = readout.has_grid
        if self._values:
            self._reached_ns = vitals.mono_ns
        self._signals.add(self._values, forced=vitals.forced, mono_ns=vitals.mono_ns)
        self._good = 0 if self._faults else self._good + 1
        self._started = self._started or self._good >= self._limits.good_cycles
        return True

    def assess(self, now_ns: int, site: SiteView) -> Assessment:
        """Apply every rule at `now_ns`, and what the `site` has room for."""
        blind = self._blind(now_ns)
        if blind:
            self._start_over()
        held, trip = ([], None) if blind else self._apply_limits()
        vitals, power_w = self._vitals, None if blind else self._values.get("battery_power_w")
        holdings = self._holdings(blind, held, site, now_ns)
        closes = _closes(holdings)
        charge, discharge = self._largest(closes, holdings, site, power_w or 0.0)
        return Assessment(
            device_id=self._device_id,
            state=self._state(open_both=not any(closes)),
            may_charge=not closes[0],
            may_discharge=not closes[1],
            holdings=tuple(holdings),
            charge=charge,
            discharge=discharge,
            valid_until_ns=0 if vitals is None else vitals.mono_ns + self._stale_ns,
            setpoint_w=self.ramp.power_w,
            step_w=self.ramp.step_w(now_ns),
            inverter_epoch=0 if vitals is None else vitals.epoch,
            power_w=power_w,
            forced=None if blind or vitals is None else vitals.forced,
            trip=trip,
        )

    def why_tripped(self, now_ns: int) -> str:
        """Return the first thing that keeps a trip latched; empty if there is none."""
        holdings = [*self._blind(now_ns), *self._faults, *self._not_back()]
        if holdings:
            return holdings[0].text
        if self._good < self._limits.good_cycles:
            return f"{self._good} of {self._limits.good_cycles} good measurements"
        return ""

    def unlatch(self) -> None:
        """End the trip and start over."""
        self.latched = None
        self._start_over()

    def _not_back(self) -> list[Holding]:
        """Return what has not come back far enough from a limit that trips, whoever has seen it beyond."""
        return [
            watch.bound.holding(self._values[signal])
            for signal, watch in zip(_SIGNALS, self._watches, strict=True)
            if watch.bound.rule.action is Action.TRIP
            and signal in self._values
            and not watch.is_clear(self._values[signal])
        ]

    def _find_disorder(self, vitals: Vitals, now_ns: int) -> str:
        if vitals.mono_ns > now_ns:
            return f"measured {(vitals.mono_ns - now_ns) / NS_PER_S:.3f} s in the future"
        if vitals.grid_mono_ns > vitals.mono_ns:
            ahead_s = (vitals.grid_mono_ns - vitals.mono_ns) / NS_PER_S
            return f"the grid was measured {ahead_s:.3f} s after the battery"
        last = self._vitals
        if last is None:
            return ""
        if vitals.mono_ns < last.mono_ns:
            return f"measured {(last.mono_ns - vitals.mono_ns) / NS_PER_S:.3f} s before the last"
        if vitals.epoch < last.epoch:
            return f"incarnation {vitals.epoch} after {last.epoch}"
        if vitals.epoch == last.epoch and vitals.seq <= last.seq:
            return f"sequence {vitals.seq} after {last.seq}"
        return ""

    def _start_over(self) -> None:
        self._good = 0
        self._started = False
        self._reader.forget()
        self._wait_anew()

    def _wait_anew(self) -> None:
        """Let silence count for no waiting time."""
        for watch in self._watches:
            watch.blind()

    def _note_gap(self, vitals: Vitals) -> None:
        """Wait anew if nobody has looked while nothing was measured."""
        last = self._vitals
        if last is not None and vitals.mono_ns - last.mono_ns > self._stale_ns:
            self._wait_anew()

    def _blind(self, now_ns: int) -> list[Holding]:
        """Return why nothing that was measured counts now."""
        blind = [] if self._disorder is None else [self._disorder]
        if now_ns < self._now_ns:
            back_s = (self._now_ns - now_ns) / NS_PER_S
            blind.append(closed("clock", f"the clock went back by {back_s:.3f} s"))
        self._now_ns = max(self._now_ns, now_ns)
        if self._vitals is None:
            blind.append(closed("stale", "never measured"))
        elif now_ns - self._vitals.mono_ns > self._stale_ns:
            age_s = (now_ns - self._vitals.mono_ns) / NS_PER_S
            limit_s = self._limits.stale_after_s
            blind.append(closed("stale", f"measured {age_s:.1f} s ago, limit {limit_s:g} s"))
        if self.link_fault and self.link_ns >= self._reached_ns:
            blind.append(closed("link", self.link_fault))
        return blind

    def _apply_limits(self) -> tuple[list[Holding], Holding | None]:
        """Bring the rules up to date; return those that hold, and the trip that latched just now."""
        held: list[Holding] = []
        trip: Holding | None = None
        values, now_ns = self._values, self._now_ns
        unread = GRID_POINTS if self._stale_grid(now_ns) else frozenset[str]()
        for signal, watch in zip(_SIGNALS, self._watches, strict=True):
            value = values.get(signal)
            silent = value is None or signal in unread
            if silent:
                watch.blind()
            if value is None or not watch.judge(value, now_ns):
                continue  # it is not there, or its input fault closes more than the rule would
            if silent:
                watch.blind()  # an old value does not even begin the waiting time
            holding = watch.bound.holding(value)
            if watch.bound.rule.action is not Action.TRIP:
                held.append(holding)
            elif self.latched is None:
                trip = self.latched = holding
        return held, trip

    def _holdings(
        self, blind: list[Holding], held: list[Holding], site: SiteView, now_ns: int
    ) -> list[Holding]:
        holdings = [] if self.latched is None else [self.latched]
        holdings += blind
        if not blind:
            holdings += self._faults
            holdings += self._stale_grid(now_ns)
            holdings += held
            holdings += site.holdings
        if not self._started:
            figures = f"{self._good} of {self._limits.good_cycles} good measurements"
            holdings.append(closed("starting", figures))
        return holdings

    def _stale_grid(self, now_ns: int) -> list[Holding]:
        """Values of the grid are read after those of the battery, so they are older."""
        vitals = self._vitals
        if vitals is None or not self._has_grid:
            return []
        age_ns = now_ns - vitals.grid_mono_ns
        if age_ns <= self._stale_ns:
            return []
        figures = f"read {age_ns / NS_PER_S:.1f} s ago, limit {self._limits.stale_after_s:g} s"
        return [Holding("grid_stale", figures, closes_charge=True, closes_discharge=True)]

    def _largest(
        self, closes: tuple[bool, bool], holdings: list[Holding], site: SiteView, power_w: float
    ) -> tuple[PowerBound, PowerBound]:
        """Return the largest powers; whatever lowers that of an open direction is added to `holdings`."""
        values, charge_w, discharge_w = self._values, site.charge_room_w, site.discharge_room_w
        charge = discharge = CLOSED
        if not closes[0]:
            most_w = None if charge_w is None else power_w + charge_w
            charge = self._charging.largest(values, most_w, holdings)
        if not closes[1]:
            most_w = None if discharge_w is None else discharge_w - power_w
            discharge = self._discharging.largest(values, most_w, holdings)
        return charge, discharge

    def _state(self, *, open_both: bool) -> SafetyState:
        if self.latched is not None:
            return SafetyState.TRIPPED
        if not self._started:
            return SafetyState.STARTING
        return SafetyState.NORMAL if open_both else SafetyState.LIMITED


def _closes(holdings: list[Holding]) -> tuple[bool, bool]:
    """Return whether any of `holdings` closes charging, and whether any closes discharging."""
    charge = discharge = False
    for holding in holdings:
        charge |= holding.closes_charge
        discharge |= holding.closes_discharge
    return charge, discharge
