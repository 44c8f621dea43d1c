"""Day-ahead prices: an hourly series with a start, read from a CSV file, looked at from some moment on.

The file has the columns `hour_utc,price_eur_mwh`, one row per hour without a gap; lines that start
with `#` are for people, such as the attribution of the data.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

HOUR_S: Final = 3600
HOURS_A_DAY: Final = 24
DAY_S: Final = HOURS_A_DAY * HOUR_S
COLUMNS: Final = ["hour_utc", "price_eur_mwh"]
MAX_ABS_PRICE_EUR_MWH: Final = 20_000.0
"""Far outside what the European day-ahead auctions allow; whatever is beyond has the wrong unit."""


class PriceFileError(Exception):
    """A price file cannot be used; the message names the file, the line and the fix."""


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """The prices as they are known at one moment."""

    eur_mwh: tuple[float, ...]
    """The current hour's price first; empty if none is known."""
    hour_utc: float
    """Hour of day, 0 to below 24, on the clock of the prices."""


class PriceSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Prices from a start on, one per hour."""

    start_wall_s: int
    """Seconds since the Unix epoch."""
    eur_mwh: tuple[float, ...]

    def outlook(self, wall_s: float, hours: int) -> Outlook:
        """Return up to `hours` prices from the moment `wall_s` on."""
        first = math.floor((wall_s - self.start_wall_s) / HOUR_S)
        known = self.eur_mwh[first : first + hours] if first >= 0 else ()
        return Outlook(eur_mwh=known, hour_utc=hour_of_day(wall_s))

    def whole_days(self) -> PriceSeries:
        """Return the part of the series that begins at its first midnight and spans whole days.

        Raises:
            PriceFileError: there is no whole day in it.
        """
        skipped_s = -self.start_wall_s % DAY_S
        first = skipped_s // HOUR_S
        days = (len(self.eur_mwh) - first) // HOURS_A_DAY
        if days < 1:
            raise PriceFileError(
                "a replay needs at least one whole day of prices, from 00:00 UTC on"
            )
        return PriceSeries(
            start_wall_s=self.start_wall_s + skipped_s,
            eur_mwh=self.eur_mwh[first : first + days * HOURS_A_DAY],
        )


class PriceReplay:
    """The whole days of a series played round and round, faster or slower than time.

    Which hour is played depends on the wall clock alone, so a restart goes on where it would have been. For
    demonstrations: the calendar date of the prices is not today's.
    """

    def __init__(self, series: PriceSeries, *, speed: float) -> None:
        """Play `series` at `speed` seconds of prices per second.

        Raises:
            PriceFileError: the series has no whole day.
        """
        self._series = series.whole_days()
        self._speed = speed

    def outlook(self, wall_s: float, hours: int) -> Outlook:
        """Return `hours` prices from the moment that is played at `wall_s` on."""
        prices = self._series.eur_mwh
        into_s = (wall_s * self._speed) % (len(prices) * HOUR_S)
        first = int(into_s // HOUR_S)
        known = tuple(prices[(first + hour) % len(prices)] for hour in range(hours))
        return Outlook(eur_mwh=known, hour_utc=hour_of_day(into_s))


def hour_of_day(wall_s: float) -> float:
    """Return the UTC hour of day, 0 to below 24, of `wall_s` seconds since an epoch at midnight."""
    return (wall_s % DAY_S) / HOUR_S


def read_prices(path: Path) -> PriceSeries:
    """Return the series in the CSV file `path`.

    Raises:
        PriceFileError: the file cannot be read or is not such a series.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PriceFileError(f"{path} cannot be read: {error}") from error
    try:
        return parse_prices(text.splitlines())
    except PriceFileError as error:
        raise PriceFileError(f"{path}: {error}") from error


def parse_prices(lines: Iterable[str]) -> PriceSeries:
    """Return the series in the lines of a CSV file.

    Raises:
        PriceFileError: a column, stamp, price or step is not what it has to be.
    """
    rows = [
        (n, line) for n, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")
    ]
    parsed = list(csv.reader(line for _, line in rows))
    if not parsed or parsed[0] != COLUMNS:
        raise PriceFileError(f"the first row must be {','.join(COLUMNS)}")
    numbered = zip((number for number, _ in rows[1:]), parsed[1:], strict=True)
    points = [_parse_row(number, row) for number, row in numbered]
    if not points or points[0][0] % HOUR_S:
        raise PriceFileError(
            "at least one price is needed, and the first stamp must be a full hour"
        )
    for (before_s, _), (after_s, _) in itertools.pairwise(points):
        if after_s - before_s != HOUR_S:
            at = dt.datetime.fromtimestamp(after_s, tz=dt.UTC).isoformat()
            raise PriceFileError(
                f"{at} comes {after_s - before_s} s after the row before: expected {HOUR_S}"
            )
    return PriceSeries(start_wall_s=points[0][0], eur_mwh=tuple(price for _, price in points))


def _parse_row(number: int, row: list[str]) -> tuple[int, float]:
    try:
        stamp_text, price_text = row
        stamp = dt.datetime.fromisoformat(stamp_text)
        price = float(price_text)
    except ValueError as error:
        raise PriceFileError(
            f"line {number}: {','.join(row)!r} is not a stamp and a price: {error}"
        ) from error
    if stamp.utcoffset() != dt.timedelta(0):
        raise PriceFileError(f"line {number}: {stamp_text!r} is not UTC: end it with Z")
    if not abs(price) <= MAX_ABS_PRICE_EUR_MWH:
        raise PriceFileError(
            f"line {number}: price {price_text} is not allowed: expected EUR/MWh within"
            f" +-{MAX_ABS_PRICE_EUR_MWH:g}"
        )
    return int(stamp.timestamp()), price
