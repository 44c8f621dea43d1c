"""The command line. Each command imports what it needs when it runs, so that help and root stay light."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from bessai import __version__
from bessai.simulator.command import simulate

if TYPE_CHECKING:
    from actors.safety.latch import LatchRecord
    from bessai.config import SiteConfig

FAILED = 1
MISUSED = 2
UNUSABLE = 3

EXIT_CODES = """\b
Exit codes:
  0  done, or stopped in order
  1  something failed while running
  2  the command line or the configuration is wrong
  3  something outside cannot be used: a device, a port, the state directory"""

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
HEALTH_HOST, HEALTH_PORT, BESSAI_STATE_DIR, LOG_LEVEL. On a stop every device is left in its safe state; a second
signal does not wait for that.
"""
_STATE_VARIABLE = "BESSAI_STATE_DIR"
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


main.add_command(simulate)


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
        _fail(UNUSABLE, str(error))
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
        _fail(UNUSABLE, str(error))
    sys.exit(status)


@main.group()
def latch() -> None:
    """List and reset trips while the gateway is stopped.

    A trip (a battery beyond its hard temperature limits) stays latched over every restart until somebody resets it.
    """


_STATE_DIR = click.option(
    "--state-dir",
    envvar=_STATE_VARIABLE,
    type=click.Path(file_okay=False, path_type=Path),
    help="The gateway's state directory.",
)


@latch.command("list", epilog=EXIT_CODES)
@_STATE_DIR
def list_command(state_dir: Path | None) -> None:
    """Print every latched trip with its rule and time."""
    from actors.safety.latch import list_latches

    latched: list[LatchRecord] = []
    _on_latches(lambda directory: latched.extend(list_latches(directory).values()), state_dir)
    click.echo("\n".join(map(_describe_latch, latched)) if latched else "nothing is latched")


@latch.command(epilog=EXIT_CODES)
@_STATE_DIR
@click.argument("device")
@click.option("--reason", required=True, help="Why the trip may be reset: kept in the journal.")
@click.option(
    "--operator",
    default=lambda: os.environ.get("USER", ""),
    help="Who resets it; your user name if not given.",
)
def reset(state_dir: Path | None, device: str, reason: str, operator: str) -> None:
    """Reset the trip of DEVICE; the gateway must be stopped."""
    import time

    from actors.safety.latch import reset as reset_latch

    _on_latches(
        lambda directory: reset_latch(
            directory, device, operator=operator, reason=reason, wall_ns=time.time_ns()
        ),
        state_dir,
    )
    click.echo(f"{device}: reset by {operator}")


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


def _describe_latch(record: LatchRecord) -> str:
    when = datetime.fromtimestamp(record.wall_ns / 1e9, tz=UTC).isoformat(timespec="seconds")
    return f"{record.device_id}: tripped {when} by {record.rule}: {record.reason}"


def _load(config_path: Path | None, state_dir: Path | None) -> SiteConfig:
    from bessai.config import ConfigError, load_config

    environment = dict(os.environ)
    if state_dir is not None:
        environment[_STATE_VARIABLE] = str(state_dir)
    try:
        return load_config(config_path, environment)
    except ConfigError as error:
        faults = "\n  ".join(str(fault) for fault in error.faults)
        _fail(MISUSED, f"the configuration cannot be used:\n  {faults}")


def _on_latches(work: Callable[[Path], object], state_dir: Path | None) -> object:
    from actors.safety.latch import JournalError, NotLatchedError
    from actors.safety.statedir import StateDirError
    from bessai.state import default_state_dir

    directory = state_dir or default_state_dir()
    if not directory.is_dir():
        _fail(
            UNUSABLE,
            f"there is no state directory {directory}: name the gateway's with --state-dir",
        )
    try:
        return work(directory)
    except (NotLatchedError, ValueError) as error:
        _fail(MISUSED, str(error))
    except (JournalError, StateDirError, OSError) as error:
        _fail(UNUSABLE, str(error))


def _fail(code: int, message: str) -> NoReturn:
    click.echo(f"bessai: {message}", err=True)
    sys.exit(code)
