"""Batteries and prices in which the right decision is plain, and strategies for those in which nothing is."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import strategies as st

from actors.dispatcher.config import DispatchedDevice, ModelPin
from actors.dispatcher.prices import Outlook
from actors.dispatcher.situation import Situation

REPOSITORY = Path(__file__).parents[3]
DEMO_MODEL = REPOSITORY / "config" / "demo" / "dispatch.onnx"
DEMO_PRICES = REPOSITORY / "config" / "demo" / "prices.csv"

DEVICE = DispatchedDevice(device_id="a", rated_power_w=5000.0)
CHEAP_NOW = Outlook(eur_mwh=(10.0,) * 4 + (90.0,) * 10 + (200.0,) * 10, hour_utc=12.0)
DEAR_NOW = Outlook(eur_mwh=(300.0,) * 3 + (90.0,) * 10 + (10.0,) * 11, hour_utc=19.0)
FLAT = Outlook(eur_mwh=(80.0,) * 24, hour_utc=3.0)
NO_PRICES = Outlook(eur_mwh=(), hour_utc=3.0)
HALF_FULL = Situation(device=DEVICE, outlook=CHEAP_NOW, soc_pct=50.0)


def demo_pin() -> ModelPin:
    manifest = msgspec.json.decode(DEMO_MODEL.with_suffix(".json").read_bytes())
    return ModelPin(path=str(DEMO_MODEL), sha256=manifest["sha256"])


def any_situation() -> st.SearchStrategy[Situation]:
    """Every situation, also those with figures that no device or market would send."""
    figure = st.none() | st.floats()
    prices = st.lists(st.floats(-20_000, 20_000), max_size=30).map(tuple)
    return st.builds(
        Situation,
        device=st.just(DEVICE),
        outlook=st.builds(Outlook, eur_mwh=prices, hour_utc=st.floats(0, 24, exclude_max=True)),
        soc_pct=figure | st.floats(0, 100),
        max_charge_w=figure | st.floats(0, 8000),
        max_discharge_w=figure | st.floats(0, 8000),
        may_charge=st.booleans(),
        may_discharge=st.booleans(),
    )


def assert_within_limits(situation: Situation, power_w: float) -> None:
    """The power respects rating, the device's own limits, SafetyActor's view and the charge; NaN fails."""
    assert -DEVICE.rated_power_w <= power_w <= DEVICE.rated_power_w
    if power_w > 0:
        assert situation.may_charge
        assert situation.max_charge_w is None or power_w <= situation.max_charge_w
        assert situation.soc_pct is not None
        assert situation.soc_pct < DEVICE.soc_max_pct
    if power_w < 0:
        assert situation.may_discharge
        assert situation.max_discharge_w is None or -power_w <= situation.max_discharge_w
        assert situation.soc_pct is not None
        assert situation.soc_pct > DEVICE.soc_min_pct
