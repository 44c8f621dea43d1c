from __future__ import annotations

from typing import Any

import pytest

from actors.messages import Ruling, SafetyState, Vitals
from actors.safety.config import DeviceLimits, SafetyConfig, SiteLimits
from actors.safety.guard import SafetyGuard
from actors.safety.site import UNLIMITED, SiteView, SiteWatch
from supervision.clock import NS_PER_S
from tests.actors.safety.guarded import Guarded, rules_of
from tests.actors.safety.measured import DEVICE, vitals

METERED = (DEVICE,)
IMPORT = SiteLimits(import_max_w=10_000.0, meters=METERED)
EXPORT = SiteLimits(export_max_w=4000.0, meters=METERED)


@pytest.mark.rule("site_import_room")
def test_charging_is_led_to_what_the_connection_has_room_for() -> None:
    guarded = Guarded(site=IMPORT)

    assessment = guarded.measure(grid_power_w=8000.0, battery_power_w=1000.0)
    verdict = guarded.check(3000.0, assessment)

    assert assessment.charge == (2500.0, "site_import_room")
    assert assessment.discharge_limit_w == 4000.0
    assert (verdict.ruling, verdict.rule, verdict.power_w) == (
        Ruling.CLAMPED,
        "site_import_room",
        2500.0,
    )


@pytest.mark.rule("site_export_room")
def test_discharging_is_led_to_what_the_connection_has_room_for() -> None:
    assessment = Guarded(site=EXPORT).measure(grid_power_w=-3000.0, battery_power_w=-1000.0)

    assert assessment.discharge == (1800.0, "site_export_room")
    assert assessment.charge_limit_w == 3000.0


def test_where_less_must_be_imported_nothing_is_left_to_charge_with() -> None:
    guarded = Guarded(site=IMPORT)
    guarded.measure(grid_power_w=0.0)

    assert guarded.measure(grid_power_w=9900.0).charge == (0.0, "site_import_room")
    assert guarded.measure(grid_power_w=9900.0, battery_power_w=1000.0).charge_limit_w == 600.0


def test_the_room_is_shared_equally_among_the_devices() -> None:
    assessment = Guarded(site=IMPORT, devices=4).measure(grid_power_w=8000.0)

    assert assessment.charge == (375.0, "site_import_room")


@pytest.mark.rule("site_import")
def test_import_at_the_limit_closes_charging_until_it_is_where_it_is_led_to() -> None:
    guarded = Guarded(site=IMPORT)
    flows = (9400.0, 9999.0, 10_000.0, 9501.0, 9500.0, 9999.0)

    seen = [guarded.measure(grid_power_w=flow) for flow in flows]

    assert [each.may_charge for each in seen] == [True, True, False, False, True, True]
    assert all(each.may_discharge for each in seen)
    assert seen[2].rules == ("site_import: 10000 W, limit at or above 10000 W",)


@pytest.mark.rule("site_export")
def test_export_at_the_limit_closes_discharging() -> None:
    guarded = Guarded(site=EXPORT)

    seen = [guarded.measure(grid_power_w=flow) for flow in (-3800.0, -4000.0, -3801.0, -3800.0)]

    assert [each.may_discharge for each in seen] == [True, False, False, True]
    assert all(each.may_charge for each in seen)
    assert seen[1].rules == ("site_export: 4000 W, limit at or above 4000 W",)


def test_near_a_limit_a_restart_opens_nothing() -> None:
    assert not Guarded(site=IMPORT).measure(grid_power_w=9501.0).may_charge
    assert not Guarded(site=EXPORT).measure(grid_power_w=-3801.0).may_discharge


@pytest.mark.rule("site_import")
def test_a_site_that_must_not_charge_from_the_grid_charges_from_a_surplus_alone() -> None:
    guarded = Guarded(site=SiteLimits(import_max_w=0.0, meters=METERED))

    surplus = guarded.measure(grid_power_w=-2000.0)
    none = guarded.measure(grid_power_w=0.0)

    assert surplus.charge == (1900.0, "site_import_room")
    assert not none.may_charge


@pytest.mark.rule("site_import", "site_export")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "missing"),
        ({"absent": ("grid_power_w",)}, "missing"),
        ({"grid_power_w": float("nan")}, "is nan"),
        ({"grid_power_w": 1e9}, "outside"),
        ({"faults": ("grid_power_w: not read: meter_status is unknown",)}, "meter_status"),
        ({"grid_power_w": 0.0, "grid_mono_ns": 0}, "ago"),
    ],
)
def test_a_meter_that_is_not_known_closes_what_is_limited(
    changes: dict[str, Any], words: str
) -> None:
    limits = {"grid_frequency_hz": None, "grid_voltage_v": None}
    grid = {"absent": ("grid_frequency_hz", "grid_voltage_v", *changes.get("absent", ()))}

    imported = Guarded(site=IMPORT).measure(**limits, **changes | grid)
    exported = Guarded(site=EXPORT).measure(**limits, **changes | grid)
    free = Guarded().measure(**limits, **changes | grid)

    assert (imported.may_charge, imported.may_discharge) == (False, True)
    assert (exported.may_charge, exported.may_discharge) == (True, False)
    assert words in imported.rules[0]
    assert DEVICE in imported.rules[0]
    assert free.state is SafetyState.NORMAL


def test_the_meters_of_several_devices_are_added_up_and_each_must_be_fresh() -> None:
    site = SiteLimits(import_max_w=10_000.0, meters=("a", "b"))
    guard = SafetyGuard(dict.fromkeys("abc", DeviceLimits(good_cycles=1)), site=site)

    def measure(device: str, at_s: float, power_w: float | None) -> set[str]:
        at_ns = int(at_s * NS_PER_S)
        told = vitals(
            int(at_s * 10),
            at_s=at_s,
            device_id=device,
            grid_power_w=power_w,
            grid_mono_ns=at_ns,
        )
        return rules_of(guard.observe(told, at_ns))

    assert measure("a", 1.0, 6000.0) == {"site_import"}
    assert measure("b", 2.0, 2000.0) == set()
    assert measure("c", 3.0, 9e6) == set()
    assert guard.site_closed == (False, False)
    assert measure("b", 4.0, 4000.0) == {"site_import"}
    assert guard.site_closed == (True, False)
    assert measure("b", 5.0, 1000.0) == set()
    assert measure("b", 6.5, 1000.0) == {"site_import"}  # that of a is too old


def test_a_meter_is_as_old_as_the_least_patient_of_the_devices_that_have_one() -> None:
    ages_s = {"a": 4.0, "b": 8.0, "c": 1.0}
    limits = {name: DeviceLimits(good_cycles=1, stale_after_s=age) for name, age in ages_s.items()}
    guard = SafetyGuard(limits, site=SiteLimits(import_max_w=9000.0, meters=("a", "b")))
    for name in "ab":
        told = vitals(1, device_id=name, at_s=1, grid_power_w=0.0, grid_mono_ns=NS_PER_S)
        guard.observe(told, NS_PER_S)

    def closing(at_s: int) -> set[str]:
        told = vitals(at_s, device_id="c", at_s=at_s)
        return rules_of(guard.observe(told, at_s * NS_PER_S))

    assert [closing(at_s) for at_s in (3, 5, 6)] == [set(), set(), {"site_import"}]


def _told(seq: int, at_ns: int, power_w: float | None = 6000.0) -> Vitals:
    return vitals(seq, grid_power_w=power_w, mono_ns=at_ns, grid_mono_ns=at_ns)


def test_a_meter_is_known_up_to_its_age_and_then_there_is_no_room() -> None:
    watch = SiteWatch(IMPORT, devices=2, stale_ns=2 * NS_PER_S)
    assert watch.closed == (True, True)
    watch.note(_told(1, NS_PER_S))

    known, unknown = watch.view(3 * NS_PER_S), watch.view(3 * NS_PER_S + 100_000_000)

    assert known == SiteView(1750.0, None, ())
    assert (unknown.charge_room_w, unknown.discharge_room_w) == (0.0, None)
    assert unknown.holdings[0].figures == "the meter of inv-1 was read 2.1 s ago"
    assert watch.closed == (True, False)


def test_a_limit_without_a_meter_closes_its_direction() -> None:
    view = SiteWatch(SiteLimits(export_max_w=1.0), devices=1, stale_ns=0).view(0)

    assert view.holdings[0].text == "site_export: no meter measures the connection"
    assert view.discharge_room_w == 0.0
    assert view.holdings[0].closes_discharge
    assert not view.holdings[0].closes_charge


def test_without_a_limit_nothing_is_looked_at() -> None:
    assert SiteWatch(SiteLimits(meters=METERED), devices=1, stale_ns=0).view(0) is UNLIMITED


def test_the_room_of_no_device_is_that_of_one() -> None:
    watch = SiteWatch(IMPORT, devices=0, stale_ns=NS_PER_S)
    watch.note(_told(1, 1))

    assert watch.view(1).charge_room_w == 3500.0


def test_a_measurement_out_of_order_says_nothing_of_the_meter() -> None:
    guard = SafetyGuard(
        dict.fromkeys("ab", DeviceLimits(good_cycles=1)),
        site=SiteLimits(import_max_w=9000.0, meters=("a",)),
    )

    def import_told(seq: int, power_w: float) -> bool:
        told = vitals(seq, device_id="a", at_s=1, grid_power_w=power_w, grid_mono_ns=NS_PER_S)
        guard.observe(told, NS_PER_S)
        other = guard.observe(vitals(seq, device_id="b", at_s=1), NS_PER_S)
        return "site_import" in {holding.rule for holding in other.holdings}

    assert [import_told(5, 20_000.0), import_told(6, 0.0)] == [True, False]
    guard.observe(
        vitals(7, device_id="a", at_s=1, grid_power_w=20_000.0, grid_mono_ns=NS_PER_S), NS_PER_S
    )
    guard.observe(
        vitals(7, device_id="a", at_s=1, grid_power_w=0.0, grid_mono_ns=NS_PER_S), NS_PER_S
    )

    assert "site_import" in rules_of(guard.observe(vitals(7, device_id="b", at_s=1), NS_PER_S))


def _configured(**fields: Any) -> SafetyConfig:
    usual: dict[str, Any] = {
        "state_dir": "s",
        "devices": {"a": DeviceLimits(), "b": DeviceLimits()},
    }
    return SafetyConfig(**(usual | fields))


def test_a_limit_that_nobody_measures_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"site_import_max_w = 1.0 is not allowed: expected site_meters"
    ):
        _configured(site_import_max_w=1.0)


def test_the_meter_of_the_only_device_is_meant_without_being_named() -> None:
    alone = _configured(devices={"a": DeviceLimits()}, site_export_max_w=0.0)

    assert alone.site == SiteLimits(export_max_w=0.0, meters=("a",))
    assert alone.site.is_set
    assert not _configured().site.is_set


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"site_import_max_w": -1.0, "site_meters": ("a",)},
            r"site_import_max_w = -1.0 .* 0 to 1e\+08",
        ),
        ({"site_export_max_w": float("nan"), "site_meters": ("a",)}, "site_export_max_w = nan"),
        ({"site_meters": ("c",)}, "site_meters = 'c' is not allowed: expected the id of a device"),
    ],
)
def test_impossible_site_limits_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _configured(**fields)
