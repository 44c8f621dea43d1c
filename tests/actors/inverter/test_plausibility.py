"""What does not fit its own past or its neighbours becomes invalid, for as long as it should."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.inverter.plausibility import (
    Balance,
    Counter,
    Frozen,
    Integral,
    Plausibility,
    Product,
    Rate,
    Sign,
)
from actors.inverter.plausibility_book import Checkup, PlausibilityBook
from actors.inverter.profile_points import Condition
from tests.actors.inverter.read_battery import LUNA2000, NAMES, Judged, ReadBattery, Values

SOC = Rate(point="soc_pct", max_per_s=0.1, step=1.5, adopt_s=20)
HEAT = Rate(point="battery_temperature_c", max_per_s=0.5, step=2, adopt_s=5)
DAY = Counter(point="charged_today_kwh", max_per_s=0.01, step=1, reset_below=0.5, adopt_s=20)
COULOMB = Integral(capacity_wh=10_000.0)


class Told:
    """A book for some checks, asked once a second."""

    def __init__(self, *, every_s: float = 1.0, **rules: tuple[object, ...]) -> None:
        spec = msgspec.convert(msgspec.to_builtins(rules), Plausibility)
        self._judged = Judged(spec, tuple(sorted(NAMES)))
        self._every_s = every_s
        self._now_s = 0.0

    def poll(self, after_s: float | None = None, **values: float | None) -> dict[str, str]:
        """Return the reasons by name."""
        self._now_s += self._every_s if after_s is None else after_s
        return self._judged.check(values, self._now_s)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.none() | st.floats(), min_size=len(NAMES), max_size=len(NAMES)),
            st.integers(-(10**9), 10**11),
            st.binary(min_size=len(NAMES), max_size=len(NAMES)) | st.just(b""),
        ),
        max_size=20,
    )
)
def test_nothing_that_a_device_sends_raises_and_only_numbers_become_invalid(
    polls: list[tuple[list[float | None], int, bytes]],
) -> None:
    book, now_ns = PlausibilityBook(Checkup(LUNA2000, NAMES)), 0
    for values, later_ns, quality in polls:
        now_ns += later_ns
        for place, why in book.check(values, now_ns, quality).items():
            assert why
            assert values[place] is not None
            assert not quality or quality[place] == 0


@given(st.floats(-100, 200), st.integers(1, 30), st.floats(-70, 70))
def test_a_spike_is_never_good(start: float, polls: int, by: float) -> None:
    told = Told(rates=(HEAT,))
    for _ in range(polls):
        assert told.poll(battery_temperature_c=start) == {}
    found = told.poll(battery_temperature_c=start + by)
    assert bool(found) == (abs(by) > 2.5 + 1e-9) or abs(abs(by) - 2.5) < 1e-6


def test_after_a_spike_a_value_is_good_again_at_the_third_plausible_poll() -> None:
    told = Told(rates=(SOC,))
    told.poll(soc_pct=50)
    assert told.poll(soc_pct=80)["soc_pct"].startswith("jumped from 50 to 80 in 1.0 s")
    assert "plausible again for 1 of 3 polls" in told.poll(soc_pct=50)["soc_pct"]
    assert "2 of 3" in told.poll(soc_pct=50)["soc_pct"]
    assert told.poll(soc_pct=50) == {}


def test_a_new_level_is_believed_when_it_has_lasted() -> None:
    told = Told(rates=(HEAT,))
    told.poll(battery_temperature_c=25)
    polls = [bool(told.poll(battery_temperature_c=60)) for _ in range(8)]
    assert polls == [True] * 5 + [False] * 3


def test_a_battery_that_heats_ever_faster_is_believed_and_not_hidden() -> None:
    told = Told(rates=(HEAT,))
    told.poll(battery_temperature_c=25)
    polls = [bool(told.poll(battery_temperature_c=25 + 8 * second)) for second in range(1, 12)]
    assert polls.index(False) == 5


def test_values_that_jump_to_and_fro_are_never_believed() -> None:
    told = Told(rates=(HEAT,))
    told.poll(battery_temperature_c=25)
    for second in range(40):
        heat = 110 if second % 2 else 70
        assert told.poll(battery_temperature_c=heat)


def test_a_ramp_of_small_steps_is_seen_however_often_it_is_polled() -> None:
    told = Told(every_s=0.1, rates=(HEAT,))
    found = [told.poll(battery_temperature_c=25 + 0.2 * poll) for poll in range(20)]
    assert any(found)
    assert found[12] == {}


def test_after_a_gap_nothing_is_judged_by_rate() -> None:
    told = Told(rates=(SOC,), counters=(DAY,), integrals=(COULOMB,))
    told.poll(soc_pct=50, charged_today_kwh=9, battery_power_w=0)
    assert told.poll(after_s=16, soc_pct=80, charged_today_kwh=3, battery_power_w=0) == {}


def test_a_value_that_was_not_read_for_long_is_taken_as_it_is() -> None:
    told = Told(rates=(SOC,))
    told.poll(soc_pct=50)
    for _ in range(15):
        assert told.poll(soc_pct=None) == {}
    assert told.poll(soc_pct=80) == {}


def test_a_spike_that_began_before_a_short_hole_is_still_one() -> None:
    told = Told(rates=(SOC,))
    told.poll(soc_pct=50)
    told.poll(soc_pct=None)
    assert told.poll(soc_pct=80)


def test_a_clock_that_goes_back_starts_over() -> None:
    told = Told(rates=(SOC,))
    told.poll(soc_pct=50)
    assert told.poll(after_s=-5, soc_pct=80) == {}


def test_a_counter_may_start_again_and_may_not_fall() -> None:
    told = Told(counters=(DAY,))
    told.poll(charged_today_kwh=9)
    assert told.poll(charged_today_kwh=0.1) == {}
    told.poll(charged_today_kwh=0.9)
    assert told.poll(charged_today_kwh=0.8)["charged_today_kwh"].startswith("the counter fell")


def test_a_counter_that_leaps_is_not_believed_and_its_return_is() -> None:
    told = Told(counters=(DAY,))
    told.poll(charged_today_kwh=9)
    assert told.poll(charged_today_kwh=90)["charged_today_kwh"].startswith("the counter leapt")
    assert [bool(told.poll(charged_today_kwh=9)) for _ in range(4)] == [True, True, False, False]


def test_a_power_that_is_no_product_takes_all_three_with_it() -> None:
    told = Told(products=(Product(),))
    read = {"battery_voltage_v": 700.0, "battery_current_a": 4.0}
    assert told.poll(battery_power_w=2800, **read) == {}
    found = told.poll(battery_power_w=-2800, **read)
    assert sorted(found) == ["battery_current_a", "battery_power_w", "battery_voltage_v"]
    assert "-2800 is not battery_voltage_v 700 x battery_current_a 4 = 2800" in str(found)


def test_a_stop_may_be_seen_one_poll_late_and_no_later() -> None:
    told = Told(products=(Product(),))
    told.poll(battery_power_w=2800, battery_voltage_v=700, battery_current_a=4)
    assert told.poll(battery_power_w=0, battery_voltage_v=700, battery_current_a=4) == {}
    assert told.poll(battery_power_w=0, battery_voltage_v=700, battery_current_a=4)


def test_opposite_signs_are_found_without_a_voltage() -> None:
    told = Told(signs=(Sign(),))
    found = [told.poll(battery_power_w=2800, battery_current_a=-4) for _ in range(3)]
    assert found[:2] == [{}, {}]
    assert "opposite signs" in found[2]["battery_current_a"]


def charge(told: Told, soc_pct: float, power_w: float, polls: int) -> dict[str, str]:
    """Poll the same values again and again; return the last reasons."""
    found: dict[str, str] = {}
    for _ in range(polls):
        found = told.poll(soc_pct=soc_pct, battery_power_w=power_w)
    return found


def test_a_stuck_soc_stays_invalid_at_rest_until_it_is_where_energy_put_it() -> None:
    told = Told(integrals=(COULOMB,))
    assert charge(told, 50, 5000, 200)["soc_pct"] == "2.2 % lower than battery_power_w explains"
    assert charge(told, 50, 0, 60)
    assert charge(told, 53, 0, 3) == {}


def test_a_stuck_soc_is_believed_in_the_end_at_rest() -> None:
    told = Told(integrals=(COULOMB,))
    assert charge(told, 50, 5000, 200)
    assert charge(told, 50, 0, 20 * 60) == {}


def test_a_full_battery_may_wait_and_a_full_one_that_discharges_may_not() -> None:
    assert charge(Told(integrals=(COULOMB,)), 99, 2000, 1000) == {}
    assert charge(Told(integrals=(COULOMB,)), 99, -5000, 300)


def test_an_empty_battery_may_wait_and_an_empty_one_that_is_charged_may_not() -> None:
    assert charge(Told(integrals=(COULOMB,)), 2, -2000, 1000) == {}
    assert charge(Told(integrals=(COULOMB,)), 2, 5000, 300)


def test_soc_is_not_judged_before_the_capacity_is_known() -> None:
    told = Told(integrals=(Integral(capacity_point="rated_capacity_wh"),))
    assert charge(told, 50, 5000, 400) == {}
    told.poll(soc_pct=50, battery_power_w=5000, rated_capacity_wh=10_000)
    assert charge(told, 50, 5000, 400)


def test_a_new_soc_that_is_believed_is_where_energy_counts_from() -> None:
    told = Told(rates=(SOC,), integrals=(COULOMB,))
    charge(told, 50, 0, 3)
    assert charge(told, 60, 0, 20)
    assert charge(told, 60, 0, 30) == {}


def test_with_two_units_their_common_soc_is_judged_by_the_sum_of_their_powers() -> None:
    told = Told(
        integrals=(
            msgspec.structs.replace(COULOMB, only_if=Condition(point="esu2_model", equals=0)),
            Integral(
                soc="storage_soc_pct",
                more_power=("esu2_power_w",),
                capacity_wh=20_000,
                only_if=Condition(point="esu2_model", not_equals=0),
                invalid=("soc_pct", "esu2_soc_pct", "storage_soc_pct"),
            ),
        )
    )
    read = {"soc_pct": 50, "esu2_soc_pct": 50, "battery_power_w": 5000, "esu2_power_w": 5000}
    for second in range(600):
        mean_pct = 50 + second * 1000 / 72_000
        assert told.poll(esu2_model=2, storage_soc_pct=mean_pct, **read) == {}
    for _ in range(299):
        told.poll(esu2_model=2, storage_soc_pct=59, **read)
    found = told.poll(esu2_model=2, storage_soc_pct=59, **read)
    assert sorted(found) == ["esu2_soc_pct", "soc_pct", "storage_soc_pct"]


def test_frozen_values_are_named_with_how_long_and_how_much() -> None:
    group = Frozen(name="battery", points=("soc_pct", "battery_power_w"))
    told = Told(frozen=(group,))
    for _ in range(40):
        assert told.poll(soc_pct=50, battery_power_w=2300) == {}
    found = told.poll(soc_pct=50, battery_power_w=2300)
    assert found["soc_pct"] == "frozen for 40 s while 2.3 kW flows"
    assert told.poll(soc_pct=50, battery_power_w=2301)
    assert told.poll(soc_pct=50, battery_power_w=2302)
    assert told.poll(soc_pct=50, battery_power_w=2303) == {}


def test_a_reconnect_does_not_thaw_what_is_frozen() -> None:
    told = Told(frozen=(Frozen(name="battery", points=("soc_pct",)),))
    for _ in range(41):
        told.poll(soc_pct=50, battery_power_w=2300)
    assert told.poll(after_s=300, soc_pct=50, battery_power_w=2300)


def test_a_battery_at_rest_may_be_still() -> None:
    told = Told(frozen=(Frozen(name="battery", points=("soc_pct",)),))
    for _ in range(500):
        assert told.poll(soc_pct=50, battery_power_w=60) == {}


def test_a_balance_must_be_off_for_some_time_in_one_direction() -> None:
    rule = Balance(
        name="inverter",
        terms={"pv_power_w": 1, "battery_power_w": -1, "active_power_w": -1},
        invalid=("pv_power_w",),
        for_s=3,
    )
    told = Told(balances=(rule,))
    read = {"battery_power_w": 1000.0, "active_power_w": 2000.0}
    swings = [told.poll(pv_power_w=4000 if poll % 2 else 2000, **read) for poll in range(21)]
    assert swings == [{}] * 21
    found = [told.poll(pv_power_w=6000, **read) for _ in range(5)]
    assert [bool(reasons) for reasons in found] == [False, False, False, True, True]
    assert found[-1] == {"pv_power_w": "the balance of inverter is off by 3000"}


def test_what_is_invalid_is_no_evidence_against_others() -> None:
    device, judged = ReadBattery(), Judged()
    for _ in range(20):
        device.step(1.0, 3000)
        judged.check(device.values(), device.now_s)
    spoilt: Values = device.values() | {"battery_voltage_v": 30.0}
    assert list(judged.check(spoilt, device.now_s + 1.0)) == ["battery_voltage_v"]


def test_a_value_of_less_than_good_quality_is_not_looked_at() -> None:
    book = PlausibilityBook(Checkup(Plausibility(rates=(SOC,)), ("a", "soc_pct")))
    book.check([1.0, 50.0], 0, b"\0\0")
    assert book.check([1.0, 90.0], 10**9, b"\0\1") == {}
    assert list(book.check([1.0, 90.0], 2 * 10**9, b"\1\0")) == [1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_named(value: float) -> None:
    book = PlausibilityBook(Checkup(Plausibility(rates=(SOC,)), ("soc_pct",)))
    assert book.check([value], 0) == {0: f"{value} is not a number"}


def test_a_check_whose_points_are_not_there_is_left_out() -> None:
    assert PlausibilityBook(Checkup(LUNA2000, ("soc_pct",))).check([50.0], 0) == {}


def test_checks_that_can_close_a_direction_come_before_the_vitals() -> None:
    unit_2 = {"esu2_soc_pct", "esu2_temperature_c", "esu2_voltage_v", "esu2_power_w"}
    first, rest = LUNA2000.split({"soc_pct", "battery_temperature_c", "battery_power_w"} | unit_2)
    assert [rule.point for rule in first.rates][:2] == ["soc_pct", "esu2_soc_pct"]
    assert "grid_frequency_hz" in [rule.point for rule in rest.rates]
    assert (first.products, first.frozen) == (LUNA2000.products, LUNA2000.frozen)
    assert (first.integrals, rest.integrals) == (LUNA2000.integrals, ())
    assert (first.balances, rest.balances) == ((), LUNA2000.balances)
    assert len(first.counters) + len(rest.counters) == len(LUNA2000.counters)


REFUSED = (
    (lambda: Rate(point="soc_pct", max_per_s=0, step=1), "rates, soc_pct: max_per_s = 0"),
    (lambda: Rate(point="a", max_per_s=math.nan, step=1), "rates, a: max_per_s = nan"),
    (lambda: Counter(point="a", max_per_s=1, step=-1), "counters, a: step = -1"),
    (lambda: Product(rel=2), "products, battery_power_w: rel = 2"),
    (lambda: Product(voltage="x", current="x"), "names a point twice"),
    (lambda: Sign(for_s=-1), "signs, battery_power_w: for_s = -1"),
    (Integral, "give capacity_point or capacity_wh"),
    (lambda: Integral(capacity_wh=1, full_pct=1), "full_pct = 1"),
    (lambda: Frozen(name="b", points=()), "frozen, b: points is empty"),
    (lambda: Balance(name="b", terms={"a": 1}, invalid=("a",)), "needs two points at least"),
    (lambda: Balance(name="b", terms={"a": 1, "c": 0}, invalid=("a",)), "the weight of c is 0"),
    (lambda: Balance(name="b", terms={"a": 1, "c": 1}, invalid=()), "invalid is empty"),
    (lambda: Plausibility(gap_s=0), "plausibility.gap_s = 0"),
    (lambda: Plausibility(clear_polls=0), "plausibility.clear_polls = 0"),
    (lambda: Plausibility(rates=(SOC, SOC)), "soc_pct has two rates or counters; keep one"),
    (lambda: Plausibility(rates=(SOC,)).require_points({"x"}), "rate: 'soc_pct' is not a point"),
)


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_check_that_cannot_work_is_refused_with_its_name_and_the_fix(
    make: object, message: str
) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        make()


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `max_pers`"):
        msgspec.convert({"rates": [{"point": "a", "max_pers": 1}]}, Plausibility)


def test_the_checks_of_the_profile_name_points_that_are_there() -> None:
    LUNA2000.require_points(NAMES)
