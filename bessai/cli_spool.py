"""The commands of `bessai spool`; what they do is in spool_command."""

from __future__ import annotations

from pathlib import Path

import click

from bessai.cli_state import STATE_DIR
from bessai.exit_codes import EXIT_CODES

EXPORT_HELP = """Write what waits in the spool to OUTPUT as a table; the spool keeps it.

\b
    bessai spool export waiting.csv
    bessai spool export --format parquet waiting.parquet
    bessai spool export --dead refused.csv

One line for each value of a sample, one for each other record.
"""


@click.group()
def spool() -> None:
    """Look into the spool of a stopped gateway: what waits to be published, and what was lost.

    How a running gateway's spool stands is in /metrics and /health.
    """


@spool.command(epilog=EXIT_CODES)
@STATE_DIR
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(state_dir: Path | None, *, as_json: bool) -> None:
    """Print what waits, what the sink refused, and every loss by device and time."""
    from bessai.spool_command import show_status

    show_status(_directory(state_dir), as_json=as_json)


@spool.command(epilog=EXIT_CODES)
@STATE_DIR
def verify(state_dir: Path | None) -> None:
    """Compare everything with its checksums; exits with 1 if something is damaged."""
    from bessai.spool_command import verify as verify_spool

    verify_spool(_directory(state_dir))


@spool.command(help=EXPORT_HELP, epilog=EXIT_CODES)
@STATE_DIR
@click.option(
    "--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True
)
@click.option("--dead", is_flag=True, help="The dead letters instead of what waits.")
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
def export(state_dir: Path | None, output: Path, *, form: str, dead: bool) -> None:
    """Export as a table; `EXPORT_HELP` says how."""
    from bessai.spool_command import export as export_spool

    export_spool(_directory(state_dir), output, form=form, dead=dead)


@spool.command(epilog=EXIT_CODES)
@STATE_DIR
@click.option("--dead", is_flag=True, help="Send the dead letters again.")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def replay(state_dir: Path | None, files: tuple[Path, ...], *, dead: bool) -> None:
    """Have dead letters, or what is sound in FILES (spools that were set aside), sent with the next start."""
    from bessai.spool_command import replay as replay_spool

    replay_spool(_directory(state_dir), files, dead=dead)


def _directory(state_dir: Path | None) -> Path:
    from bessai.state import default_state_dir

    return state_dir or default_state_dir()
