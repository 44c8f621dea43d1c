"""The kinds of devices that a site may simulate."""

from __future__ import annotations

import enum
from typing import TypeAlias, assert_never

from bessai.simulator.device import DeviceConfig, SimulatedDevice
from bessai.simulator.identification import Nameplate
from bessai.simulator.sunspec_device import (
    DER,
    LEGACY,
    LEGACY_FLOAT,
    SunSpecDevice,
    SunSpecOptions,
)

HUAWEI_VENDOR = "HUAWEI"
"""As devices of the kind `huawei` name their maker."""

AnyDevice: TypeAlias = SimulatedDevice | SunSpecDevice
"""What a server serves and a site steps."""


class DeviceKind(enum.Enum):
    """Which device."""

    HUAWEI = "huawei"
    """SUN2000 with LUNA2000."""
    SUNSPEC = "sunspec"
    """A hybrid inverter with models 103, 120, 121, 123, 124, 160, 802 and 803: scaled integers."""
    SUNSPEC_FLOAT = "sunspec-float"
    """The same with model 113 in place of 103."""
    SUNSPEC_DER = "sunspec-der"
    """A storage with models 701, 702, 704, 713 and 803."""


def make(kind: DeviceKind, name: str, config: DeviceConfig, *, seed: int) -> AnyDevice:
    """Return a device of `kind` that starts as `config` says.

    Raises:
        ValueError: a setting is not one of the device's.
    """
    models: tuple[int, ...]
    match kind:
        case DeviceKind.HUAWEI:
            return SimulatedDevice(name, config, seed=seed)
        case DeviceKind.SUNSPEC:
            models = LEGACY
        case DeviceKind.SUNSPEC_FLOAT:
            models = LEGACY_FLOAT
        case DeviceKind.SUNSPEC_DER:
            models = DER
        case _:
            assert_never(kind)
    options = SunSpecOptions(models=models, settings=config.settings)
    return SunSpecDevice(name, config, options, seed=seed)


def knows_login(device: AnyDevice) -> bool:
    """Tell whether clients can log in to `device`."""
    return isinstance(device, SimulatedDevice)


def nameplate(device: AnyDevice, unit: int) -> Nameplate | None:
    """Return how `device` names itself, or None if it knows no such function."""
    match device:
        case SimulatedDevice():
            return Nameplate(
                model=_text(device, "model"),
                software=_text(device, "software_version"),
                serial_number=_text(device, "serial_number"),
                unit=unit,
                kind="SUN2000",
            )
        case SunSpecDevice():
            return None
        case _:
            assert_never(device)


def _text(device: SimulatedDevice, name: str) -> str:
    point = device.map.by_name[name]
    return str(point.decode(device.read(point.address, point.count)))
