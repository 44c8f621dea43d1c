"""The rules that decide when the model does not: cheap and dear hours, else a table by the clock, else nothing."""

from __future__ import annotations

import statistics

from actors.dispatcher.config import TimeOfUse
from actors.dispatcher.features import HOURS_AHEAD
from actors.dispatcher.situation import Decision, Policy, Situation, within_limits


def decide_by_rules(
    situation: Situation, table: TimeOfUse, *, min_spread_eur_mwh: float, doubt: str
) -> Decision:
    """Return what the rules make of `situation`.

    Args:
        situation: What is known.
        table: What to do by the clock when a day of prices is not known.
        min_spread_eur_mwh: Cheap and dear hours that are closer than this are left alone.
        doubt: Why the model does not decide, for the reason.
    """
    if situation.usable_soc is None:
        return hold(f"the state of charge is not known; {doubt}")
    if len(situation.outlook.eur_mwh) >= HOURS_AHEAD:
        share, why = _share_by_prices(situation.outlook.eur_mwh, min_spread_eur_mwh)
    elif table.charge_hours_utc or table.discharge_hours_utc:
        share, why = _share_by_hour(int(situation.outlook.hour_utc), table)
    else:
        return hold(f"neither prices nor a time-of-use table; {doubt}")
    power_w = within_limits(situation, share * situation.device.rated_power_w)
    return Decision(policy=Policy.TIME_OF_USE, power_w=power_w, reason=f"{why}; {doubt}")


def hold(reason: str) -> Decision:
    """Return the decision to leave the battery alone."""
    return Decision(policy=Policy.HOLD, power_w=0.0, reason=reason)


def _share_by_prices(prices: tuple[float, ...], min_spread_eur_mwh: float) -> tuple[float, str]:
    cheap, _, dear = statistics.quantiles(prices[:HOURS_AHEAD], n=4)
    now = prices[0]
    if dear - cheap < min_spread_eur_mwh:
        return 0.0, f"prices differ by {dear - cheap:.0f} EUR/MWh only"
    if now <= cheap:
        return 1.0, f"{now:.0f} EUR/MWh is in the cheapest quarter of the next {HOURS_AHEAD} h"
    if now >= dear:
        return -1.0, f"{now:.0f} EUR/MWh is in the dearest quarter of the next {HOURS_AHEAD} h"
    return 0.0, f"{now:.0f} EUR/MWh is neither cheap nor dear"


def _share_by_hour(hour_utc: int, table: TimeOfUse) -> tuple[float, str]:
    if hour_utc in table.charge_hours_utc:
        return 1.0, f"the table charges at {hour_utc:02d} h UTC"
    if hour_utc in table.discharge_hours_utc:
        return -1.0, f"the table discharges at {hour_utc:02d} h UTC"
    return 0.0, f"the table rests at {hour_utc:02d} h UTC"
