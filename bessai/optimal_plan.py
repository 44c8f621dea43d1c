"""The best a battery can do when all prices are known: the teacher of the demonstration's dispatch model.

A backward dynamic programme over the hours gives the worth of stored energy; the best share of power at any charge
then follows from one hour's look ahead. Powers are shares of the rated power, energies hours at rated power.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Table = npt.NDArray[np.float64]
"""Worth of stored energy, EUR per MW of rated power: shape (hours + 1, charge levels)."""

LEVELS = 41
SHARES = 21


class PlannedBattery(msgspec.Struct, frozen=True, kw_only=True):
    """The battery the plan is made for."""

    hours: float = 2.0
    """Usable energy over rated power."""
    round_trip: float = 0.92
    """Energy out over energy in, AC to AC; half of the loss each way."""
    wear_eur_mwh: float = 10.0
    """Cost of ageing per MWh discharged."""
    charge_limit: float = 1.0
    """Share of the rated power."""
    discharge_limit: float = 1.0


def worth_of_charge(prices_eur_mwh: Vector, battery: PlannedBattery) -> Table:
    """Return the most that can still be earned from each hour on at each charge level from 0 to 1."""
    levels = np.linspace(0.0, 1.0, LEVELS)
    worth = np.zeros((len(prices_eur_mwh) + 1, LEVELS))
    for hour in range(len(prices_eur_mwh) - 1, -1, -1):
        returns, _ = _returns(prices_eur_mwh[hour], levels, worth[hour + 1], battery)
        worth[hour] = returns.max(axis=1)
    return worth


def best_shares(
    price_eur_mwh: float, charge: Vector, worth_after: Vector, battery: PlannedBattery
) -> Vector:
    """Return the best share of power in [-1, 1], + charging, for each charge level in `charge`.

    Args:
        price_eur_mwh: The hour's price.
        charge: Stored energy, 0 to 1.
        worth_after: Row of `worth_of_charge` for the next hour.
        battery: As planned.
    """
    returns, shares = _returns(price_eur_mwh, charge, worth_after, battery)
    rows = np.arange(len(charge))
    best: Vector = shares[rows, returns.argmax(axis=1)]
    return best


def _returns(
    price: float, charge: Vector, worth_after: Vector, battery: PlannedBattery
) -> tuple[Table, Table]:
    """Return what each feasible share earns in all, and the shares: both of shape (charge levels, SHARES)."""
    one_way = math.sqrt(battery.round_trip)
    wanted = np.linspace(-battery.discharge_limit, battery.charge_limit, SHARES)
    wanted[np.abs(wanted).argmin()] = 0.0
    room = (1.0 - charge[:, None]) * battery.hours / one_way
    stock = charge[:, None] * battery.hours * one_way
    shares = np.clip(wanted[None, :], -stock, room)
    stored = np.where(shares > 0, shares * one_way, shares / one_way) / battery.hours
    after = np.clip(charge[:, None] + stored, 0.0, 1.0)
    earned = -price * shares - battery.wear_eur_mwh * np.maximum(-shares, 0.0)
    return earned + np.interp(after, np.linspace(0.0, 1.0, LEVELS), worth_after), shares
