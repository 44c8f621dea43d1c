import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.dispatcher.situation import Situation, within_limits
from tests.actors.dispatcher.situations import HALF_FULL, any_situation, assert_within_limits


@given(any_situation(), st.floats())
def test_no_power_gets_past_the_limits(situation: Situation, power_w: float) -> None:
    assert_within_limits(situation, within_limits(situation, power_w))


@given(st.floats(-5000, 5000))
def test_a_power_within_the_limits_is_left_as_it_is(power_w: float) -> None:
    assert within_limits(HALF_FULL, power_w) == power_w


@pytest.mark.parametrize(
    ("soc_pct", "usable"), [(5.0, 0.0), (10.0, 0.0), (52.5, 0.5), (100.0, 1.0)]
)
def test_the_usable_charge_runs_between_the_working_limits(soc_pct: float, usable: float) -> None:
    assert msgspec.structs.replace(HALF_FULL, soc_pct=soc_pct).usable_soc == usable
