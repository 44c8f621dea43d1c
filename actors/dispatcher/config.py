"""Configuration of DispatcherActor."""

from __future__ import annotations

import msgspec


class DispatchedDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A battery that the dispatcher asks power for."""

    device_id: str
    rated_power_w: float
    """Never asked for more than this, in either direction."""
    soc_min_pct: float = 10.0
    """No discharge is asked for at or below this."""
    soc_max_pct: float = 95.0
    """No charge is asked for at or above this."""

    def __post_init__(self) -> None:
        """Refuse a battery that cannot be dispatched."""
        _require(f"{self.device_id}.rated_power_w", self.rated_power_w, low=1, high=1e9)
        _require(f"{self.device_id}.soc_min_pct", self.soc_min_pct, low=0, high=99)
        _require(
            f"{self.device_id}.soc_max_pct", self.soc_max_pct, low=self.soc_min_pct + 1, high=100
        )


class ModelPin(msgspec.Struct, frozen=True, kw_only=True):
    """The one model that may decide."""

    path: str
    sha256: str
    """Of the model's bytes; any other model is refused."""


class TimeOfUse(msgspec.Struct, frozen=True, kw_only=True):
    """What to do by the clock when no prices are known. Hours are UTC, 0 to 23."""

    charge_hours_utc: frozenset[int] = frozenset()
    discharge_hours_utc: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse hours that do not exist or that are to charge and discharge."""
        for hour in self.charge_hours_utc | self.discharge_hours_utc:
            _require("time_of_use hour", hour, low=0, high=23)
        both = sorted(self.charge_hours_utc & self.discharge_hours_utc)
        if both:
            raise ValueError(
                f"dispatcher.time_of_use: hours {both} charge and discharge: choose one"
            )


class DispatcherConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the dispatcher knows and how often it decides."""

    devices: tuple[DispatchedDevice, ...] = ()
    model: ModelPin | None = None
    """None: the rules decide."""
    prices_path: str | None = None
    """CSV of day-ahead prices, see `prices.parse_prices`; None: no prices."""
    replay_speed: float | None = None
    """None: the file's stamps are real. A number: the file's days are played round and round, its first midnight on a
    midnight, with this many seconds of prices in a second: 1 keeps the hour of day, 180 shows an hour in 20 s."""
    time_of_use: TimeOfUse = TimeOfUse()
    decide_s: float = 5.0
    """Every device is decided upon, and its request renewed, this often."""
    ttl_s: float = 15.0
    """How long a request holds unless renewed."""
    sample_age_s: float = 5.0
    """An older sample decides nothing."""
    inference_budget_s: float = 0.05
    """A model that takes longer is not believed."""
    traced: bool = False
    """Whether requests are traced."""
    min_spread_eur_mwh: float = 20.0
    """Between cheap and dear hours; the rules leave the battery alone for less, as wear and losses cost that much."""

    def __post_init__(self) -> None:
        """Refuse figures that cannot work."""
        _require("decide_s", self.decide_s, low=0.1, high=3600)
        _require("ttl_s", self.ttl_s, low=self.decide_s, high=86_400)
        _require("sample_age_s", self.sample_age_s, low=0.1, high=3600)
        _require("inference_budget_s", self.inference_budget_s, low=1e-4, high=1)
        _require("min_spread_eur_mwh", self.min_spread_eur_mwh, low=0, high=10_000)
        if self.replay_speed is not None:
            _require("replay_speed", self.replay_speed, low=1e-3, high=1e5)


def _require(field: str, value: float, *, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(
            f"dispatcher.{field} = {value} is not allowed: expected {low:g} to {high:g}"
        )
