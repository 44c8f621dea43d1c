"""The command `bessai simulate`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from bessai.simulator import site

SIMULATE_HELP = """Simulate a site of batteries, Huawei SUN2000/LUNA2000 or SunSpec, on real Modbus TCP.

Every device is a Modbus TCP server of its own on the loopback, with battery physics behind the vendor's holding
registers. Ports count up from --port. The control channel changes physics, spoofs registers and injects faults; it
speaks JSON, one object per line. docs/simulator.md tells all it can do, and how to write a plan of faults.

\b
Three devices on 5020 to 5022:
    bessai simulate --devices 3 --port 5020
Anything free, told as one JSON line, with the devices' own record:
    bessai simulate --port 0 --json --record record/
Hundreds, with everything going wrong that can:
    bessai simulate --devices 500 --plan config/plans/storm.toml
Ask the control channel (its port is printed) for the truth of the first device:
    echo '{"op": "truth", "device": "d1"}' | nc 127.0.0.1 PORT
"""


@click.command("simulate", help=SIMULATE_HELP)
@click.option("--devices", default=3, show_default=True, help="How many devices.")
@click.option(
    "--kind",
    default="huawei",
    show_default=True,
    type=click.Choice(["huawei", "sunspec", "sunspec-float", "sunspec-der"]),
    help="Which device: SUN2000/LUNA2000, or a SunSpec storage by one of three sets of models.",
)
@click.option(
    "--port",
    default=5020,
    show_default=True,
    help="Modbus port of the first device; 0 takes any free ones.",
)
@click.option(
    "--control-port",
    default=0,
    show_default=True,
    help="Port of the control channel; 0 takes any free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve Modbus on.")
@click.option("--unit", default=1, show_default=True, help="Modbus unit id that every device has.")
@click.option(
    "--record",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory for truth.jsonl, writes.jsonl and faults.jsonl.",
)
@click.option(
    "--plan",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What goes wrong when (TOML); it begins when the devices listen.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Decides serial numbers, wandering and noise."
)
@click.option(
    "--step-hz",
    type=float,
    help="Steps of the physics per second; by default as many as the number of devices allows, 20 at most.",
)
@click.option(
    "--truth-hz",
    default=1.0,
    show_default=True,
    help="Recorded truths per second; 0 records every step.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=NUMBER",
    help="Start value of every device, such as soc_pct=60, load_w=1500, countdown_s_per_min=1. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Tell readiness as one JSON line.")
def simulate(*, as_json: bool, settings: tuple[str, ...], **options: object) -> None:
    """Run the simulated site until it is interrupted."""
    # The servers are imported only when they run, to keep `bessai --help` quick.
    from bessai.simulator import descriptors, plan, server, site  # noqa: PLC0415

    def on_ready(ready: site.Ready) -> None:
        click.echo(msgspec.json.encode(ready).decode() if as_json else _describe(ready, config))

    try:
        device = _start_values(settings)
        config = msgspec.convert({**options, "device": device}, site.SimulatorConfig)
    except (ValueError, msgspec.ValidationError) as error:
        raise click.UsageError(str(error)) from error
    try:
        with contextlib.suppress(KeyboardInterrupt):
            site.run_site(config, on_ready)
    except (
        descriptors.TooFewDescriptorsError,
        plan.PlanError,
        server.PortInUseError,
        OSError,
        ValueError,
    ) as error:
        raise click.ClickException(str(error)) from error


def _start_values(settings: tuple[str, ...]) -> dict[str, object]:
    """Return the device's start values; names of registers go to its storage control, `battery.X` to its battery."""
    from bessai.simulator.storage_control import FACTORY_SETTINGS  # noqa: PLC0415
    from bessai.simulator.sunspec_control import SETTINGS  # noqa: PLC0415

    device: dict[str, object] = {}
    control: dict[str, float] = {}
    battery: dict[str, float] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            value = float(text)
        except ValueError as error:
            msg = f"--set {setting!r}: give NAME=NUMBER, such as soc_pct=60"
            raise ValueError(msg) from error
        if name in FACTORY_SETTINGS or name in SETTINGS:
            control[name] = value
        elif name.startswith("battery."):
            battery[name.removeprefix("battery.")] = value
        else:
            device[name] = int(value) if value.is_integer() else value
    return {**device, "settings": control, "battery": battery}


def _describe(ready: site.Ready, config: site.SimulatorConfig) -> str:
    lines = [f"device {d.name}: {d.host}:{d.port} unit {d.unit}" for d in ready.devices]
    lines.append(f"control: {ready.control_host}:{ready.control_port}")
    if config.plan is not None:
        lines.append(f"plan: {config.plan} begins now")
    return "\n".join([*lines, "ready; Ctrl-C stops it"])
