from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.dispatcher.config import ModelPin
from actors.dispatcher.features import FEATURES, feature_row
from actors.dispatcher.policy import DISPATCH, DoubtError, ModelRefusedError, ONNXDispatcher
from actors.dispatcher.prices import Outlook, PriceSeries, read_prices
from actors.dispatcher.situation import Policy, Situation
from supervision.clock import ManualClock
from tests.actors.dispatcher.situations import (
    CHEAP_NOW,
    DEMO_PRICES,
    HALF_FULL,
    NO_PRICES,
    any_situation,
    assert_within_limits,
    demo_pin,
)
from tests.actors.models import store_linear


class SlowClock(ManualClock):
    """A clock on which every look takes a tenth of a second."""

    def monotonic_s(self) -> float:
        self.advance(0.1)
        return super().monotonic_s()


def demo() -> ONNXDispatcher:
    return ONNXDispatcher(demo_pin(), budget_s=0.05, clock=ManualClock())


def linear(folder: Path, weights: list[float]) -> ONNXDispatcher:
    path = folder / "policy.onnx"
    manifest = store_linear(path, FEATURES, weights, kind=DISPATCH)
    pin = ModelPin(path=str(path), sha256=manifest.sha256)
    return ONNXDispatcher(pin, budget_s=0.05, clock=ManualClock())


def answering(folder: Path, per_unit_of_charge: float) -> ONNXDispatcher:
    weights = [0.0] * len(FEATURES)
    weights[FEATURES.index("usable_soc")] = per_unit_of_charge
    return linear(folder, weights)


def power_at(prices: PriceSeries, hour: int) -> float:
    outlook = prices.outlook(prices.start_wall_s + hour * 3600, 24)
    return MODEL.decide(msgspec.structs.replace(HALF_FULL, outlook=outlook)).power_w


def test_the_model_it_was_given_buys_cheap_and_sells_dear() -> None:
    prices = read_prices(DEMO_PRICES)
    for day in range(20):
        hours = prices.eur_mwh[day * 24 : (day + 1) * 24]
        cheapest, dearest = hours.index(min(hours)), hours.index(max(hours))
        assert power_at(prices, day * 24 + cheapest) > 0
        assert power_at(prices, day * 24 + dearest) < 0


def test_a_decision_has_a_reason_that_a_person_can_read() -> None:
    reason = demo().decide(HALF_FULL).reason
    assert reason == "charge at 10 EUR/MWh; the next 23 h run from 10 to 200, charge 50 %"


@settings(max_examples=300)
@given(any_situation())
def test_whatever_is_known_the_model_stays_within_the_limits_or_doubts(
    situation: Situation,
) -> None:
    try:
        decision = MODEL.decide(situation)
    except DoubtError:
        return
    assert_within_limits(situation, decision.power_w)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"outlook": NO_PRICES}, "only 0 hours of prices"),
        ({"outlook": Outlook(eur_mwh=(1.0,) * 23, hour_utc=0.0)}, "only 23 hours"),
        ({"soc_pct": None}, "state of charge"),
        ({"soc_pct": 655.35}, "state of charge"),
    ],
)
def test_a_missing_input_is_a_doubt(change: dict[str, object], why: str) -> None:
    with pytest.raises(DoubtError, match=why):
        demo().decide(msgspec.structs.replace(HALF_FULL, **change))


def test_an_answer_beyond_the_whole_power_is_a_doubt(tmp_path: Path) -> None:
    with pytest.raises(DoubtError, match="expected -1 to 1"):
        answering(tmp_path, 5.0).decide(HALF_FULL)


def test_an_answer_that_is_not_finite_is_a_doubt(tmp_path: Path) -> None:
    with pytest.raises(DoubtError, match="not finite"):
        linear(tmp_path, [3e38] * len(FEATURES)).decide(
            msgspec.structs.replace(HALF_FULL, outlook=CHEAP_NOW, soc_pct=95.0)
        )


def test_a_late_answer_is_a_doubt() -> None:
    policy = ONNXDispatcher(demo_pin(), budget_s=0.05, clock=SlowClock())
    with pytest.raises(DoubtError, match="took 100 ms, allowed 50"):
        policy.decide(HALF_FULL)


def test_a_small_share_is_not_worth_moving_for(tmp_path: Path) -> None:
    decision = answering(tmp_path, 0.05).decide(HALF_FULL)
    assert (decision.policy, decision.power_w) == (Policy.ONNX, 0)
    assert decision.reason.startswith("rest")


def test_a_model_with_another_hash_is_refused() -> None:
    pin = ModelPin(path=demo_pin().path, sha256="0" * 64)
    with pytest.raises(ModelRefusedError, match="sha256"):
        ONNXDispatcher(pin, budget_s=0.05, clock=ManualClock())


def test_a_model_made_for_other_features_is_refused(tmp_path: Path) -> None:
    manifest = store_linear(tmp_path / "m.onnx", ("x",), [1.0], kind=DISPATCH)
    pin = ModelPin(path=str(tmp_path / "m.onnx"), sha256=manifest.sha256)
    with pytest.raises(ModelRefusedError, match="other features"):
        ONNXDispatcher(pin, budget_s=0.05, clock=ManualClock())


@given(st.floats(-500, 500), st.floats(0.1, 100))
def test_the_level_of_prices_does_not_matter_only_their_differences(
    level: float, spread: float
) -> None:
    prices = [spread * (hour % 7) for hour in range(24)]
    plain, lifted = (
        feature_row(
            Outlook(eur_mwh=tuple(p + by for p in prices), hour_utc=5.0),
            usable_soc=0.5,
            charge_limit=1.0,
            discharge_limit=1.0,
        )
        for by in (0.0, level)
    )
    assert plain == pytest.approx(lifted, abs=1e-6)


MODEL = demo()
