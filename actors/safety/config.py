"""Limits per device: defaults for LFP behind a LUNA2000, and outer bounds that no configuration can cross.

The gateway supervises operational limits; the battery's own management system and relays stay the primary protection.
Configuration may tighten a limit freely and loosen it up to its outer bound. `figures` says where each comes from.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors.safety.figures import OUTER_BOUNDS, Bound

__all__ = ["OUTER_BOUNDS", "Bound", "DeviceLimits", "SafetyConfig", "SiteLimits"]


class DeviceLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of one device. A value *at* a limit is already outside.

    Raises:
        ValueError: names every field that is out of bounds, its value, the allowed range and why.
    """

    soc_min_pct: float = 5.0
    """No discharging at or below."""
    soc_max_pct: float = 98.0
    """No charging at or above."""
    soc_hysteresis_pct: float = 2.0
    """How far SOC must come back before a direction opens again."""
    soc_min_band_pct: float = 5.0
    """Over this much SOC above `soc_min_pct` discharging power falls to nothing."""
    soc_max_band_pct: float = 3.0
    """Over this much SOC below `soc_max_pct` charging power falls to nothing."""
    charge_min_c: float = 0.0
    """No charging at or below."""
    charge_max_c: float = 50.0
    """No charging at or above."""
    discharge_min_c: float = -10.0
    """No discharging at or below."""
    discharge_max_c: float = 50.0
    """No discharging at or above."""
    temperature_hysteresis_k: float = 5.0
    """How far the temperature must come back before a direction opens again."""
    cold_band_k: float = 10.0
    """Over this much above a lower temperature limit power rises from nothing."""
    hot_band_k: float = 5.0
    """Over this much below an upper temperature limit power falls to nothing."""
    trip_high_c: float = 55.0
    """Latched trip at or above."""
    trip_low_c: float = -20.0
    """Latched trip at or below."""
    heating_derate_k_per_min: float = 1.0
    """Rise of the temperature from which on power falls, to nothing where it trips."""
    heating_trip_k_per_min: float = 3.0
    """Latched trip at or above, when it lasts for `heating_s`."""
    heating_s: float = 5.0
    """How long a rise must last before it trips."""
    battery_min_v: float = 40.0
    """No discharging at or below."""
    battery_max_v: float = 1000.0
    """No charging at or above."""
    max_charge_a: float = 120.0
    """No charging when the current has been as large for `overload_s`."""
    max_discharge_a: float = 120.0
    """No discharging when the current has been as large for `overload_s`, as a positive number."""
    max_charge_w: float = 5000.0
    """Largest approved charging power."""
    max_discharge_w: float = 5000.0
    """Largest approved discharging power, as a positive number."""
    overload_pct: float = 105.0
    """Forced power at or above this share of the largest approved closes its direction."""
    overload_s: float = 2.0
    """How long an overload must last."""
    ramp_pct_per_min: float = 6000.0
    """How fast set-points may move away from 0, of the larger of the two largest powers."""
    ramp_down_s: float = 10.0
    """How long full power takes to 0 when a set-point ends that nobody has renewed; 0 is at once."""
    deadband_w: float = 100.0
    """Smaller battery power is no movement."""
    frequency_min_hz: float = 49.0
    """No charging at or below: the grid lacks power."""
    frequency_max_hz: float = 51.0
    """No discharging at or above: the grid has too much power."""
    frequency_hysteresis_hz: float = 0.2
    """How far the frequency must come back before a direction opens again."""
    frequency_lost_min_hz: float = 47.5
    """The grid is lost at or below: the safe state."""
    frequency_lost_max_hz: float = 51.5
    """The grid is lost at or above: the safe state."""
    reconnect_min_hz: float = 49.6
    """A grid that was lost is back above this, for `reconnect_s`."""
    reconnect_max_hz: float = 50.4
    """A grid that was lost is back below this, for `reconnect_s`."""
    reconnect_s: float = 300.0
    """How long a grid that was lost must be back."""
    grid_min_v: float = 198.0
    """The safe state at or below."""
    grid_max_v: float = 440.0
    """The safe state at or above."""
    grid_hysteresis_v: float = 8.0
    """How far the grid's voltage must come back."""
    grid_delay_s: float = 1.0
    """How long frequency or voltage of the grid must be outside."""
    disagreement_pct: float = 20.0
    """Power and voltage x current may differ by less than this share of the larger ..."""
    disagreement_w: float = 300.0
    """... or by this much."""
    disagreement_s: float = 3.0
    """How long values must disagree."""
    soc_disagreement_pct: float = 5.0
    """SOC may move by less than this against what the battery's energy explains."""
    reconsider_s: float = 300.0
    """How long a direction stays closed after a disagreement or an overload is gone."""
    capacity_kwh: float | None = None
    """Usable capacity; without it only the direction in which SOC moves is judged, not how far."""
    frozen_s: float = 180.0
    """Nothing changes while so many seconds of full power flow: values are frozen."""
    stale_after_s: float = 5.0
    """Age at which a measurement counts as missing."""
    good_cycles: int = 3
    """Good measurements in a row before anything is approved."""
    lease_s: float = 5.0
    """How long an approved set-point holds without renewal."""
    reassert_s: float = 1.0
    """How often a safe command is repeated until it is verified."""

    @property
    def full_w(self) -> float:
        """Full power: the larger of the two largest approved powers, in watts, at least 1."""
        return max(self.max_charge_w, self.max_discharge_w, 1.0)

    @property
    def heating_band_k_per_min(self) -> float:
        """From the rise at which power begins to fall to that at which it trips."""
        return self.heating_trip_k_per_min - self.heating_derate_k_per_min

    @property
    def overload_charge_w(self) -> float:
        """Forced charging power that is an overload, in watts."""
        return self.max_charge_w * self.overload_pct / 100.0 + self.deadband_w

    @property
    def overload_discharge_w(self) -> float:
        """Forced discharging power that is an overload, in watts."""
        return self.max_discharge_w * self.overload_pct / 100.0 + self.deadband_w

    def __post_init__(self) -> None:
        """Refuse limits that cross an outer bound or contradict one another."""
        faults = [*_bound_faults(self), *_order_faults(self)]
        if faults:
            raise ValueError("; ".join(faults))


class SiteLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may flow through the site's connection to the grid, over all devices. None is no limit."""

    import_max_w: float | None = None
    export_max_w: float | None = None
    meters: tuple[str, ...] = ()
    """The devices whose meters together measure the connection; needed as soon as there is a limit."""

    @property
    def is_set(self) -> bool:
        """Whether anything is limited."""
        return self.import_max_w is not None or self.export_max_w is not None


class SafetyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What SafetyActor is told: where latches are kept, and every device it answers for."""

    state_dir: str
    """Folder of the latch journal; made if it does not exist."""
    devices: dict[str, DeviceLimits]
    """By device id. A device that is not named here is never approved anything."""
    max_ttl_s: float = 900.0
    """Longest time a set-point request may ask for. Project's choice: one market quarter-hour."""
    traced: bool = False
    """Whether commands, and judgements of traced measurements, are traced."""
    requests_per_minute: int = 60
    """Set-point requests of one source for one device. Project's choice: one a second."""
    resets_per_hour: int = 3
    """Resets of one device's trips. Project's choice: a fourth trip within the hour wants a cure, not a reset."""
    site_import_max_w: float | None = None
    """Largest import of the site; None is no limit. What the connection allows: there is no default."""
    site_export_max_w: float | None = None
    """Largest export of the site, as a positive number; None is no limit."""
    site_meters: tuple[str, ...] = ()
    """The devices whose meters together measure the connection; with one device it may be left out."""

    def __post_init__(self) -> None:
        """Refuse limits that are none, and a site limit that nobody measures."""
        self._refuse_no_limits()
        if not 1 <= self.max_ttl_s <= 3600:  # noqa: PLR2004 - the range is said in the message
            raise ValueError(
                f"safety.max_ttl_s = {self.max_ttl_s} is not allowed: expected 1 to 3600 s,"
                " because a forgotten request must end"
            )
        faults = [*_site_faults(self)]
        if faults:
            raise ValueError("; ".join(faults))

    def _refuse_no_limits(self) -> None:
        for key, most, why in (
            ("requests_per_minute", 600, "each request is evaluated and may be written"),
            ("resets_per_hour", 10, "a device that trips so often wants a cure, not a reset"),
        ):
            value = getattr(self, key)
            if not 1 <= value <= most:
                raise ValueError(
                    f"safety.{key} = {value} is not allowed: expected 1 to {most}, because {why}"
                )

    @property
    def site(self) -> SiteLimits:
        """The limits of the connection to the grid."""
        alone = tuple(self.devices) if len(self.devices) == 1 else ()
        return SiteLimits(
            import_max_w=self.site_import_max_w,
            export_max_w=self.site_export_max_w,
            meters=self.site_meters or alone,
        )


SITE_MAX_W = 1e8
"""Project's choice: more than any site that one gateway serves."""


def _site_faults(config: SafetyConfig) -> Iterator[str]:
    for field in ("site_import_max_w", "site_export_max_w"):
        value = getattr(config, field)
        if value is not None and not 0 <= value <= SITE_MAX_W:
            yield (
                f"safety.{field} = {value} is not allowed: expected 0 to {SITE_MAX_W:g} W,"
                " because it is told without a sign and no site has more"
            )
    for device in config.site_meters:
        if config.devices and device not in config.devices:
            yield (
                f"safety.site_meters = {device!r} is not allowed: expected the id of a device,"
                " because its meter is read through it"
            )
    for field in ("site_import_max_w", "site_export_max_w"):
        value = getattr(config, field)
        if value is not None and config.devices and not config.site.meters:
            yield (
                f"safety.{field} = {value} is not allowed: expected site_meters beside it, naming the"
                " devices whose meters measure the connection to the grid, because a limit that"
                " nobody measures is none"
            )


def _bound_faults(limits: DeviceLimits) -> list[str]:
    faults = []
    for field, bound in OUTER_BOUNDS.items():
        value = getattr(limits, field)
        if value is None:
            continue  # it has no default, and says so
        if not bound.low <= value <= bound.high:
            faults.append(
                f"{field} = {value} is not allowed: expected {bound.low:g} to {bound.high:g},"
                f" because {bound.why}"
            )
    return faults


def _order_faults(limits: DeviceLimits) -> list[str]:
    """Name the pairs that leave no room between them, hysteresis included."""
    soc_band, band = 2 * limits.soc_hysteresis_pct, 2 * limits.temperature_hysteresis_k
    closes, between = "a direction closes before the device trips", "must open again in between"
    pairs = (
        ("soc_min_pct", "soc_max_pct", soc_band, f"both directions {between}"),
        ("charge_min_c", "charge_max_c", band, f"charging {between}"),
        ("discharge_min_c", "discharge_max_c", band, f"discharging {between}"),
        ("trip_low_c", "charge_min_c", 0.0, closes),
        ("trip_low_c", "discharge_min_c", 0.0, closes),
        ("charge_max_c", "trip_high_c", 0.0, closes),
        ("discharge_max_c", "trip_high_c", 0.0, closes),
        ("heating_derate_k_per_min", "heating_trip_k_per_min", 0.1, "power falls before it trips"),
        ("battery_min_v", "battery_max_v", 1.0, "both directions are open in between"),
        ("frequency_lost_min_hz", "frequency_min_hz", 0.0, "a direction closes before all does"),
        ("frequency_max_hz", "frequency_lost_max_hz", 0.0, "a direction closes before all does"),
        ("frequency_lost_min_hz", "reconnect_min_hz", 0.0, "a lost grid must come back"),
        ("reconnect_max_hz", "frequency_lost_max_hz", 0.0, "a lost grid must come back"),
        ("reconnect_min_hz", "reconnect_max_hz", 0.1, "a lost grid must be able to come back"),
        ("frequency_min_hz", "frequency_max_hz", 2 * limits.frequency_hysteresis_hz, between),
        ("grid_min_v", "grid_max_v", 2 * limits.grid_hysteresis_v, between),
    )
    return [
        f"{low} = {getattr(limits, low)} is not allowed: expected at most {high} - {room:g}"
        f" = {getattr(limits, high) - room:g}, because {why}"
        for low, high, room, why in pairs
        if getattr(limits, low) > getattr(limits, high) - room
    ]
