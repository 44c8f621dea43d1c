"""The option that names the state directory, and what it stands for."""

from __future__ import annotations

from pathlib import Path

import click

from bessai.exit_codes import UNUSABLE, fail

STATE_VARIABLE = "BESSAI_STATE_DIR"
STATE_DIR = click.option(
    "--state-dir",
    envvar=STATE_VARIABLE,
    type=click.Path(file_okay=False, path_type=Path),
    show_envvar=True,
    help="The gateway's state directory; without it, where state goes if nothing is configured.",
)


def existing(state_dir: Path | None) -> Path:
    """Return the state directory to use, or exit where there is none."""
    from bessai.state import default_state_dir

    directory = state_dir or default_state_dir()
    if not directory.is_dir():
        fail(
            UNUSABLE,
            f"there is no state directory {directory}: name the gateway's with --state-dir",
        )
    return directory
