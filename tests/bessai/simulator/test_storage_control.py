"""The vendor's semantics of working modes, forced commands and caps."""

import pytest

from bessai.simulator.plant import INVERTER_EFFICIENCY
from bessai.simulator.storage_control import ForcedMode, StorageControl, Surroundings


def around(**changes: float) -> Surroundings:
    base = {"pv_w": 0.0, "load_w": 0.0, "soc_pct": 50.0}
    limits = {"max_charge_w": 5000.0, "max_discharge_w": 5000.0}
    return Surroundings(**(base | limits | changes))


def control(**settings: float) -> StorageControl:
    return StorageControl(settings, countdown_s_per_min=60.0)


def charging(minutes: float = 2, power_w: float = 3000, **settings: float) -> StorageControl:
    forced = control(**settings)
    forced.apply({"forced_period_min": minutes, "forced_charge_power_w": power_w})
    forced.apply({"forced_mode": ForcedMode.CHARGE})
    return forced


def test_a_forced_charge_counts_down_and_falls_back_by_itself() -> None:
    forced = charging(minutes=2)
    assert (forced.active_mode, forced.remaining_min) == (1, 2)
    forced.step(61, 50)
    assert (forced.active_mode, forced.remaining_min) == (1, 1)
    forced.step(59, 50)
    assert (forced.forced, forced.active_mode, forced.remaining_min) == (ForcedMode.STOP, 4, 0)
    assert forced.target_w(around()) == 0.0


def test_writing_the_command_again_restarts_the_countdown() -> None:
    forced = charging(minutes=2)
    forced.step(100, 50)
    forced.apply({"forced_mode": ForcedMode.CHARGE})
    forced.step(100, 50)
    assert forced.forced is ForcedMode.CHARGE


def test_a_forced_command_without_minutes_ends_at_once() -> None:
    assert charging(minutes=0).forced is ForcedMode.STOP


def test_stop_ends_the_command_at_once() -> None:
    forced = charging()
    forced.apply({"forced_mode": ForcedMode.STOP})
    assert (forced.active_mode, forced.remaining_min) == (4, 0)


def test_a_forced_discharge_is_negative_power() -> None:
    forced = control(forced_period_min=1, forced_discharge_power_w=2000)
    forced.apply({"forced_mode": ForcedMode.DISCHARGE})
    assert forced.target_w(around()) == -2000


def test_soc_mode_has_no_timeout_and_ends_at_the_target() -> None:
    forced = charging(minutes=0, forced_setting_mode=1, forced_target_soc_pct=80)
    forced.step(1_000_000, 79.9)
    assert (forced.forced, forced.remaining_min) == (ForcedMode.CHARGE, 0)
    forced.step(1, 80)
    assert forced.forced is ForcedMode.STOP


def test_without_grid_charge_only_pv_charges() -> None:
    forced = charging(charge_from_grid=0)
    assert forced.target_w(around()) == 0
    assert forced.target_w(around(pv_w=1200)) == 1200


def test_grid_charge_stops_at_its_own_cutoff_and_keeps_its_own_ceiling() -> None:
    forced = charging(grid_charge_cutoff_soc_pct=50, grid_charge_power_w=700)
    assert forced.target_w(around(soc_pct=49)) == 700
    assert forced.target_w(around(soc_pct=50)) == 0


def test_caps_and_cutoffs_bound_every_mode() -> None:
    assert charging(max_charging_power_w=1000).target_w(around()) == 1000
    assert charging(charging_cutoff_soc_pct=90).target_w(around(soc_pct=90)) == 0
    hold = control(max_discharging_power_w=0)
    assert hold.target_w(around(load_w=3000)) == 0
    assert control().target_w(around(load_w=3000, soc_pct=5)) == 0


def test_self_consumption_follows_load_and_pv() -> None:
    mode = control()
    assert mode.target_w(around(pv_w=3000)) == 3000
    assert mode.target_w(around(load_w=980)) == pytest.approx(-980 / INVERTER_EFFICIENCY)
    assert control(working_mode=4).target_w(around(pv_w=3000)) == 0


def test_remote_scheduling_overrides_a_forced_command_and_shows_in_the_read_back() -> None:
    forced = charging(remote_control_mode=1)
    assert forced.active_mode == 7
    assert forced.target_w(around()) == 0


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("forced_charge_power_w", 5000, True),
        ("forced_charge_power_w", 5001, False),
        ("forced_discharge_power_w", 5001, False),
        ("max_charging_power_w", 5001, False),
        ("forced_mode", 3, False),
        ("forced_period_min", 1441, False),
        ("grid_charge_power_w", 5001, False),
        ("charging_cutoff_soc_pct", 89, False),
    ],
)
def test_writes_are_checked_against_static_and_dynamic_ranges(
    name: str, value: float, *, accepted: bool
) -> None:
    assert control().in_range(name, value, around()) is accepted


def test_an_unknown_setting_is_refused_with_the_valid_names() -> None:
    with pytest.raises(ValueError, match="working_mode"):
        control(mode=1)
