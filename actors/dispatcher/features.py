"""The columns a dispatch model sees: the day's prices relative to their own mean and spread, the battery, the hour.

The model's builder uses the same function, so training and serving cannot drift apart.
"""

from __future__ import annotations

import math
import statistics
from typing import Final

from actors.dispatcher.prices import Outlook

HOURS_AHEAD: Final = 24
"""Prices the model needs, the current hour's included."""

MIN_SPREAD_EUR_MWH: Final = 5.0
"""A flatter day is scaled as if it had this standard deviation, so that noise is not blown up."""

FEATURES: Final = (
    *(f"relative_price_h{hour}" for hour in range(HOURS_AHEAD)),
    "price_std_100_eur_mwh",
    "usable_soc",
    "charge_limit",
    "discharge_limit",
    "hour_sin",
    "hour_cos",
)
"""Names of the columns; limits are shares of the rated power."""


def feature_row(
    outlook: Outlook, *, usable_soc: float, charge_limit: float, discharge_limit: float
) -> list[float] | None:
    """Return one value per name in `FEATURES`, or None if fewer than `HOURS_AHEAD` prices are known.

    Args:
        outlook: Hourly prices, the current hour's first.
        usable_soc: Charge between the working limits, 0 to 1.
        charge_limit: What may be charged now, as a share of the rated power.
        discharge_limit: What may be discharged now, as a share of the rated power.
    """
    prices = outlook.eur_mwh[:HOURS_AHEAD]
    if len(prices) < HOURS_AHEAD:
        return None
    mean, std = statistics.fmean(prices), statistics.pstdev(prices)
    scale = max(std, MIN_SPREAD_EUR_MWH)
    angle = 2 * math.pi * outlook.hour_utc / 24
    relative = [(price - mean) / scale for price in prices]
    return [
        *relative,
        std / 100,
        usable_soc,
        charge_limit,
        discharge_limit,
        math.sin(angle),
        math.cos(angle),
    ]
