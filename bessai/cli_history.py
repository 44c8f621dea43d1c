"""The command `bessai history`; what it does is in history_command."""

from __future__ import annotations

from pathlib import Path

import click

from bessai.cli_state import STATE_DIR
from bessai.exit_codes import EXIT_CODES

HELP = """Print what a device said over time, or what happened to it; the gateway may be running.

\b
    bessai history INV-1
    bessai history INV-1 soc_pct --from 24h --every 15m
    bessai history INV-1 soc_pct --from 2026-11-25T06:00 --to 2026-11-25T18:00 --every 10s
    bessai history INV-1 --events --from 30d

Without POINT, the points of DEVICE are listed. Times are UTC, or how long ago (90s, 15m, 24h, 7d). Raw samples are kept
for 7 days, quarter-hours for 42 and events for 280, as far as publisher.history_mb allows.
"""


@click.command(help=HELP, epilog=EXIT_CODES)
@STATE_DIR
@click.option("--from", "begin", default="1h", show_default=True, help="The first moment.")
@click.option("--to", "end", default="0s", show_default=True, help="The moment after the last.")
@click.option("--every", default="1m", show_default=True, help="Length of a line's time.")
@click.option("--events", is_flag=True, help="What happened, instead of values.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.argument("device")
@click.argument("point", required=False, default="")
def history(
    state_dir: Path | None, device: str, point: str, *, as_json: bool, events: bool, **span: str
) -> None:
    """Print the history; `HELP` says how."""
    from bessai.history_command import show_events, show_points, show_values
    from bessai.state import default_state_dir

    path = (state_dir or default_state_dir()) / "history.db"
    if events:
        show_events(path, device, begin=span["begin"], end=span["end"], as_json=as_json)
    elif point:
        show_values(path, device, point, **span, as_json=as_json)
    else:
        show_points(path, device)
