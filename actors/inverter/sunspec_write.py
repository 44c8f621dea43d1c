"""How a recognised SunSpec device is commanded: model 704 in watts, or model 124 in percent; or not at all.

Both have a timer that ends a command by itself. It is written first, and a device that has none is read only: nothing
would end what a gateway that died has begun. Scales and the power that 100 % stands for are read when the device is
recognised, because a sequence cannot compute with them; before each command they must still be what they were.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from actors.inverter.profile_points import Block, Point, PointType, PollClass
from actors.inverter.profile_write import Operand, Precondition, Sequence, Step, WriteSpec
from actors.inverter.sunspec_profile import IMMEDIATE, STORAGE, SunSpecWrite
from actors.inverter.sunspec_values import Place, Told

NameOf = Callable[[Place], str]
"""Returns the name of a point, which is then read whether or not anything else asks for it."""

_FORCING = (Sequence.CHARGE, Sequence.DISCHARGE)
_WATTS, _ENABLED, _DISABLED = 1, 1, 0
"""Of 704: WSetMod, and what enables."""
_CHARGE_BIT, _DISCHARGE_BIT = 1, 2
"""Of 124.StorCtl_Mod."""
_GRID = 1
"""Of 124.ChaGriSet: charging from the grid is allowed."""
_LOCAL = 1
"""Of 802.LocRemCtl."""
_FULL_PCT = 100.0
_LARGEST = 0x7FFF
"""Of the type of a rate."""


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """How to command a device, and what must be read for it."""

    spec: WriteSpec
    forced: str = ""
    """The point that must be read with the safety blocks, or empty."""
    blocks: tuple[Block, ...] = ()


class _Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """The sequences of one model."""

    charge: tuple[Step, ...]
    discharge: tuple[Step, ...]
    stop: tuple[Step, ...]
    forced: Place
    forced_values: tuple[int, ...]
    requires: tuple[Precondition, ...]
    blocks: tuple[Block, ...]


class _Unusable(Exception):  # noqa: N818 - a reason, not an error
    """Why a model cannot be used."""


def control_of(write: SunSpecWrite, told: Told, name_of: NameOf, otherwise: str) -> Control:
    """Return how to command the device; `otherwise` is the point that a device without commands is watched by."""
    reasons: list[str] = []
    for model in write.prefer:
        try:
            recipe = _recipe(model, write, told, name_of)
        except _Unusable as reason:
            reasons.append(str(reason))
            continue
        return _control(write, recipe, name_of)
    spec = WriteSpec(
        charge=(),
        discharge=(),
        stop=(),
        impossible=f"this device is read only: {'; '.join(reasons)}",
        forced_point=otherwise,
        forced_values=(),
        deadman_min=write.deadman_min,
        deadman_max_min=write.deadman_max_min,
        renew_s=write.renew_s,
    )
    return Control(spec=spec)


def _recipe(model: int, write: SunSpecWrite, told: Told, name_of: NameOf) -> _Recipe:
    if not any(each.number == model and each.words for each in told.chain.models):
        msg = f"it has no model {model}"
        raise _Unusable(msg)
    if told.shows_pv and model not in write.with_pv:
        msg = f"model {model} would command PV and battery together"
        raise _Unusable(msg)
    if model == IMMEDIATE:
        return _watts(told, name_of)
    rates_below_zero = write.negative_rates and re.fullmatch(
        write.negative_rates, told.chain.text("Mn")
    )
    return _percent(told, name_of, window=bool(rates_below_zero))


def _watts(told: Told, name_of: NameOf) -> _Recipe:
    """Return the sequences of model 704: WSet is the power of the device at the grid, + delivering."""
    find = _Finder(told, IMMEDIATE)
    enable, mode, power = find("WSetEna"), find("WSetMod"), find("WSet")
    timer, scale = find("WSetRvrtTms"), find("WSet_SF")
    after = [
        _const(place, 0)
        for place in map(find.optional, ("WSetEnaRvrt", "WSetRvrt"))
        if place is not None
    ]
    if not after:
        msg = "model 704 does not say what comes after its timer (WSetEnaRvrt, WSetRvrt)"
        raise _Unusable(msg)
    exponent = find.number(scale)
    per_watt = pow(10.0, -exponent)

    def forcing(sign: int) -> tuple[Step, ...]:
        return (
            *after,
            _operand(timer, Operand.DEADMAN_S, 1.0),
            _const(mode, _WATTS),
            _operand(power, Operand.POWER_W, sign * per_watt),
            _const(enable, _ENABLED, verify=True),
        )

    watch, same_scale = _unchanged(scale, exponent, "WSet")
    return _Recipe(
        charge=forcing(-1),
        discharge=forcing(1),
        stop=(_const(enable, _DISABLED, verify=True), _const(power, 0)),
        forced=enable,
        forced_values=(_ENABLED,),
        requires=(same_scale, *_remote(told, name_of)),
        blocks=(watch,),
    )


def _percent(told: Told, name_of: NameOf, *, window: bool) -> _Recipe:
    """Return the sequences of model 124.

    Without a `window` the rate of the direction is the power. With it both rates bound the power from both sides: the
    other direction's rate is negative, so that only the power itself is left.
    """
    find = _Finder(told, STORAGE)
    mode, timer = find("StorCtl_Mod"), find("InOutWRte_RvrtTms")
    inward, outward, scale = find("InWRte"), find("OutWRte"), find("InOutWRte_SF")
    full = find("WChaMax")
    full_w, exponent = find.number(full), find.number(scale)
    if full_w <= 0:
        msg = f"model 124 says that 100 % is {full_w:g} W (WChaMax)"
        raise _Unusable(msg)
    per_pct = pow(10.0, -exponent)
    # Whether a discharge is in percent of WChaMax or of MaxDisChaRte is told nowhere: the larger one gives the smaller
    # percentage, so that never more than the approved power is asked for.
    outward_full_w = max(full_w, told.value_of("120.MaxDisChaRte") or 0.0)

    def rate(place: Place, sign: int) -> Step:
        full_scale_w = full_w if place is inward else outward_full_w
        return _operand(place, Operand.POWER_W, sign * _FULL_PCT * per_pct / full_scale_w)

    def forcing(along: Place, against: Place, bit: int) -> tuple[Step, ...]:
        other = rate(against, -1) if window else _const(against, 0)
        bits = _CHARGE_BIT | _DISCHARGE_BIT if window else bit
        begin = (_operand(timer, Operand.DEADMAN_S, 1.0), rate(along, 1))
        return (*begin, other, _const(mode, bits, verify=True))

    hundred = min(round(_FULL_PCT * per_pct), _LARGEST)  # what a rate that nobody set holds
    if hundred < 1:
        msg = f"model 124 tells rates in steps of {1 / per_pct:g} % (InOutWRte_SF)"
        raise _Unusable(msg)
    watch, same_scale = _unchanged(scale, exponent, "InWRte and OutWRte")
    return _Recipe(
        charge=forcing(inward, outward, _CHARGE_BIT),
        discharge=forcing(outward, inward, _DISCHARGE_BIT),
        stop=(_const(mode, 0, verify=True), _const(inward, hundred), _const(outward, hundred)),
        forced=mode,
        forced_values=(1, 2, 3),
        requires=(
            Precondition(
                before=_FORCING,
                point=name_of(full),
                allowed=(full_w,),
                reason="100 % stood for this power when the device was recognised; it will be at the next connection",
            ),
            same_scale,
            *_charge_from_grid(find, name_of),
            *_remote(told, name_of),
        ),
        blocks=(watch,),
    )


class _Finder:
    """Finds the points that a sequence needs."""

    def __init__(self, told: Told, model: int) -> None:
        self._told = told
        self._model = model

    def __call__(self, name: str) -> Place:
        place = self.optional(name)
        if place is None:
            what = "no timer that ends a command" if name.endswith("RvrtTms") else f"no {name}"
            msg = f"model {self._model} has {what}"
            raise _Unusable(msg)
        return place

    def optional(self, name: str) -> Place | None:
        """Return a point if the device has it and it holds a value."""
        places = self._told.find(f"{self._model}.{name}")
        return places[0] if places and self._told.has(places[0]) else None

    def number(self, place: Place) -> float:
        """Return the value of a point that `__call__` found."""
        return self._told.value(place) or 0.0


def _control(write: SunSpecWrite, recipe: _Recipe, name_of: NameOf) -> Control:
    forced = name_of(recipe.forced)
    spec = WriteSpec(
        charge=recipe.charge,
        discharge=recipe.discharge,
        stop=recipe.stop,
        requires=recipe.requires,
        forced_point=forced,
        forced_values=recipe.forced_values,
        deadman_min=write.deadman_min,
        deadman_max_min=write.deadman_max_min,
        renew_s=write.renew_s,
        effect=write.effect,
        watched=(forced,),
    )
    return Control(spec=spec, forced=forced, blocks=recipe.blocks)


def _unchanged(scale: Place, exponent: float, of: str) -> tuple[Block, Precondition]:
    """Return what reads a scale as a value of its own, and the demand that it is what it was."""
    name = f"{scale.model.prefix}_{scale.name.lower().removesuffix('_sf')}_scale_now"
    point = Point(name=name, address=scale.address, type=PointType.I16)
    block = Block(
        name=name, address=scale.address, count=1, poll_class=PollClass.SLOW, points=(point,)
    )
    reason = f"the scale of {of} is not what it was when the device was recognised; it will be at the next connection"
    return block, Precondition(before=_FORCING, point=name, allowed=(exponent,), reason=reason)


def _charge_from_grid(find: _Finder, name_of: NameOf) -> tuple[Precondition, ...]:
    place = find.optional("ChaGriSet")
    if place is None:
        return ()
    reason = "the device charges from PV only, and would not say so; allow charging from the grid in its own menu"
    return (
        Precondition(
            before=(Sequence.CHARGE,), point=name_of(place), allowed=(_GRID,), reason=reason
        ),
    )


def _remote(told: Told, name_of: NameOf) -> tuple[Precondition, ...]:
    reason = "the battery is under local control and takes no commands; set it to remote"
    return tuple(
        Precondition(before=_FORCING, point=name_of(place), forbidden=(_LOCAL,), reason=reason)
        for place in told.find("802.LocRemCtl")
        if told.has(place)
    )


def _const(place: Place, value: int, *, verify: bool = False) -> Step:
    return Step(
        name=_step(place), address=place.address, type=_type(place), value=value, verify=verify
    )


def _operand(place: Place, operand: Operand, gain: float) -> Step:
    return Step(
        name=_step(place),
        address=place.address,
        type=_type(place),
        operand=operand,
        gain=gain,
        verify=True,
    )


def _step(place: Place) -> str:
    return f"{place.model.number}.{place.name}"


def _type(place: Place) -> PointType:
    """Return how it is written: bitfields as the numbers that they are."""
    match place.type:
        case PointType.BITS16:
            return PointType.U16
        case PointType.BITS32:
            return PointType.U32
        case None:
            return PointType.U16
        case kind:
            return kind
