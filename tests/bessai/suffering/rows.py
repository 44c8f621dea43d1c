"""One row for each kind of fault: what the device suffers, and all that the gateway must show of it and do about it.

Every device charges at 1000 W by the clock, from 50 %, at 25 degC, when its fault begins. A fault of values bends one
register of battery unit 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from bessai.simulator.faults import FaultKind as Kind

ASKED_W = 1000.0
"""What the dispatcher asks of every device."""
NEARLY_EMPTY: Mapping[str, float] = {"soc_pct": 4.0}
"""Below safety's limit: charging is open and discharging closed."""


class Row(NamedTuple):
    """What becomes of a device with the fault `kind`."""

    kind: Kind
    parameters: Mapping[str, Any] = {}
    before: Mapping[str, float] = {}
    """State of the device before the gateway knows it."""
    early: bool = False
    """Whether it suffers from before the gateway knows it."""
    then: Mapping[str, float] = {}
    """State that it is given when it has been read under the fault."""
    quality: Mapping[str, str] = {}
    """Points that are published with this quality; without any, every vital point stays good."""
    silent: bool = False
    """Whether nothing at all is published of it any more."""
    errors: frozenset[str] = frozenset()
    """The kinds that `bessai_device_errors_total` counts."""
    doubted: bool = False
    """Whether `bessai_device_doubted_values_total` rises."""
    event: str = ""
    """Of a line of the log that names the device; without one, there is no warning."""
    says: str = ""
    """What that line's reason or state says, as a pattern."""
    health: str = ""
    """What its reason in /health says, as a pattern."""
    charging_open: bool | None = True
    """Whether safety lets it charge in the end; None where that comes and goes."""
    stopped: bool = False
    """Whether the battery was commanded to rest, and does."""
    powers_w: tuple[float, ...] = (0.0, ASKED_W)
    """What its battery truly does at some time."""
    slack: Mapping[str, float] = {}
    """How far from the truth a number of a point may be believed, beside its resolution."""
    late_s: float = 0.0
    """How long the power that ended with `then` may be believed: docs/plausibility.md; 0 where it does not end."""


def _lost(kind: Kind, error: str, says: str, **more: Any) -> Row:
    """Return the row of a fault that costs the connection: nothing is read, so nothing is told."""
    return Row(
        kind,
        silent=True,
        errors=frozenset({error}),
        event="link",
        says=says,
        health=says,
        charging_open=False,
    )._replace(**more)


def _slow(kind: Kind, delay_s: float) -> Row:
    """Return the row of a fault that lets polls take longer than their period."""
    return Row(
        kind,
        {"delay_s": delay_s},
        event="the device lags",
        says="polls are skipped: a poll takes",
        health="polls are skipped: a poll takes",
    )


def _bent(kind: Kind, point: str, says: str, **more: Any) -> Row:
    """Return the row of a value that cannot be believed: it is no number, and the battery rests."""
    return Row(
        kind,
        quality={point: "invalid"},
        doubted=True,
        event="value not believed",
        says=says,
        charging_open=False,
        stopped=True,
    )._replace(**more)


_SOC, _POWER, _HEAT = (
    {"register": f"esu1_{name}"} for name in ("soc_pct", "power_w", "temperature_c")
)
_NO_ANSWER = "no answer within 2 s"
_CLOSED = "closed the connection"
_NO_PRODUCT = r"battery_power_w -?\d+ is not battery_voltage_v"

ROWS = (
    _lost(Kind.HANG, "timeout", _NO_ANSWER),
    Row(Kind.HALF_OPEN, errors=frozenset({"timeout"}), event="link", says=_NO_ANSWER),
    _lost(
        Kind.REFUSE,
        "connect",
        _CLOSED,
        errors=frozenset({"connect", "lost"}),
        health="Connection refused",
    ),
    _lost(Kind.CLOSE, "lost", _CLOSED),
    _slow(Kind.SLOW, 0.15),
    _slow(Kind.LATENCY, 0.15),
    _slow(Kind.JITTER, 0.3),
    Row(
        Kind.EXCEPTION,
        {"code": 4},
        quality={"soc_pct": "stale", "battery_power_w": "stale"},
        errors=frozenset({"device_failure"}),
        event="requests are refused",
        says=r"device failure \(exception code 0x04\)",
        health="requests are refused: .*device failure",
        charging_open=False,
    ),
    Row(
        Kind.BUSY,
        {"probability": 0.7},
        quality={"soc_pct": "stale"},
        errors=frozenset({"busy"}),
        event="requests are refused",
        says=r"device busy \(exception code 0x06\)",
        health="requests are refused: .*device busy",
        charging_open=None,
    ),
    Row(
        Kind.IGNORE_WRITES,
        before=NEARLY_EMPTY,
        then={"forced_discharge_power_w": 2000, "forced_mode": 2},
        event="command not verified",
        says="forced command.* reads ",
        powers_w=(0.0, ASKED_W, -2000.0),
    ),
    _lost(Kind.RESET, "lost", "Connection reset by peer"),
    _lost(Kind.TRUNCATED, "timeout", _NO_ANSWER),
    Row(Kind.SPLIT, {"delay_s": 0.005}),
    Row(Kind.MERGED, {"delay_s": 0.005}),
    Row(Kind.DUPLICATED),
    Row(Kind.REPLAYED),
    _lost(Kind.STALE, "stale_frame", r"a frame of transaction \d+ came instead of \d+"),
    _lost(Kind.WRONG_TRANSACTION, "stale_frame", r"a frame of transaction \d+ came instead of"),
    _lost(Kind.WRONG_UNIT, "stale_frame", r"a frame of unit \d+ came instead of 1"),
    _lost(Kind.WRONG_LENGTH, "stale_frame", r"the answer has \d+ registers"),
    _lost(Kind.GARBAGE, "stale_frame", "not Modbus TCP"),
    _bent(
        Kind.STUCK,
        "battery_power_w",
        _NO_PRODUCT,
        parameters=_POWER,
        then={"charge_from_grid": 0},  # ends the charging, and no gateway writes it back
        late_s=4.0,
    ),
    _bent(
        Kind.DRIFTING,
        "soc_pct",
        "jumped from|outside",
        parameters={**_SOC, "per_s": 10},
        slack={"soc_pct": 1.5},
    ),
    _bent(
        Kind.SPIKING,
        "soc_pct",
        "jumped from",
        parameters={**_SOC, "size": 20, "probability": 0.5},
        charging_open=None,
        stopped=False,
    ),
    _bent(
        Kind.SIGN_FLIPPED,
        "battery_power_w",
        _NO_PRODUCT,
        parameters=_POWER,
        charging_open=None,
        stopped=False,
    ),
    _bent(Kind.SCALED, "battery_temperature_c", "250 is outside -50 to 120", parameters=_HEAT),
    _bent(Kind.SPOOFED, "soc_pct", "jumped from 50 to 100", parameters={**_SOC, "value": 100}),
    _bent(Kind.SENTINEL, "battery_temperature_c", "not available", parameters=_HEAT),
    _bent(Kind.NAN, "battery_power_w", "is outside -1e", parameters=_POWER),
    Row(Kind.CLOCK_SKEW, {"offset_s": 3600}, early=True),  # the clock is read every 30 s only
    Row(
        Kind.FOREIGN_WRITES,
        {"register": "forced_mode", "value": 2, "every_s": 1},
        before=NEARLY_EMPTY,
        then={"forced_discharge_power_w": 2000},
        event="made safe",
        says="discharging at 2000 W",
        charging_open=True,
        powers_w=(0.0, ASKED_W, -2000.0),
    ),
)
"""Every kind has one."""
