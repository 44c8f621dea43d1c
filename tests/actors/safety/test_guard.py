from __future__ import annotations

import math
from typing import Any

import pytest

from actors.messages import Ruling, SafetyState, Vitals
from actors.safety.config import DeviceLimits
from actors.safety.guard import Assessment, PowerBound, SafetyGuard, Setpoint, Verdict
from actors.safety.inputs import INPUTS
from supervision.clock import NS_PER_S
from tests.actors.safety.guarded import Guarded
from tests.actors.safety.measured import DEVICE, EPOCH, vitals


def _ns(second: float) -> int:
    return int(second * NS_PER_S)


class _Site:
    """A guard that is fed one measurement every tenth of a second."""

    def __init__(self, **limits: Any) -> None:
        self.guard = SafetyGuard({DEVICE: DeviceLimits(**limits)})
        self.seq = 0
        self.second = 1000.0

    def measure(self, **changes: Any) -> Assessment:
        self.seq += 1
        self.second += 0.1
        measured = vitals(at_s=self.second, **({"seq": self.seq} | changes))
        return self.guard.observe(measured, _ns(self.second))

    def settle(self, **changes: Any) -> Assessment:
        return [self.measure(**changes) for _ in range(3)][-1]

    def check(self, power_w: float, assessment: Assessment) -> Verdict:
        return self.guard.check_safety(Setpoint(DEVICE, power_w), assessment, _ns(self.second))


def _rules(assessment: Assessment) -> set[str]:
    return {holding.rule for holding in assessment.holdings}


@pytest.mark.rule("starting")
def test_a_device_opens_after_enough_good_measurements() -> None:
    site = _Site()

    states = [site.measure().state for _ in range(3)]

    assert states == [SafetyState.STARTING, SafetyState.STARTING, SafetyState.NORMAL]


def test_a_bad_measurement_begins_the_count_of_good_ones_anew() -> None:
    site = _Site()

    states = [site.measure(soc_pct=soc).state for soc in (50.0, 50.0, None, 50.0, 50.0)]

    assert set(states) == {SafetyState.STARTING}


def test_nothing_is_open_before_the_first_measurement() -> None:
    assessment = _Site().guard.evaluate(DEVICE, 0)

    assert not assessment.may_charge
    assert not assessment.may_discharge
    assert _rules(assessment) == {"stale", "starting"}


@pytest.mark.parametrize(
    ("changes", "rule", "may_charge", "may_discharge"),
    [
        ({"soc_pct": 5.0}, "soc_min", True, False),
        ({"soc_pct": 98.0}, "soc_max", False, True),
        ({"battery_temperature_c": 0.0}, "charge_cold", False, True),
        ({"battery_temperature_c": 50.0}, "charge_hot", False, False),
        ({"battery_temperature_c": -10.0}, "discharge_cold", False, False),
        ({"soc_pct": 50.0, "soc_high_pct": 98.0}, "soc_max", False, True),
        ({"soc_pct": 5.0, "soc_high_pct": 60.0}, "soc_min", True, False),
        ({"battery_temperature_low_c": 0.0}, "charge_cold", False, True),
        (
            {"battery_temperature_c": 50.0, "battery_temperature_low_c": 20.0},
            "charge_hot",
            False,
            False,
        ),
        ({"max_charge_w": 0.0}, "device_charge_limit", False, True),
        ({"max_discharge_w": 0.0}, "device_discharge_limit", True, False),
    ],
)
def test_a_value_at_its_limit_closes_the_direction_concerned(
    changes: dict[str, float], rule: str, *, may_charge: bool, may_discharge: bool
) -> None:
    assessment = _Site().settle(**changes)

    assert assessment.state is SafetyState.LIMITED
    assert (assessment.may_charge, assessment.may_discharge) == (may_charge, may_discharge)
    assert rule in _rules(assessment)


@pytest.mark.rule(
    "input_soc_pct",
    "input_battery_temperature_c",
    "input_battery_power_w",
    "input_max_charge_w",
    "input_max_discharge_w",
)
@pytest.mark.parametrize(
    ("point", "bad", "may_charge", "may_discharge"),
    [
        ("soc_pct", None, False, False),
        ("soc_pct", math.nan, False, False),
        ("soc_pct", "50", False, False),
        ("soc_pct", 6553.5, False, False),
        ("battery_temperature_c", math.inf, False, False),
        ("battery_temperature_c", -100.0, False, False),
        ("battery_power_w", True, False, False),
        ("battery_power_w", 2147483647.0, False, False),
        ("soc_high_pct", math.nan, False, False),
        ("battery_temperature_low_c", -100.0, False, False),
        ("max_charge_w", None, False, True),
        ("max_charge_w", -1.0, False, True),
        ("max_discharge_w", None, True, False),
        ("max_discharge_w", -math.inf, True, False),
    ],
)
def test_an_untrusted_value_closes_the_direction_concerned_and_says_so(
    point: str, bad: object, *, may_charge: bool, may_discharge: bool
) -> None:
    site = _Site()
    site.settle()

    assessment = site.measure(**{point: bad})

    assert (assessment.may_charge, assessment.may_discharge) == (may_charge, may_discharge)
    (rule,) = assessment.rules
    vital = {"soc_high_pct": "soc_pct", "battery_temperature_low_c": "battery_temperature_c"}
    assert rule.startswith(f"input_{vital.get(point, point)}: ")
    assert ("both directions" in rule) == (not may_charge and not may_discharge)


def test_the_devices_own_reason_for_a_missing_value_is_passed_on() -> None:
    site = _Site()
    site.settle()

    assessment = site.measure(soc_pct=None, faults=("soc_pct: sentinel 0xFFFF",))

    assert assessment.rules == ("input_soc_pct: sentinel 0xFFFF, closes both directions",)


@pytest.mark.rule("soc_min")
def test_a_direction_opens_again_only_beyond_the_hysteresis() -> None:
    site = _Site()
    site.settle()

    opened = [site.measure(soc_pct=soc).may_discharge for soc in (5.1, 5.0, 6.9, 7.0, 5.1)]

    assert opened == [True, False, False, True, True]


@pytest.mark.rule("soc_min", "soc_max")
def test_within_the_hysteresis_a_restart_does_not_open_what_may_have_been_closed() -> None:
    assert not _Site().settle(soc_pct=6.0).may_discharge
    assert not _Site().settle(soc_pct=97.0).may_charge


def test_a_hysteresis_does_not_forget_while_the_value_is_missing() -> None:
    site = _Site()
    site.settle()

    opened = [site.measure(soc_pct=soc).may_charge for soc in (98.0, None, 97.0, 96.0)]

    assert opened == [False, False, False, True]


@pytest.mark.parametrize("temperature_c", [55.0, 60.0, -20.0])
def test_a_hard_temperature_limit_trips_and_stays_tripped(temperature_c: float) -> None:
    site = _Site()
    site.settle()

    first = site.measure(battery_temperature_c=temperature_c)
    later = site.settle()

    assert first.trip is not None
    assert later.trip is None
    assert first.state is later.state is SafetyState.TRIPPED
    assert not later.may_charge
    assert not later.may_discharge


def test_a_trip_is_seen_in_the_very_first_measurement() -> None:
    assessment = _Site().measure(battery_temperature_c=80.0)

    assert assessment.trip is not None
    assert assessment.trip.text.startswith("trip_hot: 80.0 degC")


@pytest.mark.rule("trip")
def test_a_restored_trip_holds_from_the_beginning() -> None:
    guard = SafetyGuard({DEVICE: DeviceLimits()}, {DEVICE: "too hot yesterday"})

    assessment = guard.evaluate(DEVICE, 0)

    assert assessment.state is SafetyState.TRIPPED
    assert assessment.rules[0] == "trip: too hot yesterday"


@pytest.mark.rule("stale")
def test_a_stale_measurement_closes_both_directions_and_starting_begins_anew() -> None:
    site = _Site()
    site.settle()

    fresh = site.guard.evaluate(DEVICE, _ns(site.second + 4.9))
    stale = site.guard.evaluate(DEVICE, _ns(site.second + 5.1))
    site.second += 5.1
    again = site.measure()

    assert fresh.state is SafetyState.NORMAL
    assert _rules(stale) == {"stale", "starting"}
    assert stale.power_w is None
    assert again.state is SafetyState.STARTING


@pytest.mark.rule("order")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seq": 3}, "sequence 3 after 3"),
        ({"seq": 1}, "sequence 1 after 3"),
        ({"epoch": EPOCH - 1}, "incarnation 6 after 7"),
        ({"mono_ns": _ns(1000)}, "before the last"),
        ({"mono_ns": _ns(2000)}, "in the future"),
    ],
)
def test_a_measurement_out_of_order_is_unsafe(changes: dict[str, int], words: str) -> None:
    site = _Site()
    site.settle()

    assessment = site.measure(**changes)
    later = site.measure()

    assert not assessment.may_charge
    assert not assessment.may_discharge
    assert words in assessment.rules[0]
    assert _rules(later) == {"starting"}


@pytest.mark.rule("clock")
def test_a_clock_that_goes_backwards_is_unsafe() -> None:
    site = _Site()
    site.settle()

    back = site.guard.evaluate(DEVICE, _ns(site.second - 0.05))

    assert _rules(back) == {"clock", "starting"}


def test_a_new_incarnation_of_the_inverter_actor_starts_over() -> None:
    site = _Site()
    site.settle()
    site.seq = 0

    assert site.measure(epoch=EPOCH + 1).state is SafetyState.STARTING


@pytest.mark.rule("link")
def test_a_lost_link_closes_both_directions_until_the_next_measurement() -> None:
    site = _Site()
    site.settle()

    site.guard.observe_link(DEVICE, "offline timeout", _ns(site.second))
    lost = site.guard.evaluate(DEVICE, _ns(site.second))
    back = site.measure()

    assert "link: offline timeout" in lost.rules
    assert _rules(back) == {"starting"}


def test_vitals_without_a_single_value_do_not_prove_that_the_link_is_back() -> None:
    site = _Site()
    site.settle()
    nothing = dict.fromkeys((wanted.point for wanted in INPUTS), None)

    site.guard.observe_link(DEVICE, "offline timeout", _ns(site.second))
    lost = site.measure(**nothing)

    assert _rules(lost) == {"link", "starting"}


def test_a_lost_link_before_the_first_measurement_is_told() -> None:
    site = _Site()

    site.guard.observe_link(DEVICE, "connecting", 0)

    assert "link: connecting" in site.guard.evaluate(DEVICE, 1).rules


@pytest.mark.rule("power_limit")
def test_power_is_clamped_to_the_smaller_of_the_configured_and_the_devices_own_limit() -> None:
    site = _Site(max_discharge_w=2500.0)
    assessment = site.settle()

    charge, discharge = site.check(9000.0, assessment), site.check(-9000.0, assessment)

    assert (charge.ruling, charge.power_w, charge.limit) == (Ruling.CLAMPED, 3000.0, 3000.0)
    assert (discharge.ruling, discharge.power_w) == (Ruling.CLAMPED, -2500.0)
    assert discharge.value == -9000.0


def test_power_within_the_limits_is_allowed_as_asked() -> None:
    site = _Site()
    assessment = site.settle()

    for power_w in (-4000.0, -1.0, 0.0, 3000.0):
        verdict = site.check(power_w, assessment)
        assert (verdict.ruling, verdict.power_w) == (Ruling.ALLOWED, power_w)


def test_a_closed_direction_is_denied_and_the_other_allowed() -> None:
    site = _Site()
    assessment = site.settle(soc_pct=4.0)

    denied = site.check(-1000.0, assessment)

    assert (denied.ruling, denied.rule, denied.power_w) == (Ruling.DENIED, "soc_min", 0.0)
    assert "4.0 %" in denied.detail
    assert site.check(1000.0, assessment).ruling is Ruling.ALLOWED
    assert site.check(0.0, assessment).ruling is Ruling.ALLOWED


@pytest.mark.parametrize("power_w", [math.nan, math.inf, -math.inf])
def test_a_power_that_is_no_number_is_denied(power_w: float) -> None:
    site = _Site()

    assert site.check(power_w, site.settle()).rule == "power_finite"


def test_even_zero_is_denied_while_starting_tripped_or_stale() -> None:
    site = _Site()
    starting = site.measure()
    normal = site.settle()
    tripped = site.measure(battery_temperature_c=70.0)

    assert site.check(0.0, starting).rule == "starting"
    assert site.check(0.0, tripped).rule == "tripped"
    site.second += 6
    assert site.check(0.0, normal).rule == "stale"


def test_an_assessment_of_another_device_decides_nothing() -> None:
    site = _Site()
    assessment = site.settle()

    verdict = SafetyGuard.check_safety(Setpoint("inv-2", 0.0), assessment, _ns(site.second))

    assert (verdict.ruling, verdict.rule) == (Ruling.DENIED, "device")


def test_an_unknown_device_is_nobodys() -> None:
    stranger = Vitals(device_id="stranger", seq=1, epoch=1, wall_ns=0, mono_ns=0)

    with pytest.raises(KeyError):
        _Site().guard.observe(stranger, 0)


def test_an_assessment_tells_what_was_measured_only_while_it_counts() -> None:
    site = _Site()
    nothing = site.guard.evaluate(DEVICE, _ns(site.second))
    known = site.settle(battery_power_w=-1500.0, forced=True)
    blind = site.guard.evaluate(DEVICE, _ns(site.second + 6))

    assert (nothing.power_w, nothing.forced) == (None, None)
    assert (nothing.inverter_epoch, nothing.valid_until_ns) == (0, 0)
    assert (known.power_w, known.forced, known.inverter_epoch) == (-1500.0, True, EPOCH)
    assert known.valid_until_ns == _ns(site.second) + _ns(5)
    assert (blind.power_w, blind.forced, blind.inverter_epoch) == (None, None, EPOCH)


def test_what_is_closed_has_no_power_left() -> None:
    closed = _Site().measure()
    full = _Site().settle(soc_pct=99.0)

    assert closed.charge == closed.discharge == PowerBound(0.0, "closed")
    assert (full.charge, full.discharge) == (
        PowerBound(0.0, "closed"),
        PowerBound(4000.0, "power_limit"),
    )


def test_only_the_first_trip_latches_and_it_is_told_once() -> None:
    site = _Site()
    site.settle()

    hot = site.measure(battery_temperature_c=56.0, battery_temperature_low_c=-21.0)
    cold = site.measure(battery_temperature_c=-21.0)

    assert hot.trip is not None
    assert hot.trip.rule == "trip_cold"
    assert cold.trip is None
    assert cold.holdings[0] == hot.trip
    assert hot.trip.commands


def test_a_measurement_in_the_moment_of_the_last_is_in_order() -> None:
    site = _Site()
    site.settle()
    same_ns = _ns(site.second)

    assert site.measure(mono_ns=same_ns).state is SafetyState.NORMAL


def test_a_link_that_was_lost_in_the_moment_of_a_measurement_is_lost() -> None:
    site = _Site()
    site.settle()

    site.guard.observe_link(DEVICE, "offline", _ns(site.second))
    lost = site.guard.evaluate(DEVICE, _ns(site.second))
    site.guard.observe_link(DEVICE, "", _ns(site.second))
    back = site.guard.evaluate(DEVICE, _ns(site.second))

    assert _rules(lost) == {"link", "starting"}
    assert _rules(back) == {"starting"}


def test_a_measurement_counts_up_to_its_age_and_not_beyond() -> None:
    site = _Site()
    site.settle()
    ends_ns = _ns(site.second) + _ns(5)

    assert site.guard.evaluate(DEVICE, ends_ns).state is SafetyState.NORMAL
    assert "stale" in _rules(site.guard.evaluate(DEVICE, ends_ns + 1))


def test_the_figures_of_what_is_late_or_early_are_seconds() -> None:
    site = _Site()
    site.settle()
    then_ns = _ns(site.second)

    stale = site.guard.evaluate(DEVICE, then_ns + _ns(7.5))
    back = site.guard.evaluate(DEVICE, then_ns + _ns(5.0))
    early = site.measure(mono_ns=_ns(site.second) - _ns(2.0))

    assert "stale: measured 7.5 s ago, limit 5 s" in stale.rules
    assert "clock: the clock went back by 2.500 s" in back.rules
    assert "order: measured 2.000 s before the last" in early.rules


def test_an_old_incarnation_is_out_of_order_and_a_later_sequence_of_it_too() -> None:
    site = _Site()
    site.settle()

    assert "incarnation 6 after 7" in site.measure(seq=99, epoch=EPOCH - 1).rules[0]


def test_a_trip_is_kept_by_the_first_thing_that_speaks_for_it() -> None:
    guarded = Guarded(good_cycles=3)
    guarded.measure(battery_temperature_c=55.0)
    guarded.guard.latch(DEVICE, "trip_hot: 55.0 degC")

    def why(**changes: Any) -> str:
        guarded.measure(**changes)
        return guarded.guard.why_tripped(DEVICE, guarded.now_ns)

    assert why(battery_temperature_c=55.1).startswith("trip_hot: 55.1 degC")
    assert why(battery_temperature_c=55.1, soc_pct=None).startswith("input_soc_pct")
    assert why(battery_temperature_c=54.9) == "1 of 3 good measurements"
    stops = {"battery_temperature_c": 54.9, "grid_voltage_v": 100.0}  # and does not trip
    assert why(**stops) == "2 of 3 good measurements"
    assert why(battery_temperature_c=54.9) == ""


def test_a_trip_that_is_ended_starts_over() -> None:
    guarded = Guarded(good_cycles=3)
    guarded.hold(5)
    guarded.guard.latch(DEVICE, "trip_hot: 55.0 degC")
    assert guarded.measure().state is SafetyState.TRIPPED
    guarded.guard.unlatch(DEVICE)
    assert [guarded.measure().state for _ in range(3)] == [
        SafetyState.STARTING,
        SafetyState.STARTING,
        SafetyState.NORMAL,
    ]


def test_without_a_band_power_is_whole_up_to_the_limit_and_beyond_it_none() -> None:
    guarded = Guarded(soc_max_band_pct=0.0)
    guarded.measure()
    assert guarded.measure(soc_pct=97.9).charge.limit_w == 3000.0
    assert guarded.measure(soc_pct=98.0).charge.limit_w == 0.0
