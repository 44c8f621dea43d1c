"""The configuration of a site: what an operator may write, composed of what each actor must be told.

A file (TOML) and environment variables are read into one `SiteConfig`. Every fault in them is collected and told at
once: where it stands, the value, what is allowed, and the nearest key that exists.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

import bessai
from actors.api.config import ApiConfig
from actors.detector.config import DetectorConfig
from actors.dispatcher.config import DispatchedDevice, DispatcherConfig
from actors.inverter.config import InverterConfig
from actors.inverter.errors import ProfileError
from actors.inverter.profile import Profile
from actors.inverter.profile_file import load_profile
from actors.publisher.config import PublisherConfig
from actors.safety.config import DeviceLimits, SafetyConfig
from bessai.environment import ENVIRONMENT, Setting, apply_environment
from bessai.logs import LEVELS
from bessai.state import default_state_dir

CONTROL = "control"
DEGRADABLE = ("api", "detector", "dispatcher", "publisher")
DEFAULT_PROFILE = "huawei_sun2000_luna2000"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_S = TypeVar("_S", bound=msgspec.Struct)


class Fault(NamedTuple):
    """One thing that is wrong, and how to mend it."""

    where: str
    """File and key, or the environment variable."""
    what: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: {self.what}"


class ConfigError(ValueError):
    """A configuration that cannot be used; `faults` holds everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        """Tell all faults at once."""
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class CellPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Which cell hosts each degradable actor, and how much memory a cell may have."""

    api: str = "api"
    detector: str = "detector"
    dispatcher: str = "dispatcher"
    publisher: str = "publisher"
    memory_limit_mb: dict[str, int] = {}
    hung_after_s: float = 5.0
    """A degradable actor without progress for so long is replaced."""

    def __post_init__(self) -> None:
        """Keep learning, HTTP and cloud code out of the control cell."""
        for actor in DEGRADABLE:
            cell = getattr(self, actor)
            if cell in {CONTROL, "trainer"}:
                raise ValueError(
                    f"{actor} = {cell!r} is not allowed: nothing may share the cell {cell!r}"
                )
            if not _NAME.fullmatch(cell):
                raise ValueError(
                    f"{actor} = {cell!r} is not allowed: use letters, digits, dots, dashes"
                )
        if not 0.5 <= self.hung_after_s <= 60:  # noqa: PLR2004 - the range is said in the message
            raise ValueError(
                f"hung_after_s = {self.hung_after_s} is not allowed: expected 0.5 to 60"
            )
        for cell, limit in self.memory_limit_mb.items():
            if cell not in self.cells():
                raise ValueError(
                    f"memory_limit_mb names {cell!r}: there are {', '.join(self.cells())}"
                )
            if limit < 32:  # noqa: PLR2004 - an interpreter alone needs half of it
                raise ValueError(
                    f"memory_limit_mb.{cell} = {limit} is not allowed: expected at least 32"
                )

    def cells(self) -> tuple[str, ...]:
        """Return the names of all cells, without repetition."""
        return tuple(
            dict.fromkeys((CONTROL, *(getattr(self, actor) for actor in DEGRADABLE), "trainer"))
        )


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
    reader = _Reader(str(path) if path else "environment", path.parent if path else Path.cwd())
    data = reader.parse(path) if path else {}
    settings, faults = apply_environment(environment, data, has_file=path is not None)
    reader.faults += [Fault(where, what) for where, what in faults]
    reader.settings = settings
    config = reader.site(data)
    if reader.faults or config is None:
        raise ConfigError(reader.faults)
    return config


class _Reader:
    """Reads one configuration and collects its faults."""

    def __init__(self, file: str, directory: Path) -> None:
        self._file = file
        self._directory = directory
        self.faults: list[Fault] = []
        self.settings: dict[str, Setting] = {}
        self._profiles: dict[str, Profile | None] = {}

    def parse(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError([Fault(self._file, f"cannot be read: {error.strerror}")]) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError([Fault(self._file, f"is not TOML: {error}")]) from error

    def site(self, data: dict[str, Any]) -> SiteConfig | None:
        known = (
            "site",
            "devices",
            "safety",
            "detector",
            "dispatcher",
            "publisher",
            "api",
            "cells",
            "log",
        )
        self._refuse_unknown("", data, known)
        site = self._table(data, "site")
        self._refuse_unknown("site", site, ("id", "state_dir"))
        site_id = self._name(
            "site.id",
            site.get("id"),
            hint="a short name such as SITE-CL-001, or SITE_ID in the environment",
        )
        state_dir = self._text("site.state_dir", site.get("state_dir", str(default_state_dir())))
        log = self._table(data, "log")
        self._refuse_unknown("log", log, ("level",))
        level = self._choice("log.level", log.get("level", "info"), LEVELS)
        raw_devices = self._devices_of(data)
        limits = self._table(data, "safety")
        max_ttl = {"max_ttl_s": limits.pop("max_ttl_s")} if "max_ttl_s" in limits else {}
        self._struct("safety", DeviceLimits, limits, {})
        devices = [self._device(index, raw, limits) for index, raw in enumerate(raw_devices)]
        good = [device for device in devices if device is not None]
        self._refuse_duplicates([config for config, _, _ in good])
        base = {"site_id": site_id or "x", "state_dir": state_dir}
        safety = {"state_dir": state_dir, "devices": {c.device_id: limit for c, limit, _ in good}}
        parts = {
            "safety": self._struct("safety", SafetyConfig, max_ttl, safety),
            "detector": self._part(
                data,
                "detector",
                DetectorConfig,
                {"state_dir": str(Path(state_dir) / "models")},
                ("trainer_cell",),
            ),
            "dispatcher": self._dispatcher(data, tuple(dispatched for _, _, dispatched in good)),
            "publisher": self._part(data, "publisher", PublisherConfig, base),
            "api": self._part(
                data, "api", ApiConfig, {"site_id": site_id or "x"}, ("device_ids", "cells")
            ),
            "cells": self._part(data, "cells", CellPlan, {}),
        }
        if self.faults or any(part is None for part in parts.values()):
            return None
        return SiteConfig(
            site_id=site_id,
            state_dir=state_dir,
            log_level=level,
            devices=tuple(config for config, _, _ in good),
            **parts,  # type: ignore[arg-type]  # none of them is None
        )

    def _devices_of(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        devices = data.get("devices", [])
        if not isinstance(devices, list) or not all(isinstance(device, dict) for device in devices):
            self._fault("devices", "must be tables: write [[devices]] above each device's keys")
            return []
        if not devices:
            self._fault(
                "devices", "there are none: write [[devices]] with id and host, or set INVERTER_IP"
            )
        return devices

    def _device(
        self, index: int, raw: dict[str, Any], site_limits: dict[str, Any]
    ) -> tuple[InverterConfig, DeviceLimits, DispatchedDevice] | None:
        path = f"devices[{index}]"
        rest = dict(raw)
        device_id = self._name(
            f"{path}.id", rest.pop("id", None), hint="a short name such as INV-1"
        )
        profile = self._profile(path, rest.pop("profile", DEFAULT_PROFILE))
        own = rest.pop("safety", {})
        if not isinstance(own, dict):
            self._fault(
                f"{path}.safety", "must be a table: write [devices.safety] below its device"
            )
            own = {}
        phase = {
            "phase_s": 0.02 * index,
            **{key: rest.pop(key) for key in ("phase_s",) if key in rest},
        }
        rated = {key: rest.pop(key) for key in ("rated_power_w",) if key in rest}
        if "host" not in rest:
            self._fault(
                f"{path}.host", "is missing: give the address of the inverter or its dongle"
            )
        judged = profile or load_profile(DEFAULT_PROFILE, data_directory() / "profiles")
        base = {"device_id": device_id or "x", "host": "x", "profile": judged, **phase}
        accepted = ("id", "profile", "safety", "rated_power_w")
        config = self._struct(
            path, InverterConfig, rest, base, hidden=("device_id",), also=accepted
        )
        limits = self._struct(
            f"{path}.safety", DeviceLimits, {**site_limits, **own}, {}, told=tuple(own)
        )
        if config is None or limits is None or profile is None:
            return None
        if limits.stale_after_s < 2 * config.poll_s:
            what = f"{config.poll_s:g} s between polls is too slow for safety.stale_after_s = {limits.stale_after_s:g}"
            self._fault(f"{path}.poll_s", f"{what}: it must be at least twice as long")
            return None
        power_w = min(limits.max_charge_w, limits.max_discharge_w)
        dispatch = {"device_id": device_id, "rated_power_w": max(power_w, 1.0)}
        dispatched = self._struct(path, DispatchedDevice, rated, dispatch)
        return None if dispatched is None else (config, limits, dispatched)

    def _profile(self, path: str, name: object) -> Profile | None:
        key = str(name)
        if key not in self._profiles:
            candidate = self._directory / key
            try:
                where = candidate if candidate.is_file() else key
                self._profiles[key] = load_profile(where, data_directory() / "profiles")
            except ProfileError as error:
                self._profiles[key] = None
                self._fault(f"{path}.profile", str(error))
        return self._profiles[key]

    def _dispatcher(
        self, data: dict[str, Any], devices: tuple[DispatchedDevice, ...]
    ) -> DispatcherConfig | None:
        section = self._table(data, "dispatcher")
        model = section.get("model")
        if isinstance(model, dict) and isinstance(model.get("path"), str):
            section["model"] = {**model, "path": self._resolve(model["path"])}
        if isinstance(section.get("prices_path"), str):
            section["prices_path"] = self._resolve(section["prices_path"])
        return self._struct(
            "dispatcher", DispatcherConfig, section, {"devices": devices}, hidden=("devices",)
        )

    def _resolve(self, path: str) -> str:
        return str((self._directory / path).resolve())

    def _part(
        self,
        data: dict[str, Any],
        name: str,
        struct: type[_S],
        base: dict[str, Any],
        hidden: tuple[str, ...] = (),
    ) -> _S | None:
        return self._struct(name, struct, self._table(data, name), base, hidden=(*base, *hidden))

    def _struct(
        self,
        path: str,
        struct: type[_S],
        raw: dict[str, Any],
        base: dict[str, Any],
        *,
        hidden: tuple[str, ...] = (),
        also: tuple[str, ...] = (),
        told: tuple[str, ...] | None = None,
    ) -> _S | None:
        """Return the struct of `base` and `raw`; each key of `raw` is judged by itself, then all together."""
        types = {
            field.name: field.type
            for field in msgspec.structs.fields(struct)
            if field.name not in hidden
        }
        self._refuse_unknown(path, raw, (*types, *also))
        good: dict[str, Any] = {}
        before = len(self.faults)
        for key, value in raw.items():
            if key in types and (told is None or key in told):
                good |= self._field(f"{path}.{key}", struct, (key, types[key]), value, base)
            elif key in types:
                good[key] = value
        if len(self.faults) > before:
            return None
        try:
            return struct(**{**base, **good})
        except (ValueError, TypeError) as error:
            self._fault(path, str(error))
            return None

    def _field(
        self,
        path: str,
        struct: type[_S],
        field: tuple[str, Any],
        value: object,
        base: dict[str, Any],
    ) -> dict[str, Any]:
        key, kind = field
        try:
            converted = msgspec.convert(value, kind)
            struct(**{**base, key: converted})
        except msgspec.ValidationError as error:
            self._fault(path, f"{value!r} is not allowed: {error}")
            return {}
        except (ValueError, TypeError) as error:
            if key in str(
                error
            ):  # else it lacks a companion, which is judged when all keys are together
                self._fault(path, str(error))
                return {}
        return {key: converted}

    def _table(self, data: dict[str, Any], name: str) -> dict[str, Any]:
        table = data.get(name, {})
        if not isinstance(table, dict):
            self._fault(name, f"must be a table: write [{name}] above its keys")
            return {}
        return dict(table)

    def _refuse_unknown(self, path: str, raw: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in raw:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = (
                    f"did you mean {near[0]!r}?"
                    if near
                    else f"known keys: {', '.join(sorted(known))}"
                )
                self._fault(f"{path}.{key}".lstrip("."), f"is not a key here; {hint}")

    def _refuse_duplicates(self, devices: list[InverterConfig]) -> None:
        ids = [device.device_id for device in devices]
        places = [(device.host, device.port, device.unit_id) for device in devices]
        for index, device in enumerate(devices):
            if ids.index(device.device_id) < index:
                self._fault(
                    f"devices[{index}].id",
                    f"{device.device_id!r} is taken by another device: ids must differ",
                )
            if places.index(places[index]) < index:
                taken = ids[places.index(places[index])]
                self._fault(
                    f"devices[{index}].host",
                    f"{device.host}:{device.port} unit {device.unit_id} is {taken}'s already",
                )

    def _name(self, path: str, value: object, *, hint: str) -> str:
        if value is None or value == "":
            self._fault(path, f"is missing: give {hint}")
        elif not isinstance(value, str) or not _NAME.fullmatch(value):
            self._fault(
                path,
                f"{value!r} is not allowed: use 1 to 64 letters, digits, dots, dashes or underscores",
            )
        else:
            return value
        return ""

    def _text(self, path: str, value: object) -> str:
        if isinstance(value, str) and value:
            return str(Path(value).expanduser().absolute())
        self._fault(path, f"{value!r} is not allowed: give the path of a directory")
        return ""

    def _choice(self, path: str, value: object, choices: tuple[str, ...]) -> str:
        text = str(value).lower()
        if text not in choices:
            self._fault(path, f"{value!r} is not allowed: choose one of {', '.join(choices)}")
        return text

    def _fault(self, path: str, what: str) -> None:
        setting = self.settings.get(path)
        where = f"environment variable {setting.variable}" if setting else f"{self._file}: {path}"
        self.faults.append(Fault(where, what))


__all__ = [
    "ENVIRONMENT",
    "CellPlan",
    "ConfigError",
    "Fault",
    "SiteConfig",
    "data_directory",
    "load_config",
]
