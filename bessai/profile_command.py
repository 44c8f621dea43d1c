"""What `bessai profile` does: list the profiles there are, judge one, and show what a device says through one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec

from actors.inverter.config import InverterConfig
from actors.inverter.errors import ProfileError
from actors.inverter.point_reading import PointReading
from actors.inverter.probe import ProbeReport, probe
from actors.inverter.profile import AnyProfile, PollClass, Profile
from actors.inverter.profile_file import load_profile, profile_directory, profile_names
from bessai.exit_codes import MISUSED, UNUSABLE, fail

_WORDS_SHOWN = 6
_NOT_ASKED = ("not there", "not read")
_HEAD = ["point", "value", "unit", "quality", "meaning or reason", "address", "raw"]


class DeviceAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read, and for how long at most."""

    host: str
    port: int
    unit_id: int | None
    """None takes the profile's."""
    timeout_s: float


def list_profiles() -> None:
    """Print name and title of every profile that comes along, and where they lie."""
    for name in profile_names():
        click.echo(f"{name}: {_load(name).title}")
    click.echo(f"\nin {profile_directory()}")


def check_profile(file: str) -> None:
    """Print what the profile in `file` describes, or exit with all that is wrong with it."""
    found = _load(file)
    click.echo(f"{file}: valid")
    for line in _described(found):
        click.echo(f"  {line}")


def read_profile(file: str, address: DeviceAddress, *, as_json: bool, everything: bool) -> None:
    """Print what a device says through the profile in `file`; exit where it cannot be used."""
    config = _config(_load(file), address)
    report = probe(config, address.timeout_s)
    if as_json:
        click.echo(_json(report, config))
    elif report.readings:
        click.echo("\n".join(_table(report.readings, everything=everything)))
        click.echo(f"\n{report.model}, serial {report.serial}, read in {report.seconds:.1f} s")
    if not report.usable:
        fail(UNUSABLE, f"{config.address()} unit {config.unit()}: {report.fault}")


def _load(file: str) -> AnyProfile:
    try:
        return load_profile(Path(file) if Path(file).is_file() else file)
    except ProfileError as error:
        fail(MISUSED, str(error))


def _config(profile: AnyProfile, address: DeviceAddress) -> InverterConfig:
    try:
        return InverterConfig(
            device_id="profile-read",
            host=address.host,
            profile=profile,
            port=address.port,
            unit_id=address.unit_id,
        )
    except ValueError as error:
        fail(MISUSED, str(error))


def _described(found: AnyProfile) -> Iterable[str]:
    yield f"{found.name}: {found.title}"
    if isinstance(found, Profile):
        for kind in PollClass:
            blocks = [block for block in found.blocks if block.poll_class is kind]
            points = sum(len(block.points) for block in blocks)
            yield f"{kind.value}: {len(blocks)} blocks, {points} points"
        yield f"can: {', '.join(sequence.value for sequence, _ in found.write.sequences())}"
    else:
        yield f"{len(found.quantities)} values looked for in the device's own models"
    if found.source:
        yield f"source: {found.source}"


def _table(readings: Iterable[PointReading], *, everything: bool) -> Iterable[str]:
    shown = [reading for reading in readings if everything or not _is_absent(reading)]
    rows = [_HEAD, *map(_row, shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
    absent = sum(1 for _ in readings) - len(shown)
    if absent:
        yield f"\n{absent} points that this device does not have are left out; --all shows why"


def _is_absent(reading: PointReading) -> bool:
    missing = reading.reason.startswith(_NOT_ASKED) or "no such register" in reading.reason
    return missing and not reading.words


def _row(reading: PointReading) -> list[str]:
    value = repr(reading.text) if reading.text else ""
    if reading.value is not None:
        value = f"{reading.value:.10g}"
    words = [f"{word:04x}" for word in reading.words]
    raw = " ".join(words[:_WORDS_SHOWN]) + " ..." * (len(words) > _WORDS_SHOWN)
    quality = reading.quality.name.lower()
    why = reading.reason or reading.meaning
    return [reading.name, value, reading.unit, quality, why, str(reading.address), raw]


def _json(report: ProbeReport, config: InverterConfig) -> str:
    found = msgspec.to_builtins(report)
    del found["device_id"]
    for reading, built in zip(report.readings, found["readings"], strict=True):
        built["quality"] = reading.quality.name.lower()
    where = {"host": config.host, "port": config.address().port, "unit_id": config.unit()}
    return msgspec.json.encode({**where, "profile": config.profile.name, **found}).decode()
