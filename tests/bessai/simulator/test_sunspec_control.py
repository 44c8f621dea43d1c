"""What a simulated SunSpec storage does about commands, and that its own timers end them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from bessai.simulator.storage_control import Surroundings
from bessai.simulator.sunspec_control import SunSpecControl

AROUND = Surroundings(
    pv_w=0.0, load_w=980.0, soc_pct=50.0, max_charge_w=5000.0, max_discharge_w=5000.0
)
FREE_W = -1000.0
"""What it does by itself: cover the load."""


def control(
    settings: Mapping[str, float] | None = None, *, rates_are_limits: bool = False
) -> SunSpecControl:
    return SunSpecControl(
        settings or {},
        rated_charge_w=5000.0,
        rated_ac_w=10_000.0,
        rates_are_limits=rates_are_limits,
    )


def storage(mode: int, inward: float, outward: float, timer_s: float = 0) -> dict[str, float]:
    return {
        "124.StorCtl_Mod": mode,
        "124.InWRte": inward,
        "124.OutWRte": outward,
        "124.InOutWRte_RvrtTms": timer_s,
    }


def immediate(watts: float, timer_s: float = 0, after_w: float = 0) -> dict[str, float]:
    return {
        "704.WSetEna": 1,
        "704.WSet": watts,
        "704.WSetRvrt": after_w,
        "704.WSetRvrtTms": timer_s,
    }


@pytest.mark.parametrize(
    ("mode", "inward", "outward", "power_w"),
    [
        (0, 100, 100, FREE_W),
        (1, 40, 0, 2000.0),
        (2, 0, 60, -3000.0),
        (3, 100, 10, -500.0),
    ],
)
def test_a_rate_that_is_active_is_the_power(
    mode: int, inward: float, outward: float, power_w: float
) -> None:
    subject = control()
    subject.apply(storage(mode, inward, outward))
    assert subject.target_w(AROUND) == pytest.approx(power_w)


@pytest.mark.parametrize(
    ("mode", "inward", "outward", "power_w"),
    [
        (1, 40, 0, FREE_W),  # only a limit
        (3, 50, -50, 2500.0),
        (3, -50, 50, -2500.0),
        (2, 100, 0, 0.0),  # hold
    ],
)
def test_where_rates_are_limits_a_negative_one_forces(
    mode: int, inward: float, outward: float, power_w: float
) -> None:
    subject = control(rates_are_limits=True)
    subject.apply(storage(mode, inward, outward))
    assert subject.target_w(AROUND) == pytest.approx(power_w)


def test_watts_are_those_of_the_device_at_the_grid() -> None:
    subject = control()
    subject.apply(immediate(-3000))
    assert subject.target_w(AROUND) == pytest.approx(3000 * 0.98)
    sunny = msgspec.structs.replace(AROUND, pv_w=1000.0)
    assert subject.target_w(sunny) == pytest.approx(3000 * 0.98 + 1000)


def test_percent_of_704_are_of_the_devices_rating() -> None:
    subject = control()
    subject.apply({"704.WSetMod": 0, "704.WSetPct": 49, "704.WSetEna": 1})
    assert subject.target_w(AROUND) == pytest.approx(-5000)


def test_watts_go_before_rates() -> None:
    subject = control()
    subject.apply(storage(1, 40, 0) | immediate(980))
    assert subject.target_w(AROUND) == pytest.approx(-1000)


def test_the_timer_of_rates_ends_them() -> None:
    subject = control()
    subject.apply(storage(1, 40, 0, timer_s=300))
    subject.step(299)
    assert subject.forced == 1
    subject.step(1)
    assert subject.forced == 0
    assert subject.settings["124.InWRte"] == 100
    assert subject.target_w(AROUND) == pytest.approx(FREE_W)


def test_a_write_starts_the_timer_again() -> None:
    subject = control()
    subject.apply(storage(1, 40, 0, timer_s=300))
    subject.step(299)
    subject.apply({"124.InWRte": 40})
    subject.step(299)
    assert subject.forced == 1


def test_without_a_timer_nothing_ends_a_command() -> None:
    subject = control()
    subject.apply(storage(1, 40, 0))
    subject.step(1e6)
    assert subject.forced == 1


def test_the_timer_of_watts_falls_back_to_what_was_set_for_it() -> None:
    subject = control()
    subject.apply(immediate(-3000, timer_s=60))
    subject.step(60)
    assert (subject.settings["704.WSetEna"], subject.settings["704.WSet"]) == (0, 0)
    subject.apply({"704.WSetEnaRvrt": 1} | immediate(-3000, timer_s=60, after_w=500))
    subject.step(60)
    assert (subject.settings["704.WSetEna"], subject.settings["704.WSet"]) == (1, 500)


def test_a_minute_of_a_timer_may_be_shorter() -> None:
    subject = SunSpecControl({}, rated_charge_w=5000, rated_ac_w=10_000, countdown_s_per_min=1.0)
    subject.apply(storage(1, 40, 0, timer_s=300))
    subject.step(5.0)
    assert subject.forced == 0


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("124.StorCtl_Mod", 4, False),
        ("124.InWRte", 100, True),
        ("124.InWRte", 100.01, False),
        ("124.OutWRte", -100, True),
        ("124.ChaGriSet", 2, False),
        ("704.WSet", -10_000, True),
        ("704.WSet", 10_001, False),
        ("704.WSetMod", 2, False),
    ],
)
def test_what_is_out_of_range_is_not_accepted(name: str, value: float, accepted: bool) -> None:  # noqa: FBT001
    assert control().in_range(name, value) is accepted


def test_charging_from_the_grid_may_be_forbidden() -> None:
    subject = control({"124.ChaGriSet": 0})
    subject.apply(storage(1, 100, 0))
    assert subject.target_w(AROUND) == 0
    assert subject.target_w(msgspec.structs.replace(AROUND, pv_w=700.0)) == 700


def test_the_reserve_is_not_discharged() -> None:
    subject = control()
    subject.apply(storage(2, 0, 100))
    assert subject.target_w(msgspec.structs.replace(AROUND, soc_pct=5.0)) == 0


def test_an_unknown_setting_is_named() -> None:
    with pytest.raises(ValueError, match="unknown setting"):
        control({"124.Nonsense": 1})
