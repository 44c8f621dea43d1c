"""Draws random steps for one device or for the gateway. Pure: all chance comes from the source that is handed in."""

from __future__ import annotations

import random

from bessai.campaign.step import Ask, Force, Kind, Order, Physics, Signal, Suffer
from bessai.simulator.faults import VALUE_KINDS, FaultKind, fault_of

WIRE_KINDS = tuple(
    kind for kind in FaultKind if kind not in VALUE_KINDS and kind is not FaultKind.FOREIGN_WRITES
)
"""Faults of requests and answers."""
MIDDLE_C = 23.0
"""A temperature at which nothing is closed."""
_DELAYED = {
    FaultKind.SLOW: (0.1, 1.5),
    FaultKind.LATENCY: (0.1, 1.5),
    FaultKind.JITTER: (0.1, 2.0),
    FaultKind.SPLIT: (0.01, 0.3),
    FaultKind.MERGED: (0.05, 0.5),
}
"""How late, in seconds: up to beyond the gateway's time-out."""
_SPOOFS: dict[str, tuple[float, float]] = {
    "soc_pct": (0, 100),
    "battery_temperature_c": (18, 26),
    "battery_power_w": (-6000, 6000),
    "max_charge_w": (0, 6000),
    "max_discharge_w": (0, 6000),
    "forced_mode": (0, 2),
}
"""Values that are served in place of the truth; of temperatures only such as do not trip, because a trip stays."""
_DRIFTS = {"soc_pct": 5.0, "battery_temperature_c": 0.4, "battery_power_w": 500.0}
_SIZES = {"soc_pct": 30.0, "battery_temperature_c": 2.0, "battery_power_w": 3000.0}
_FOR_S = (0.5, 4.0)
_MAX_SPIN_S = 1.5
"""The machine's processors are others' too."""
CONTROL_ORDERS = ("raise", "exit", "hang", "spin", "construct 1", "start 1")
DEGRADABLE_ORDERS = (*CONTROL_ORDERS, "segfault", "flood safety 300")


def wire_fault(draw: random.Random) -> Suffer:
    """Return a fault of requests or answers."""
    kind = draw.choice(WIRE_KINDS)
    parameters: dict[str, object] = {}
    if kind not in {FaultKind.REFUSE, FaultKind.IGNORE_WRITES}:
        parameters["scope"] = draw.choice(("all", "all", "reads", "writes"))
    if kind is not FaultKind.REFUSE:
        parameters["probability"] = draw.choice((1.0, round(draw.uniform(0.2, 1.0), 2)))
    if kind in _DELAYED:
        parameters["delay_s"] = round(draw.uniform(*_DELAYED[kind]), 2)
    if kind in {FaultKind.EXCEPTION, FaultKind.BUSY}:
        parameters["code"] = draw.choice((1, 2, 3, 4, 5, 6, 10, 11, 128))
    return Suffer(fault=fault_of(kind.value, parameters), for_s=round(draw.uniform(*_FOR_S), 2))


def value_fault(draw: random.Random) -> Suffer:
    """Return a fault of what a register says."""
    kind = draw.choice(sorted(VALUE_KINDS, key=lambda each: each.value))
    register = draw.choice(list(_SPOOFS))
    parameters: dict[str, object] = {"register": register}
    match kind:
        case FaultKind.SPOOFED:
            parameters["value"] = round(draw.uniform(*_SPOOFS[register]))
        case FaultKind.DRIFTING:
            register = draw.choice(list(_DRIFTS))
            per_s = round(draw.uniform(-1, 1) * _DRIFTS[register], 2)
            parameters = {"register": register, "per_s": per_s}
        case FaultKind.SPIKING:
            register = draw.choice(list(_SIZES))
            size = round(draw.uniform(0.1, 1) * _SIZES[register], 1)
            probability = round(draw.uniform(0.1, 1.0), 2)
            parameters = {"register": register, "size": size, "probability": probability}
        case FaultKind.SCALED | FaultKind.SIGN_FLIPPED:
            # A temperature that is bent so might be one that trips.
            parameters["register"] = draw.choice(("soc_pct", "battery_power_w", "max_charge_w"))
            if kind is FaultKind.SCALED:
                parameters["factor"] = draw.choice((0.1, 0.5, 2.0, 10.0))
        case FaultKind.CLOCK_SKEW:
            parameters = {"offset_s": draw.choice((-86400, -3600, 3600, 86400))}
        case _:
            pass
    return Suffer(fault=fault_of(kind.value, parameters), for_s=round(draw.uniform(*_FOR_S), 2))


def foreign_writes(draw: random.Random) -> Suffer:
    """Return another master that repeats one write."""
    register, value = draw.choice(
        (
            ("forced_mode", 1),
            ("forced_mode", 2),
            ("forced_mode", 0),
            ("forced_charge_power_w", 700),
            ("forced_discharge_power_w", 900),
            ("forced_period_min", 3),
            ("working_mode", 2),
        )
    )
    every_s = round(draw.uniform(0.3, 3.0), 2)
    parameters = {"register": register, "value": value, "every_s": every_s}
    return Suffer(
        fault=fault_of("foreign_writes", parameters), for_s=round(draw.uniform(*_FOR_S), 2)
    )


def physics(draw: random.Random) -> tuple[Physics, Kind | None]:
    """Return a state of the battery, and the direction that is dangerous in it."""
    soc_pct, temperature_c = 50.0, MIDDLE_C
    danger: Kind | None = None
    match draw.choice(("empty", "low", "full", "high", "middle", "middle", "cold", "hot", "cool")):
        case "empty":
            soc_pct, danger = draw.uniform(1, 9.8), Kind.DISCHARGE
        case "low":
            soc_pct = draw.uniform(10.2, 14)
        case "full":
            soc_pct, danger = draw.uniform(90.2, 99), Kind.CHARGE
        case "high":
            soc_pct = draw.uniform(86, 89.8)
        case "cold":
            temperature_c, danger = draw.uniform(18.3, 19.8), Kind.CHARGE
        case "hot":
            temperature_c, danger = draw.uniform(26.2, 26.8), Kind.CHARGE
        case "cool":
            temperature_c, danger = draw.uniform(17.2, 17.8), Kind.DISCHARGE
        case _:
            soc_pct = draw.uniform(30, 70)
    values = {"soc_pct": round(soc_pct, 1), "temperature_c": round(temperature_c, 1)}
    return Physics(values=values), danger


def too_hot(draw: random.Random) -> Physics:
    """Return a temperature that trips, and latches."""
    return Physics(values={"temperature_c": round(draw.uniform(55.5, 65.0), 1)})


def force(draw: random.Random, danger: Kind | None) -> Force:
    """Return a forced command of another master, in the dangerous direction if there is one."""
    kind = danger or draw.choice((Kind.CHARGE, Kind.DISCHARGE))
    return Force(kind=kind, power_w=draw.randrange(150, 1500), minutes=draw.randrange(1, 4))


def ask(draw: random.Random) -> Ask:
    """Return what an operator asks for: now and then ten times too much."""
    watts = draw.randrange(-2800, 3300) * draw.choice((1, 1, 1, 10))
    return Ask(watts=watts, ttl_s=round(draw.uniform(1.0, 8.0), 1))


def order(draw: random.Random, actor: str, orders: tuple[str, ...]) -> Order:
    """Return one of `orders` for `actor`."""
    chosen = draw.choice(orders)
    if chosen in {"hang", "spin"}:
        for_s = round(draw.uniform(0.3, 3.0 if chosen == "hang" else _MAX_SPIN_S), 2)
        return Order(actor=actor, order=f"{chosen} {for_s}", for_s=for_s)
    return Order(actor=actor, order=chosen)


def signal(draw: random.Random, cell: str) -> Signal:
    """Return a SIGKILL, or a SIGSTOP for a while."""
    stop_s = round(draw.uniform(0.2, 2.5), 2) if draw.random() < 0.5 else 0.0  # noqa: PLR2004 - a coin
    return Signal(cell=cell, stop_s=stop_s)
