"""SafetyGuard decides what a battery may do. Pure: no input or output, and the time is handed in.

It fails closed: whatever is missing, not a number, out of range, stale or out of order closes the direction it
concerns, and the assessment says which. A device starts closed and opens after `good_cycles` good measurements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from actors.messages import BatteryPowerW, Ruling, SafetyState, Vitals
from actors.safety.config import DeviceLimits
from actors.safety.rules import INPUTS, Holding, limit_rules
from supervision.clock import NS_PER_S


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """What a device may do now, and why not more."""

    device_id: str
    state: SafetyState
    may_charge: bool
    may_discharge: bool
    holdings: tuple[Holding, ...]
    charge_limit_w: float
    """Largest charging power, at least 0; 0 while charging is closed."""
    discharge_limit_w: float
    """Largest discharging power as a positive number; 0 while discharging is closed."""
    valid_until_ns: int
    """Monotonic time after which the measurement behind this is stale; 0 without one."""
    inverter_epoch: int = 0
    """The InverterActor incarnation that measured last; 0 before the first."""
    power_w: BatteryPowerW | None = None
    """Battery power, or None if it is not known now."""
    forced: bool | None = None
    trip: Holding | None = None
    """The trip that latched in this very assessment."""

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that hold, as `name: figures`."""
        return tuple(holding.text for holding in self.holdings)

    def closing(self, power_w: BatteryPowerW) -> Holding | None:
        """Return the first rule that closes the direction of `power_w`, or None if it is open."""
        for holding in self.holdings:
            if (holding.closes_charge and power_w > 0) or (
                holding.closes_discharge and power_w < 0
            ):
                return holding
        return None


class Setpoint(msgspec.Struct, frozen=True):
    """Battery power that somebody asks for."""

    device_id: str
    power_w: BatteryPowerW


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed of a set-point: the rule that decided, the value it looked at and its limit."""

    ruling: Ruling
    power_w: BatteryPowerW = 0.0
    """What is approved; 0 where nothing is."""
    rule: str = ""
    value: float = 0.0
    limit: float = 0.0
    detail: str = ""


class SafetyGuard:
    """Assesses every device of a control cell. Unknown devices raise `KeyError`: nothing is known to be safe."""

    def __init__(
        self, limits: Mapping[str, DeviceLimits], trips: Mapping[str, str] | None = None
    ) -> None:
        """Watch the devices in `limits`; those in `trips` begin latched, for the reason given."""
        self._tracks = {device: _Track(device, of) for device, of in limits.items()}
        for device, reason in (trips or {}).items():
            self.latch(device, reason)

    def latch(self, device_id: str, reason: str) -> None:
        """Trip a device for `reason`, as long as this guard lives."""
        self._tracks[device_id].latched = _closed("trip", reason)

    def observe(self, vitals: Vitals, now_ns: int) -> Assessment:
        """Take in a measurement and assess its device at `now_ns`."""
        track = self._tracks[vitals.device_id]
        track.accept(vitals, now_ns)
        return track.assess(now_ns)

    def observe_link(self, device_id: str, fault: str, mono_ns: int) -> None:
        """Note that at `mono_ns` the device could not be reached, or (with an empty `fault`) could."""
        track = self._tracks[device_id]
        track.link_fault, track.link_ns = fault, mono_ns

    def evaluate(self, device_id: str, now_ns: int) -> Assessment:
        """Assess a device at `now_ns` by what is known of it."""
        return self._tracks[device_id].assess(now_ns)

    @staticmethod
    def check_safety(command: Setpoint, state: Assessment, now_ns: int) -> Verdict:
        """Allow, clamp or deny `command` for a device in `state` at `now_ns`."""
        power_w = command.power_w
        if not math.isfinite(power_w):
            return _denied("power_finite", power_w, 0.0, f"{power_w} W is not a power")
        if command.device_id != state.device_id:
            return _denied("device", power_w, 0.0, f"assessed was {state.device_id}")
        if state.state in {SafetyState.STARTING, SafetyState.TRIPPED}:
            return _denied(state.state.value, power_w, 0.0, "; ".join(state.rules))
        if now_ns > state.valid_until_ns:
            age_s = (now_ns - state.valid_until_ns) / NS_PER_S
            return _denied("stale", age_s, 0.0, f"the assessment ended {age_s:.1f} s ago")
        closing = state.closing(power_w)
        if closing is not None:
            return _denied(closing.rule, power_w, 0.0, closing.figures)
        limit_w = state.charge_limit_w if power_w > 0 else state.discharge_limit_w
        if abs(power_w) > limit_w:
            return Verdict(
                ruling=Ruling.CLAMPED,
                power_w=math.copysign(limit_w, power_w),
                rule="power_limit",
                value=power_w,
                limit=limit_w,
                detail=f"{power_w:g} W asked, {limit_w:g} W possible",
            )
        return Verdict(ruling=Ruling.ALLOWED, power_w=power_w, value=power_w, limit=limit_w)


class _Track:
    """What is remembered of one device."""

    def __init__(self, device_id: str, limits: DeviceLimits) -> None:
        self._device_id = device_id
        self._limits = limits
        self._rules = limit_rules(limits)
        self._stale_ns = int(limits.stale_after_s * NS_PER_S)
        # Between a limit and its hysteresis a restart must not open what may have been closed before it.
        self._held = {rule.name for rule in self._rules if not rule.trips}
        self._vitals: Vitals | None = None
        self._values: dict[str, float] = {}
        self._reached_ns = 0
        self._faults: tuple[Holding, ...] = ()
        self._disorder: Holding | None = None
        self._good = 0
        self._started = False
        self._now_ns = 0
        self.latched: Holding | None = None
        self.link_fault = ""
        self.link_ns = 0

    def accept(self, vitals: Vitals, now_ns: int) -> None:
        """Remember `vitals`, unless they are out of order: then remember that."""
        disorder = self._find_disorder(vitals, now_ns)
        self._disorder = _closed("order", disorder) if disorder else None
        if disorder:
            self._start_over()
            return
        if self._vitals is not None and vitals.epoch != self._vitals.epoch:
            self._start_over()
        self._vitals = vitals
        self._read(vitals)
        if self._values:
            self._reached_ns = vitals.mono_ns
        self._good = 0 if self._faults else self._good + 1
        self._started = self._started or self._good >= self._limits.good_cycles

    def assess(self, now_ns: int) -> Assessment:
        """Apply every rule at `now_ns`."""
        blind = self._blind(now_ns)
        if blind:
            self._start_over()
        trip = None if blind else self._apply_limits()
        holdings = self._holdings(blind)
        may_charge = not any(holding.closes_charge for holding in holdings)
        may_discharge = not any(holding.closes_discharge for holding in holdings)
        vitals = self._vitals
        return Assessment(
            device_id=self._device_id,
            state=self._state(open_both=may_charge and may_discharge),
            may_charge=may_charge,
            may_discharge=may_discharge,
            holdings=holdings,
            charge_limit_w=self._limit_w("max_charge_w") if may_charge else 0.0,
            discharge_limit_w=self._limit_w("max_discharge_w") if may_discharge else 0.0,
            valid_until_ns=0 if vitals is None else vitals.mono_ns + self._stale_ns,
            inverter_epoch=0 if vitals is None else vitals.epoch,
            power_w=None if blind else self._values.get("battery_power_w"),
            forced=None if blind or vitals is None else vitals.forced,
            trip=trip,
        )

    def _find_disorder(self, vitals: Vitals, now_ns: int) -> str:
        if vitals.mono_ns > now_ns:
            return f"measured {(vitals.mono_ns - now_ns) / NS_PER_S:.3f} s in the future"
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

    def _read(self, vitals: Vitals) -> None:
        values: dict[str, float] = {}
        faults: list[Holding] = []
        for wanted in INPUTS:
            value = getattr(vitals, wanted.point)
            if fault := wanted.fault(value, vitals.faults):
                faults.append(wanted.holding(fault))
            else:
                values[wanted.point] = value
        self._values = values
        self._faults = tuple(faults)

    def _start_over(self) -> None:
        self._good = 0
        self._started = False

    def _blind(self, now_ns: int) -> list[Holding]:
        """Return why nothing that was measured counts now."""
        blind = [] if self._disorder is None else [self._disorder]
        if now_ns < self._now_ns:
            back_s = (self._now_ns - now_ns) / NS_PER_S
            blind.append(_closed("clock", f"the clock went back by {back_s:.3f} s"))
        self._now_ns = max(self._now_ns, now_ns)
        if self._vitals is None:
            blind.append(_closed("stale", "never measured"))
        elif now_ns - self._vitals.mono_ns > self._stale_ns:
            age_s = (now_ns - self._vitals.mono_ns) / NS_PER_S
            limit_s = self._limits.stale_after_s
            blind.append(_closed("stale", f"measured {age_s:.1f} s ago, limit {limit_s:g} s"))
        if self.link_fault and self.link_ns >= self._reached_ns:
            blind.append(_closed("link", self.link_fault))
        return blind

    def _apply_limits(self) -> Holding | None:
        """Bring the rules that hold up to date; return the trip that latched just now."""
        trip: Holding | None = None
        for rule in self._rules:
            value = self._values.get(rule.point)
            if value is None:
                continue  # its input fault closes more than the rule would
            if not rule.holds(value, held=rule.name in self._held):
                self._held.discard(rule.name)
            elif not rule.trips:
                self._held.add(rule.name)
            elif self.latched is None:
                trip = self.latched = _closed(rule.name, rule.holding(value).figures)
        return trip

    def _holdings(self, blind: list[Holding]) -> tuple[Holding, ...]:
        holdings = [] if self.latched is None else [self.latched]
        holdings += blind
        if not blind:
            holdings += self._faults
            for rule in self._rules:
                if rule.name in self._held and rule.point in self._values:
                    holdings.append(rule.holding(self._values[rule.point]))
        if not self._started:
            figures = f"{self._good} of {self._limits.good_cycles} good measurements"
            holdings.append(_closed("starting", figures))
        return tuple(holdings)

    def _state(self, *, open_both: bool) -> SafetyState:
        if self.latched is not None:
            return SafetyState.TRIPPED
        if not self._started:
            return SafetyState.STARTING
        return SafetyState.NORMAL if open_both else SafetyState.LIMITED

    def _limit_w(self, point: str) -> float:
        configured_w: float = getattr(self._limits, point)
        return min(configured_w, self._values.get(point, 0.0))


def _closed(rule: str, figures: str) -> Holding:
    return Holding(rule, figures, closes_charge=True, closes_discharge=True, commands=True)


def _denied(rule: str, value: float, limit: float, detail: str) -> Verdict:
    return Verdict(ruling=Ruling.DENIED, rule=rule, value=value, limit=limit, detail=detail)
