"""The command line. Each command imports what it needs when it runs, so that help and root stay light."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bessai import __version__
from bessai.cli_history import history
from bessai.cli_latch import latch
from bessai.cli_order import release, setpoint
from bessai.cli_originals import originals
from bessai.cli_profile import profile
from bessai.cli_record import audit, dumps
from bessai.cli_spool import spool
from bessai.cli_state import STATE_VARIABLE
from bessai.exit_codes import EXIT_CODES, FAILED, MISUSED, UNUSABLE, fail
from bessai.simulator.command import simulate

if TYPE_CHECKING:
    from bessai.config import SiteConfig

__all__ = ["EXIT_CODES", "FAILED", "MISUSED", "UNUSABLE", "main"]

MAIN_HELP = """Keep batteries inside their limits, whatever else fails.

\b
Try it on a simulated site:
    bessai demo
One inverter, no file:
    INVERTER_IP=192.168.1.20 SITE_ID=HOME bessai run
A site of several, checked first:
    bessai check --config site.toml
    bessai run --config site.toml
Completion for your shell (bash, zsh, fish):
    eval "$(bessai completion bash)"
"""
RUN_HELP = """Run the gateway until SIGTERM or Ctrl-C.

\b
One inverter, no file:
    INVERTER_IP=192.168.1.20 SITE_ID=HOME bessai run
A site:
    bessai run --config site.toml

Environment variables override the file: SITE_ID, INVERTER_IP, INVERTER_PORT, INVERTER_UNIT_ID, INVERTER_PROFILE,
HEALTH_HOST, HEALTH_PORT, BESSAI_STATE_DIR, LOG_LEVEL, GCP_PROJECT_ID, GCP_PUBSUB_TOPIC,
OTEL_EXPORTER_OTLP_ENDPOINT. On a stop every device is left as its failsafe says; a second signal does not wait for
that.
"""
_CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration of the site (TOML). Without it, INVERTER_IP and SITE_ID name a single device.",
)
_OTHER_STATE_DIR = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="Where state is kept, whatever the file or BESSAI_STATE_DIR says.",
)


@click.group(
    help=MAIN_HELP,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def main() -> None:
    """Hold the commands."""


for command in (
    simulate,
    history,
    profile,
    spool,
    latch,
    setpoint,
    release,
    originals,
    audit,
    dumps,
):
    main.add_command(command)


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(__version__)


@main.command(help=RUN_HELP, epilog=EXIT_CODES)
@_CONFIG
@_OTHER_STATE_DIR
@click.option("--chaos-dir", type=click.Path(file_okay=False, path_type=Path), hidden=True)
def run(config_path: Path | None, state_dir: Path | None, chaos_dir: Path | None) -> None:
    """Run the gateway; `RUN_HELP` says how."""
    from bessai import logs

    logs.configure("root")
    config = _load(config_path, state_dir)
    logs.configure("root", config.log_level)
    from actors.safety.statedir import StateDirError
    from bessai.gateway import PortInUseError, run_gateway

    try:
        status = run_gateway(config, chaos_dir=str(chaos_dir) if chaos_dir else None)
    except (StateDirError, PortInUseError, OSError) as error:
        fail(UNUSABLE, str(error))
    sys.exit(status)


@main.command(epilog=EXIT_CODES, short_help="Validate a configuration and probe its devices.")
@_CONFIG
@_OTHER_STATE_DIR
@click.option(
    "--probe/--no-probe", default=True, show_default=True, help="Also ask each device who it is."
)
@click.option(
    "--timeout",
    "timeout_s",
    default=15.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Seconds for each device.",
)
def check(
    config_path: Path | None, *, state_dir: Path | None, probe: bool, timeout_s: float
) -> None:
    """Validate a configuration, telling all faults at once, and ask each device who it is.

    Nothing is written to a device; the state directory is made if it is missing.
    """
    from bessai.check import check_site

    config = _load(config_path, state_dir)
    click.echo(f"configuration: {len(config.devices)} device(s), site {config.site_id}: valid")
    sys.exit(0 if check_site(config, probe=probe, timeout_s=timeout_s) else UNUSABLE)


@main.command(epilog=EXIT_CODES)
@click.option(
    "--devices",
    default=3,
    show_default=True,
    type=click.IntRange(1, 50),
    help="How many batteries.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where state is kept; a temporary directory if not given.",
)
@click.option(
    "--host",
    envvar="HEALTH_HOST",
    default="127.0.0.1",
    show_default=True,
    help="Address for /health and /metrics.",
)
@click.option(
    "--health-port",
    envvar="HEALTH_PORT",
    default=8000,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port for both; 0 takes a free one.",
)
@click.option(
    "--duration", "duration_s", type=click.FloatRange(min=0), help="Stop after so many seconds."
)
@click.option("--json", "as_json", is_flag=True, help="Tell everything as one JSON object a line.")
@click.option(
    "--simulator-port",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Modbus port of the first battery; 0 takes free ones.",
)
def demo(**options: object) -> None:
    """Run the gateway on a simulated site, and show what it does.

    Three batteries are simulated behind real Modbus TCP sockets; the gateway reads them, keeps their limits, scores,
    dispatches on real day-ahead prices played fast, and stores. Kill any of its processes and watch.
    """
    from bessai.demo import DemoError, DemoOptions, run_demo

    try:
        status = run_demo(DemoOptions(**options))  # type: ignore[arg-type]  # click has checked them
    except DemoError as error:
        fail(UNUSABLE, str(error))
    sys.exit(status)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    To have it in every session, put this into ~/.bashrc: eval "$(bessai completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click knows the three
    click.echo(kind(main, {}, "bessai", "_BESSAI_COMPLETE").source())


def _load(config_path: Path | None, state_dir: Path | None) -> SiteConfig:
    from bessai.config import ConfigError, load_config

    environment = dict(os.environ)
    if state_dir is not None:
        environment[STATE_VARIABLE] = str(state_dir)
    try:
        return load_config(config_path, environment)
    except ConfigError as error:
        faults = "\n  ".join(str(fault) for fault in error.faults)
        fail(MISUSED, f"the configuration cannot be used:\n  {faults}")
