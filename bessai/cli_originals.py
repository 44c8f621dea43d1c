"""The commands of `bessai originals`; what they do is in originals_command."""

from __future__ import annotations

from pathlib import Path

import click

from bessai.exit_codes import EXIT_CODES

_CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration of the site (TOML); without it, INVERTER_IP and SITE_ID name a single device.",
)
_STATE_DIR = click.option(
    "--state-dir",
    type=click.Path(path_type=Path),
    help="Where state is kept, whatever the file or BESSAI_STATE_DIR says.",
)


@click.group()
def originals() -> None:
    """List and restore what registers in a device's flash held before the gateway changed them.

    Only the fail-safe mode `hold` changes any. A gateway that is stopped in that mode, or killed, leaves it behind.
    """


@originals.command("list", epilog=EXIT_CODES)
@_CONFIG
@_STATE_DIR
def list_command(config_path: Path | None, state_dir: Path | None) -> None:
    """Print by device what is recorded and not restored yet; also while the gateway runs."""
    from bessai.originals_command import list_originals

    list_originals(config_path, state_dir)


@originals.command(epilog=EXIT_CODES)
@_CONFIG
@_STATE_DIR
@click.argument("device")
@click.option(
    "--timeout",
    "timeout_s",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Seconds for everything.",
)
def restore(
    config_path: Path | None, state_dir: Path | None, device: str, timeout_s: float
) -> None:
    """Write the originals of DEVICE back and read them back; the gateway must be stopped.

    A register that somebody else has set since is left as it is.
    """
    from bessai.originals_command import restore_originals

    restore_originals(config_path, state_dir, device, timeout_s)
