"""The largest power in one direction: configuration, the device's own limit, bands, the site's room. Pure."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from actors.safety.assessment import PowerBound
from actors.safety.catalogue import DERATINGS
from actors.safety.config import DeviceLimits
from actors.safety.rules import Action, Direction, Holding
from actors.safety.site import SITE_RULES
from actors.safety.watch import Derating, bind

CLOSED = PowerBound(0.0, "closed")


class OneWay:
    """What bounds power in one direction by a device's figures; it remembers nothing."""

    def __init__(self, direction: Direction, limits: DeviceLimits) -> None:
        """Bound the power in `direction` by `limits`."""
        self._point = "max_charge_w" if direction.charges else "max_discharge_w"
        self._room_rule = next(
            rule.name
            for rule in SITE_RULES
            if rule.action is Action.DERATE and rule.direction is direction
        )
        self._configured_w: float = getattr(limits, self._point)
        rules = [rule for rule in DERATINGS if rule.direction in {direction, Direction.BOTH}]
        bands = [bind(rule, limits) for rule in rules]
        self._deratings = [(each.rule.signal, Derating(each)) for each in bands if each.band > 0.0]

    def largest(
        self, values: Mapping[str, float], most_w: float | None, holdings: list[Holding]
    ) -> PowerBound:
        """Return the largest power, as a positive number; bands that lower it are added to `holdings`.

        `most_w` is what the site has room for, if that is limited.
        """
        configured_w = self._configured_w
        bound = PowerBound(min(configured_w, values.get(self._point, 0.0)), "power_limit")
        for signal, derating in self._deratings:
            value = values.get(signal)
            if value is None or derating.is_full(value):
                continue
            share = derating.share(value)
            bound = min(bound, PowerBound(share * configured_w, derating.bound.rule.name))
            lowering = derating.bound.lowering(value, share)
            if lowering not in holdings:
                holdings.append(lowering)
        if most_w is not None:
            bound = min(bound, PowerBound(max(most_w, 0.0), self._room_rule))
        return bound


@functools.cache
def one_way(direction: Direction, limits: DeviceLimits) -> OneWay:
    """Return the bounds of `limits` in `direction`: one object for all devices that have these."""
    return OneWay(direction, limits)
