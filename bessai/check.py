"""`bessai check`: what would keep this site from running, found before it runs."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click

from actors.inverter.config import InverterConfig
from actors.inverter.probe import ProbeReport, probe
from actors.safety.statedir import StateDirError, check_state_dir
from bessai.config import SiteConfig
from bessai.gateway import PortInUseError, check_port
from bessai.state import running_gateway

_AT_ONCE = 16
_SHOWN = ("soc_pct", "battery_power_w", "battery_temperature_c")


def check_site(config: SiteConfig, *, probe: bool, timeout_s: float) -> bool:
    """Check state directory, port and, if asked, every device; print what was found and return whether all is well."""
    well = _check_host(config)
    if not probe:
        return well
    reports = _probe_all(config.devices, timeout_s)
    for device in config.devices:
        click.echo(_describe(device, reports[device.device_id]))
    return well and all(report.usable for report in reports.values())


def _check_host(config: SiteConfig) -> bool:
    """Judge directory and port; beside a running gateway the port is not tried, because the gateway itself has it."""
    gateway = running_gateway(Path(config.state_dir))
    try:
        check_state_dir(Path(config.state_dir))
        if gateway is None:
            check_port(config.api.host, config.api.port)
    except (StateDirError, PortInUseError) as error:
        click.echo(f"FAILED  {error}")
        return False
    if gateway is not None:
        what = f"is in use by a running gateway (process {gateway}), so port {config.api.port} was not tried"
        click.echo(f"state directory {config.state_dir} {what}")
        return True
    click.echo(f"state directory {config.state_dir} and port {config.api.port}: usable")
    return True


def _probe_all(devices: Iterable[InverterConfig], timeout_s: float) -> dict[str, ProbeReport]:
    reports: dict[str, ProbeReport] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [pool.submit(probe, device, timeout_s) for device in devices]
        with click.progressbar(
            as_completed(asked), length=len(asked), label="asking devices"
        ) as done:
            for answer in done:
                report = answer.result()
                reports[report.device_id] = report
    return reports


def _describe(device: InverterConfig, report: ProbeReport) -> str:
    place = f"{device.device_id} at {device.address()} unit {device.unit()}"
    if not report.usable:
        return f"FAILED  {place}: {report.fault}"
    values = {reading.name: reading for reading in report.readings}
    shown = [
        f"{name} {values[name].value:g}"
        if values[name].value is not None
        else f"{name} {values[name].reason}"
        for name in _SHOWN
        if name in values
    ]
    return f"ok      {place}: {report.model}, serial {report.serial}; {', '.join(shown)}; {report.seconds:.1f} s"
