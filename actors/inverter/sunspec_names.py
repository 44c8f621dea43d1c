"""What the points of a SunSpec device are called, and what their numbers and bits mean.

A quantity of the profile has its canonical name; everything else is named after its model, with its unit at the end:
`m103_w_w`, `m160_module_3_dcv_v`.
"""

from __future__ import annotations

import math
import re

import msgspec

from actors.inverter.profile_points import Bit, Point, PointType, Severity
from actors.inverter.sunspec_models import ModelPoint
from actors.inverter.sunspec_profile import Quantity
from actors.inverter.sunspec_values import ACCUMULATORS, Place, parts_in

_UNITS = {
    "W": ("w", "W"),
    "V": ("v", "V"),
    "A": ("a", "A"),
    "VA": ("va", "VA"),
    "VAr": ("var", "var"),
    "var": ("var", "var"),
    "Var": ("var", "var"),
    "Wh": ("wh", "Wh"),
    "WH": ("wh", "Wh"),
    "Varh": ("varh", "varh"),
    "Hz": ("hz", "Hz"),
    "C": ("c", "degC"),
    "Pct": ("pct", "%"),
    "Secs": ("s", "s"),
    "Ah": ("ah", "Ah"),
    "AH": ("ah", "Ah"),
}
"""The models' spelling of a unit: as the end of a name, and as we spell it."""
_ALARMS = re.compile(r"(Str|DC)?Evt\d?|EvtVnd\d|Alrm")
"""The bitfields whose bits are alarms."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the device under the name that it is published by."""

    place: Place
    name: str
    quantity: Quantity | None = None
    flip: bool = False
    """Whether its sign is opposite to ours."""


def point_of(named: Named, scale: str) -> Point:
    """Return the point of a profile for `named`, scaled by the point `scale` if it has one."""
    place, quantity, name = named.place, named.quantity, named.name
    defined, kind = place.placed.point, place.type
    if kind is None:
        msg = f"{name} is padding"
        raise ValueError(msg)
    own = f"{place.model.number}.{place.placed.path}"
    text = kind is PointType.STR
    return Point(
        name=name,
        address=place.address,
        type=kind,
        registers=defined.size if text else 0,
        unit=(quantity.unit if quantity else "") or _unit(defined.units),
        scale_point=scale,
        low=quantity.low if quantity and not text else -math.inf,
        high=quantity.high if quantity and not text else math.inf,
        flip=named.flip,
        sentinels=(0,) if defined.type in ACCUMULATORS else None,
        enum={number: label for label, number in _symbols(defined).items()}
        if defined.type.startswith("enum")
        else {},
        bits=_bits(defined),
        source=f"SunSpec {own}",
    )


def usual_name(place: Place) -> str:
    """Return the name of a point that is no quantity of the profile."""
    units = place.placed.point.units
    end = "pct" if units.startswith("%") else _UNITS.get(units, ("", ""))[0]
    parts = [*parts_in(place), *([end] if end else [])]
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower())


def is_alarm(point: ModelPoint) -> bool:
    """Return whether the bits of a point are alarms."""
    return point.type.startswith("bitfield") and _ALARMS.fullmatch(point.name) is not None


def _unit(units: str) -> str:
    return "%" if units.startswith("%") else _UNITS.get(units, ("", units))[1]


def _symbols(point: ModelPoint) -> dict[str, int]:
    """Return the labels of a point; those of model 111 have two stray letters before them in the definitions."""
    return {label.removeprefix("gg"): number for label, number in point.symbols.items()}


def _bits(point: ModelPoint) -> tuple[Bit, ...]:
    if not point.type.startswith("bitfield"):
        return ()
    alarm = is_alarm(point)
    return tuple(
        Bit(bit=bit, name=label, severity=_severity(label) if alarm else None)
        for label, bit in sorted(_symbols(point).items(), key=lambda item: item[1])
        if not label.startswith("RESERVED") and bit < 16 * point.size
    )


def _severity(label: str) -> Severity:
    """Return how bad an alarm is: the models grade only by calling some a warning."""
    return Severity.WARNING if "WARNING" in label else Severity.MAJOR
