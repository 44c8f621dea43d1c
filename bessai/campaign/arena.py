"""The gateway and the site of a campaign, set up as its terms say."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import msgspec

from bessai.campaign.draws import MIDDLE_C
from bessai.campaign.record import Campaign
from bessai.campaign.terms import Terms
from bessai.testing import Gateway, SimulatedSite

_PRICE_HOUR_S = 4.0
"""The dispatcher's day is played so fast that it charges, rests and discharges every few seconds."""
_PRICES = (10, 80, 150, 80)
"""Cheap, middling, dear: what the rules make of them is charge, rest, discharge."""
_LEAST_START_S = 3.0
_PATIENCE_S = 60.0


class Arena(NamedTuple):
    """A running gateway, and the site that judges it."""

    site: SimulatedSite
    gateway: Gateway
    terms: Terms
    """With the time that the start took here and now."""


@contextlib.contextmanager
def arena(campaign: Campaign, directory: Path) -> Generator[Arena]:
    """Start the site with its record in `directory`, and a healthy gateway on it.

    Raises:
        NotInTimeError: one of them did not come up.
    """
    terms = campaign.terms
    options = [f"--record={directory}", f"--truth-hz={terms.truth_hz}", "--seed=1"]
    settings = {
        "countdown_s_per_min": terms.countdown_s_per_min,
        "load_w": 500.0,
        "temperature_c": MIDDLE_C,
        "ambient_c": MIDDLE_C,
        "working_mode": 5.0,  # time of use without a table: nothing moves the battery but commands
    }
    with SimulatedSite(
        directory, devices=campaign.devices, settings=settings, options=options
    ) as site:
        gateway = Gateway(
            site,
            directory,
            poll_s=terms.poll_s,
            profile=campaign.profile,
            keys=_keys(terms),
            extra=_sections(terms, _write_prices(directory.resolve())),
        )
        began_s = time.monotonic()
        with gateway:
            gateway.wait_until_healthy(timeout_s=_PATIENCE_S)
            took_s = max(time.monotonic() - began_s, _LEAST_START_S)
            yield Arena(site, gateway, msgspec.structs.replace(terms, start_s=round(took_s, 2)))


def _keys(terms: Terms) -> dict[str, float]:
    return {
        "timeout_s": terms.timeout_s,
        "reconnect_initial_s": terms.reconnect_initial_s,
        "reconnect_max_s": terms.reconnect_max_s,
        "rated_power_w": terms.rated_power_w,
        "deadman_min": terms.deadman_min,
    }


def _sections(terms: Terms, prices: Path) -> str:
    names = (
        *("soc_min_pct", "soc_max_pct", "charge_min_c", "charge_max_c", "discharge_min_c"),
        *("discharge_max_c", "trip_low_c", "trip_high_c", "max_charge_w", "max_discharge_w"),
        *("temperature_hysteresis_k", "cold_band_k", "hot_band_k", "heating_trip_k_per_min"),
        *("heating_derate_k_per_min", "heating_s", "disagreement_s", "reconsider_s"),
        *("deadband_w", "stale_after_s", "lease_s", "reassert_s"),
    )
    limits = "\n".join(f"{name} = {getattr(terms, name)}" for name in names)
    return f"""
[safety]
{limits}
requests_per_minute = 240

[dispatcher]
prices_path = "{prices}"
replay_speed = {3600 / _PRICE_HOUR_S}
decide_s = 1.0
ttl_s = 3.0

[cells]
hung_after_s = 1.0
"""


def _write_prices(directory: Path) -> Path:
    file = directory / "prices.csv"
    rows = [f"2026-01-01T{hour:02d}:00:00Z,{_PRICES[hour % len(_PRICES)]}" for hour in range(24)]
    file.write_text("\n".join(["hour_utc,price_eur_mwh", *rows, ""]), encoding="utf-8")
    return file
