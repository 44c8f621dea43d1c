import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.dispatcher.config import TimeOfUse
from actors.dispatcher.fallback import decide_by_rules
from actors.dispatcher.prices import Outlook
from actors.dispatcher.situation import Decision, Policy, Situation
from tests.actors.dispatcher.situations import (
    CHEAP_NOW,
    DEAR_NOW,
    FLAT,
    HALF_FULL,
    NO_PRICES,
    any_situation,
    assert_within_limits,
)

TABLE = TimeOfUse(charge_hours_utc=frozenset({3}), discharge_hours_utc=frozenset({19}))


def decide(situation: Situation, table: TimeOfUse = TABLE) -> Decision:
    return decide_by_rules(situation, table, min_spread_eur_mwh=20.0, doubt="no model")


def seen(outlook: Outlook, **changes: object) -> Situation:
    return msgspec.structs.replace(HALF_FULL, outlook=outlook, **changes)


@pytest.mark.parametrize(
    ("outlook", "power_w"), [(CHEAP_NOW, 5000.0), (DEAR_NOW, -5000.0), (FLAT, 0.0)]
)
def test_the_rules_buy_cheap_sell_dear_and_leave_flat_days_alone(
    outlook: Outlook, power_w: float
) -> None:
    decision = decide(seen(outlook))
    assert (decision.policy, decision.power_w) == (Policy.TIME_OF_USE, power_w)


def test_an_hour_between_cheap_and_dear_rests() -> None:
    ramp = Outlook(eur_mwh=(110.0, *(10.0 * hour for hour in range(23))), hour_utc=0.0)
    assert decide(seen(ramp)).power_w == 0


@pytest.mark.parametrize(("hour", "power_w"), [(3.9, 5000.0), (19.0, -5000.0), (12.0, 0.0)])
def test_without_prices_the_table_decides_by_the_hour(hour: float, power_w: float) -> None:
    decision = decide(seen(Outlook(eur_mwh=(50.0,) * 5, hour_utc=hour)))
    assert (decision.policy, decision.power_w) == (Policy.TIME_OF_USE, power_w)


def test_without_prices_and_table_the_battery_is_left_alone() -> None:
    decision = decide(seen(NO_PRICES), TimeOfUse())
    assert (decision.policy, decision.power_w) == (Policy.HOLD, 0)


def test_without_the_state_of_charge_the_battery_is_left_alone() -> None:
    decision = decide(seen(CHEAP_NOW, soc_pct=None))
    assert decision.policy is Policy.HOLD
    assert decision.reason == "the state of charge is not known; no model"


@pytest.mark.parametrize(("outlook", "soc_pct"), [(CHEAP_NOW, 95.0), (DEAR_NOW, 10.0)])
def test_a_full_battery_is_not_charged_and_an_empty_one_not_discharged(
    outlook: Outlook, soc_pct: float
) -> None:
    assert decide(seen(outlook, soc_pct=soc_pct)).power_w == 0


def test_the_devices_own_limit_holds() -> None:
    assert decide(seen(CHEAP_NOW, max_charge_w=1200.0)).power_w == 1200


@given(any_situation(), st.sampled_from([TABLE, TimeOfUse()]))
def test_whatever_is_known_the_power_stays_within_the_limits(
    situation: Situation, table: TimeOfUse
) -> None:
    assert_within_limits(situation, decide(situation, table).power_w)
