from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.dispatcher.prices import (
    PriceFileError,
    PriceReplay,
    PriceSeries,
    parse_prices,
    read_prices,
)

DAY_S = 86_400
MIDNIGHT_S = 20_000 * DAY_S
TWO_DAYS = PriceSeries(start_wall_s=MIDNIGHT_S, eur_mwh=tuple(float(hour) for hour in range(48)))
HEAD = ["# Bundesnetzagentur", "hour_utc,price_eur_mwh"]


def test_the_current_hours_price_comes_first() -> None:
    outlook = TWO_DAYS.outlook(MIDNIGHT_S + 5.5 * 3600, 3)
    assert (outlook.eur_mwh, outlook.hour_utc) == ((5.0, 6.0, 7.0), 5.5)


def test_near_the_end_only_what_is_known_is_told() -> None:
    assert TWO_DAYS.outlook(MIDNIGHT_S + 46 * 3600, 24).eur_mwh == (46.0, 47.0)


@pytest.mark.parametrize("wall_s", [MIDNIGHT_S - 1, MIDNIGHT_S + 2 * DAY_S, 0])
def test_outside_the_series_no_price_is_known(wall_s: float) -> None:
    assert TWO_DAYS.outlook(wall_s, 24).eur_mwh == ()


def test_a_replay_at_the_speed_of_time_keeps_the_hour_of_day() -> None:
    outlook = PriceReplay(TWO_DAYS, speed=1.0).outlook(MIDNIGHT_S + 999 * DAY_S + 7.25 * 3600, 1)
    assert outlook.hour_utc == 7.25
    assert outlook.eur_mwh[0] % 24 == 7


def test_a_fast_replay_passes_an_hour_in_seconds() -> None:
    replay = PriceReplay(TWO_DAYS, speed=180.0)
    now, later = (replay.outlook(MIDNIGHT_S + s, 1).eur_mwh[0] for s in (0.0, 20.0))
    assert (later - now) % 48 == 1


@given(wall_s=st.floats(0, 4e9), speed=st.floats(0.001, 1e5), hours=st.integers(1, 100))
def test_a_replay_always_knows_as_many_hours_as_asked(
    wall_s: float, speed: float, hours: int
) -> None:
    outlook = PriceReplay(TWO_DAYS, speed=speed).outlook(wall_s, hours)
    assert len(outlook.eur_mwh) == hours
    assert outlook.eur_mwh[0] % 24 == int(outlook.hour_utc)


def test_a_replay_plays_whole_days_only() -> None:
    ragged = PriceSeries(start_wall_s=MIDNIGHT_S - 2 * 3600, eur_mwh=tuple(map(float, range(30))))
    days = ragged.whole_days()
    assert (days.start_wall_s, days.eur_mwh) == (MIDNIGHT_S, tuple(map(float, range(2, 26))))


def test_less_than_a_day_cannot_be_replayed() -> None:
    with pytest.raises(PriceFileError, match="whole day"):
        PriceReplay(PriceSeries(start_wall_s=MIDNIGHT_S + 3600, eur_mwh=(1.0,) * 46), speed=1.0)


def test_a_file_reads_as_a_series() -> None:
    lines = [*HEAD, "2025-06-02T00:00:00Z,75.00", "", "2025-06-02T01:00:00Z,-0.25"]
    assert parse_prices(lines) == PriceSeries(start_wall_s=1_748_822_400, eur_mwh=(75.0, -0.25))


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (["hour,price"], "first row must be"),
        ([HEAD[1]], "at least one price"),
        ([HEAD[1], "2025-06-02T00:30:00Z,1"], "full hour"),
        ([HEAD[1], "2025-06-02T00:00:00Z,1", "2025-06-02T02:00:00Z,1"], "7200 s after"),
        ([HEAD[1], "2025-06-02T00:00:00Z,1", "2025-06-02T00:00:00Z,1"], "0 s after"),
        ([HEAD[1], "2025-06-02T00:00:00,1"], "line 2: .* is not UTC"),
        ([HEAD[1], "2025-06-02T00:00:00+02:00,1"], "is not UTC"),
        ([HEAD[1], "yesterday,1"], "not a stamp and a price"),
        ([HEAD[1], "2025-06-02T00:00:00Z,1,2"], "not a stamp and a price"),
        ([HEAD[1], "2025-06-02T00:00:00Z,n/a"], "not a stamp and a price"),
        ([HEAD[1], "2025-06-02T00:00:00Z,nan"], "price nan is not allowed"),
        ([HEAD[1], "2025-06-02T00:00:00Z,99999"], "price 99999 is not allowed"),
    ],
)
def test_a_file_that_is_no_series_is_refused_with_the_reason(rows: list[str], why: str) -> None:
    with pytest.raises(PriceFileError, match=why):
        parse_prices(rows)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match=r"prices.csv cannot be read"):
        read_prices(tmp_path / "prices.csv")


def test_a_bad_row_is_told_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("hour_utc,price_eur_mwh\nx,y\n")
    with pytest.raises(PriceFileError, match=r"prices.csv: line 2"):
        read_prices(tmp_path / "prices.csv")
