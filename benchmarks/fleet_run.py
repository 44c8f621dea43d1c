"""A control cell of many devices, and sinks for what it delivers.

Run as `python -m benchmarks.fleet_run --config FILE --tally DIR`. Everything but the actors of the degradable cells is
the gateway's own: root, the control cell, its link, its messages.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from actors.messages import API, DETECTOR, DISPATCHER, PUBLISHER
from bessai.config import CONTROL, load_config
from bessai.gateway import log_event
from bessai.tree import CODEC, REPORTERS, WATCHERS, site_cells
from supervision.root import Root
from supervision.spec import CellSpec, ChildSpec, MailboxSpec


@click.command()
@click.option("--config", type=Path, required=True)
@click.option("--tally", type=Path, required=True)
def main(config: Path, tally: Path) -> None:
    """Run until told to stop."""
    site = load_config(config, os.environ)
    Path(site.state_dir).mkdir(parents=True, exist_ok=True)
    control = [cell for cell in site_cells(site) if cell.name == CONTROL]
    sinks = CellSpec(
        name="sinks",
        codec=CODEC,
        children=tuple(
            ChildSpec(
                name=name,
                factory="benchmarks.fleet_sink:build",
                config=str(tally / f"{name}.tally").encode(),
                tick_s=0.2,
                liveness_s=10.0,
                mailbox=MailboxSpec(telemetry=100_000),
            )
            for name in (API, PUBLISHER, DETECTOR, DISPATCHER)
        ),
    )
    root = Root(
        [*control, sinks],
        generation=os.getpid(),
        watchers=WATCHERS,
        reporters=REPORTERS,
        on_event=log_event,
    )
    sys.exit(root.run())


if __name__ == "__main__":
    main()
