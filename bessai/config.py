"""The configuration of a site: what an operator may write, composed of what each actor must be told.

A file (TOML) and environment variables are read into one `SiteConfig`. Every fault in them is collected and told at
once: where it stands, the value, what is allowed, and the nearest key that exists.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

import bessai
from actors.api.config import ApiConfig
from actors.detector.config import DetectorConfig
from actors.dispatcher.config import DispatchedDevice, DispatcherConfig
from actors.inverter.config import InverterConfig
from actors.inverter.errors import ProfileError
from actors.inverter.profile import AnyProfile
from actors.inverter.profile_file import load_profile
from actors.inverter.tls import TlsFileError, tls_context
from actors.publisher.config import PublisherConfig
from actors.publisher.tracing_config import TracingConfig
from actors.safety.config import OUTER_BOUNDS, DeviceLimits, SafetyConfig
from bessai.cells import CONTROL, CellPlan
from bessai.duplicates import refuse_duplicates
from bessai.environment import apply_environment
from bessai.judge import ConfigError, Fault, Judge
from bessai.logs import LEVELS
from bessai.publisher_section import read_publisher
from bessai.state import default_state_dir
from bessai.watchdogs import WatchdogSection

DEFAULT_PROFILE = "huawei_sun2000_luna2000"
SECTIONS: Final = (
    "site",
    "log",
    "devices",
    "safety",
    "detector",
    "dispatcher",
    "publisher",
    "tracing",
    "api",
    "cells",
    "watchdog",
)
SITE_KEYS: Final = ("id", "state_dir")
LOG_KEYS: Final = ("level",)
DEVICE_KEYS: Final = ("id", "profile", "safety", "rated_power_w")
"""Keys of a device that are not simply fields of `InverterConfig`."""
DEVICE_HIDDEN: Final = ("device_id", "slot_ms", "state_dir", "traced", "traced_polls")
TLS_FILES: Final = ("ca", "certificate", "key")
SAFETY_KEYS: Final = (
    "max_ttl_s",
    "requests_per_minute",
    "resets_per_hour",
    "site_import_max_w",
    "site_export_max_w",
    "site_meters",
)
"""Keys of [safety] that hold for the whole site and not for one device."""
DETECTOR_HIDDEN: Final = ("state_dir", "trainer_cell")
DISPATCHER_HIDDEN: Final = ("devices", "traced")
PUBLISHER_HIDDEN: Final = ("site_id", "state_dir", "tracing")
API_HIDDEN: Final = ("site_id", "device_ids", "cells", "state_dir")
API_AGES: Final = ("evaluation_limit_s", "sample_limit_s")
"""Ages that must exceed the poll period: unless set, they follow the slowest device."""
POLLS: Final = 3.0
"""How many polls of the slowest device such an age spans: one may be late."""
PHASE_S: Final = 0.02
"""Devices are first connected to this long after one another ..."""
LAST_PHASE_S: Final = 2.0
"""... and the last of many so long after the first: nobody watches a device before."""


class SiteConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the gateway is told."""

    site_id: str
    state_dir: str
    log_level: str
    devices: tuple[InverterConfig, ...]
    safety: SafetyConfig
    detector: DetectorConfig
    dispatcher: DispatcherConfig
    publisher: PublisherConfig
    api: ApiConfig
    cells: CellPlan
    watchdog: WatchdogSection


def data_directory() -> Path:
    """Return where the profiles and samples that come with the gateway are."""
    package = Path(bessai.__file__).parent
    packaged = package / "_config"
    return packaged if packaged.is_dir() else package.parent / "config"


def load_config(path: Path | None, environment: Mapping[str, str]) -> SiteConfig:
    """Return the configuration in the file `path`, if any, overridden by `environment`.

    Raises:
        ConfigError: it cannot be used; every fault is told.
    """
    file = str(path) if path else "environment"
    data = _parse(path) if path else {}
    settings, complaints = apply_environment(environment, data)
    judge = Judge(file, settings)
    judge.faults += [Fault(where, what) for where, what in complaints]
    config = _Reader(judge, path.parent if path else Path.cwd()).site(data)
    if judge.faults or config is None:
        raise ConfigError(judge.faults)
    return config


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        what = f"is not text in UTF-8, so it is no TOML file: {error.reason} at byte {error.start}"
    except RecursionError:
        what = "is not TOML that can be read: it nests too deeply"
    except ValueError as error:
        what = f"is not TOML: {error}"
    raise ConfigError([Fault(str(path), what)])


class _Device(NamedTuple):
    """What a [[devices]] table says to each of those who need to know."""

    path: str
    inverter: InverterConfig
    limits: DeviceLimits
    dispatched: DispatchedDevice


class _Reader:
    """Composes a site of what the sections of one file say; the judge keeps what is wrong with them."""

    def __init__(self, judge: Judge, directory: Path) -> None:
        self._judge = judge
        self._directory = directory
        self._profiles: dict[str, AnyProfile | None] = {}
        self._tracing = TracingConfig()
        self._phase_s = PHASE_S

    def site(self, data: dict[str, Any]) -> SiteConfig | None:
        judge = self._judge
        judge.refuse_unknown("", data, SECTIONS)
        site_id, state_dir = self._identity(judge.table(data, "site"))
        level = self._level(judge.table(data, "log"))
        tracing = judge.struct("tracing", TracingConfig, judge.table(data, "tracing"), {})
        self._tracing = tracing or self._tracing
        limits, of_site = self._limits(judge.table(data, "safety"))
        tables = self._devices_of(data)
        found = [self._device(n, raw, limits, state_dir) for n, raw in enumerate(tables)]
        devices = [device for device in found if device is not None]
        slowest_s = max((device.inverter.poll_s for device in devices), default=0.0)
        dispatched = tuple(device.dispatched for device in devices)
        parts = {
            "safety": self._safety(of_site, state_dir, devices),
            "detector": self._detector(judge.table(data, "detector"), state_dir),
            "dispatcher": self._dispatcher(judge.table(data, "dispatcher"), dispatched, slowest_s),
            "publisher": self._publisher(judge.table(data, "publisher"), site_id, state_dir),
            "api": self._api(judge.table(data, "api"), site_id, state_dir, slowest_s),
            "cells": judge.struct("cells", CellPlan, judge.table(data, "cells"), {}),
            "watchdog": judge.struct(
                "watchdog", WatchdogSection, judge.table(data, "watchdog"), {}
            ),
        }
        self._refuse_long_requests(parts["safety"], parts["dispatcher"])
        if judge.faults or None in parts.values():
            return None
        return SiteConfig(
            site_id=site_id,
            state_dir=state_dir,
            log_level=level,
            devices=tuple(device.inverter for device in devices),
            **parts,  # type: ignore[arg-type]  # none of them is None
        )

    def _identity(self, site: dict[str, Any]) -> tuple[str, str]:
        self._judge.refuse_unknown("site", site, SITE_KEYS)
        hint = "a short name such as SITE-CL-001, or SITE_ID in the environment"
        site_id = self._judge.name("site.id", site.get("id"), hint=hint)
        return site_id, self._state_dir(site.get("state_dir", str(default_state_dir())))

    def _state_dir(self, value: object) -> str:
        if not isinstance(value, str) or not value.strip() or "\0" in value:
            self._judge.refuse("site.state_dir", value, "give the path of a directory")
        else:
            try:
                if self._judge.is_from_environment("site.state_dir"):
                    return str(Path(value).expanduser().absolute())
                return self._resolve(value)
            except RuntimeError as error:  # the home of a user who is not known
                self._judge.refuse("site.state_dir", value, str(error))
        return str(default_state_dir())

    def _level(self, log: dict[str, Any]) -> str:
        self._judge.refuse_unknown("log", log, LOG_KEYS)
        return self._judge.choice("log.level", log.get("level", "info"), LEVELS)

    def _limits(self, section: dict[str, Any]) -> tuple[DeviceLimits, dict[str, Any]]:
        """Return the limits of its devices (the defaults if they are wrong), and what is said of the whole site."""
        own: dict[str, Any] = {key: section.pop(key) for key in SAFETY_KEYS if key in section}
        limits = self._judge.struct("safety", DeviceLimits, section, {}, also=SAFETY_KEYS)
        return limits or DeviceLimits(), own

    def _devices_of(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        devices = data.get("devices", [])
        if not isinstance(devices, list) or not all(isinstance(device, dict) for device in devices):
            what = "must be tables: write [[devices]] above each device's keys"
            self._judge.fault("devices", what)
            return []
        if not devices:
            what = "there are none: write [[devices]] with id and host, or set INVERTER_IP"
            self._judge.fault("devices", what)
        refuse_duplicates(self._judge, devices)
        self._phase_s = min(PHASE_S, LAST_PHASE_S / max(len(devices), 1))
        return devices

    def _device(
        self, index: int, raw: dict[str, Any], site: DeviceLimits, state_dir: str
    ) -> _Device | None:
        judge, path = self._judge, f"devices[{index}]"
        rest = {key: value for key, value in raw.items() if key not in DEVICE_KEYS}
        device_id = judge.name(f"{path}.id", raw.get("id"), hint="a short name such as INV-1")
        profile = self._profile(path, raw.get("profile", DEFAULT_PROFILE))
        if "host" not in raw:
            judge.fault(
                f"{path}.host", "is missing: give the address of the inverter or its dongle"
            )
        limits = judge.struct(
            f"{path}.safety",
            DeviceLimits,
            self._own_limits(path, raw),
            msgspec.structs.asdict(site),
        )
        stand_in = profile or self._default_profile()
        if stand_in is None:
            return None
        base = {
            "device_id": device_id or "x",
            "host": "x",
            "profile": stand_in,
            "phase_s": self._phase_s * index,
            "state_dir": state_dir,
            "traced": bool(self._tracing.endpoint),
            "traced_polls": self._tracing.polls,
        }
        if isinstance(rest.get("tls"), dict):
            rest["tls"] = self._resolved_tls(rest["tls"])
        inverter = judge.struct(
            path, InverterConfig, rest, base, hidden=DEVICE_HIDDEN, also=DEVICE_KEYS
        )
        self._refuse_unusable_tls(path, inverter)
        dispatched = self._dispatched(path, raw, device_id or "x", limits or site)
        if inverter is None or limits is None or profile is None or dispatched is None:
            return None
        self._refuse_slow_poll(path, inverter, limits)
        return _Device(path, inverter, limits, dispatched)

    def _resolved_tls(self, tls: dict[str, Any]) -> dict[str, Any]:
        files = {key: tls[key] for key in TLS_FILES if isinstance(tls.get(key), str) and tls[key]}
        return {**tls, **{key: self._resolve(file) for key, file in files.items()}}

    def _refuse_unusable_tls(self, path: str, inverter: InverterConfig | None) -> None:
        """Certificates are tried before anything is started, not when the device is first asked."""
        if inverter is None or inverter.tls is None:
            return
        try:
            tls_context(inverter.tls)
        except TlsFileError as error:
            self._judge.fault(path, str(error))

    def _own_limits(self, path: str, raw: dict[str, Any]) -> dict[str, Any]:
        own = raw.get("safety", {})
        if isinstance(own, dict):
            return own
        what = "must be a table: write [devices.safety] below its device"
        self._judge.fault(f"{path}.safety", what)
        return {}

    def _dispatched(
        self, path: str, raw: dict[str, Any], device_id: str, limits: DeviceLimits
    ) -> DispatchedDevice | None:
        power_w = max(min(limits.max_charge_w, limits.max_discharge_w), 1.0)
        rated = {key: raw[key] for key in ("rated_power_w",) if key in raw}
        base = {"device_id": device_id, "rated_power_w": power_w}
        return self._judge.struct(path, DispatchedDevice, rated, base)

    def _refuse_slow_poll(self, path: str, inverter: InverterConfig, limits: DeviceLimits) -> None:
        """Two polls must fit into the age at which a measurement is missing, or one late answer stops a device."""
        poll_s, stale_s = inverter.poll_s, limits.stale_after_s
        if stale_s <= 2 * poll_s:
            self._judge.refuse(
                f"{path}.poll_s",
                poll_s,
                f"expected less than half of safety.stale_after_s = {stale_s:g}, after which a measurement"
                f" counts as missing; read faster than every {stale_s / 2:g} s, or raise stale_after_s (up to"
                f" {OUTER_BOUNDS['stale_after_s'].high:g})",
            )

    def _profile(self, path: str, name: object) -> AnyProfile | None:
        if not isinstance(name, str):
            self._judge.refuse(f"{path}.profile", name, "expected the name of a profile, as text")
            return None
        if name not in self._profiles:
            candidate = self._directory / name
            try:
                where = candidate if candidate.is_file() else name
                self._profiles[name] = load_profile(where, data_directory() / "profiles")
            except (ProfileError, ValueError) as error:
                self._profiles[name] = None
                self._judge.fault(f"{path}.profile", str(error))
        return self._profiles[name]

    def _default_profile(self) -> AnyProfile | None:
        """Return what the keys of a device can be judged with while its own profile cannot be read."""
        try:
            return load_profile(DEFAULT_PROFILE, data_directory() / "profiles")
        except ProfileError:
            return None

    def _safety(
        self, of_site: dict[str, Any], state_dir: str, devices: list[_Device]
    ) -> SafetyConfig | None:
        limits = {device.inverter.device_id: device.limits for device in devices}
        traced = bool(self._tracing.endpoint)
        base = {"state_dir": state_dir, "devices": limits, "traced": traced}
        return self._judge.struct("safety", SafetyConfig, of_site, base)

    def _detector(self, section: dict[str, Any], state_dir: str) -> DetectorConfig | None:
        base = {"state_dir": str(Path(state_dir) / "models")}
        return self._judge.struct("detector", DetectorConfig, section, base, hidden=DETECTOR_HIDDEN)

    def _dispatcher(
        self, section: dict[str, Any], devices: tuple[DispatchedDevice, ...], slowest_s: float
    ) -> DispatcherConfig | None:
        model = section.get("model")
        if isinstance(model, dict) and isinstance(model.get("path"), str):
            section["model"] = {**model, "path": self._resolve(model["path"])}
        if isinstance(section.get("prices_path"), str):
            section["prices_path"] = self._resolve(section["prices_path"])
        usual = DispatcherConfig()
        base = {
            "devices": devices,
            "sample_age_s": max(usual.sample_age_s, POLLS * slowest_s),
            "traced": bool(self._tracing.endpoint),
        }
        built = self._judge.struct(
            "dispatcher", DispatcherConfig, section, base, hidden=DISPATCHER_HIDDEN
        )
        self._refuse_short("dispatcher", built, ("sample_age_s",), slowest_s)
        return built

    def _publisher(
        self, section: dict[str, Any], site_id: str, state_dir: str
    ) -> PublisherConfig | None:
        base = {"site_id": site_id or "x", "state_dir": state_dir, "tracing": self._tracing}
        return read_publisher(self._judge, section, base, self._resolve, hidden=PUBLISHER_HIDDEN)

    def _api(
        self, section: dict[str, Any], site_id: str, state_dir: str, slowest_s: float
    ) -> ApiConfig | None:
        usual = ApiConfig(site_id=site_id or "x")
        base = {"site_id": usual.site_id, "state_dir": state_dir} | {
            key: max(getattr(usual, key), POLLS * slowest_s) for key in API_AGES
        }
        built = self._judge.struct("api", ApiConfig, section, base, hidden=API_HIDDEN)
        self._refuse_short("api", built, API_AGES, slowest_s)
        return built

    def _refuse_short(
        self, section: str, built: msgspec.Struct | None, keys: tuple[str, ...], slowest_s: float
    ) -> None:
        """An age that the slowest device exceeds between two polls would call sound news old."""
        for key in keys:
            value = getattr(built, key, slowest_s + 1)
            if value <= slowest_s:
                why = f"expected more than the slowest device's poll_s = {slowest_s:g}"
                self._judge.refuse(f"{section}.{key}", value, why)

    def _refuse_long_requests(self, safety: object, dispatcher: object) -> None:
        if (
            isinstance(safety, SafetyConfig)
            and isinstance(dispatcher, DispatcherConfig)
            and dispatcher.ttl_s > safety.max_ttl_s
        ):
            why = f"expected at most safety.max_ttl_s = {safety.max_ttl_s:g}, or every request is refused"
            self._judge.refuse("dispatcher.ttl_s", dispatcher.ttl_s, why)

    def _resolve(self, path: str) -> str:
        """Return a path that is absolute: what is relative in a file is so to the file's folder."""
        return str((self._directory / Path(path).expanduser()).absolute())


__all__ = [
    "CONTROL",
    "CellPlan",
    "ConfigError",
    "Fault",
    "SiteConfig",
    "data_directory",
    "load_config",
]
