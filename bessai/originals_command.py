"""`bessai originals`: what a hold left in a device's flash is shown, and put back."""

from __future__ import annotations

import os
from pathlib import Path

import click

from actors.inverter.config import InverterConfig
from actors.inverter.jobs import RegisterWords
from actors.inverter.ledger_file import LedgerError, ledgers
from actors.inverter.restore import RestoreReport, restore
from actors.safety.statedir import StateDirError, lock_state_dir
from bessai.config import ConfigError, SiteConfig, load_config
from bessai.exit_codes import MISUSED, UNUSABLE, fail


def list_originals(config_path: Path | None, state_dir: Path | None) -> None:
    """Print what is recorded for every device, or that nothing is."""
    site = _site(config_path, state_dir)
    lines: list[str] = []
    for device, file in ledgers(Path(site.state_dir)).items():
        try:
            ledger = file.load()
        except LedgerError as error:
            fail(UNUSABLE, str(error))
        lines += [f"{device} (serial {ledger.serial}): {_told(e)}" for e in ledger.originals]
    click.echo("\n".join(lines) or "nothing is to be restored")


def restore_originals(
    config_path: Path | None, state_dir: Path | None, device: str, timeout_s: float
) -> None:
    """Restore the originals of `device`; exit with a status that tells if any is still recorded."""
    site = _site(config_path, state_dir)
    config = _device(site, device)
    try:
        with lock_state_dir(Path(site.state_dir)):
            report = restore(config, timeout_s)
    except (StateDirError, LedgerError) as error:
        fail(UNUSABLE, str(error))
    _print(device, report)
    if report.fault:
        fail(UNUSABLE, f"{device}: {report.fault}")


def _print(device: str, report: RestoreReport) -> None:
    for each in report.restored:
        click.echo(f"{device}: {_told(each)}: restored and read back")
    for each in report.left_alone:
        click.echo(f"{device}: {_told(each)}: left alone, somebody else has set the register since")
    if not (report.restored or report.left_alone or report.fault):
        click.echo(f"{device}: nothing is to be restored")


def _told(register: RegisterWords) -> str:
    words = register.words[::-1] if register.little else register.words
    number = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big")
    return f"{register.name} (register {register.address}) = {number}"


def _device(site: SiteConfig, device: str) -> InverterConfig:
    found = {each.device_id: each for each in site.devices}
    if device not in found:
        fail(MISUSED, f"there is no device {device!r}; there are {', '.join(found)}")
    return found[device]


def _site(config_path: Path | None, state_dir: Path | None) -> SiteConfig:
    environment = dict(os.environ)
    if state_dir is not None:
        environment["BESSAI_STATE_DIR"] = str(state_dir)
    try:
        return load_config(config_path, environment)
    except ConfigError as error:
        faults = "\n  ".join(str(fault) for fault in error.faults)
        fail(MISUSED, f"the configuration cannot be used:\n  {faults}")
