"""`bessai run` with hogs: `python -m benchmarks.hogged_run [--hog CELL ...] --config FILE --chaos-dir DIR`.

A hog named `control` burns on a thread of the control cell, any other in a cell of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import msgspec

from bessai.config import CONTROL, load_config
from bessai.tree import CODEC, REPORTERS, WATCHERS, site_cells
from supervision.root import Root
from supervision.spec import CellSpec, ChildSpec

_FOR_EVER_S = 1e6


@click.command()
@click.option("--hog", "hogs", multiple=True)
@click.option("--config", type=Path, required=True)
@click.option("--chaos-dir", required=True)
def main(hogs: tuple[str, ...], config: Path, chaos_dir: str) -> None:
    """Run the gateway with these hogs."""
    site = load_config(config, os.environ)
    Path(site.state_dir).mkdir(parents=True, exist_ok=True)
    cells = [_with_hog(cell, hogs) for cell in site_cells(site, chaos_dir=chaos_dir)]
    cells += [_cell(name) for name in hogs if name != CONTROL]
    root = Root(cells, generation=os.getpid(), watchers=WATCHERS, reporters=REPORTERS)
    sys.exit(root.run())


def _hog(name: str) -> ChildSpec:
    return ChildSpec(
        name=f"hog/{name}", factory="benchmarks.hog:build", tick_s=0.1, liveness_s=_FOR_EVER_S
    )


def _with_hog(cell: CellSpec, hogs: tuple[str, ...]) -> CellSpec:
    if cell.name != CONTROL or CONTROL not in hogs:
        return cell
    return msgspec.structs.replace(cell, children=(*cell.children, _hog(CONTROL)))


def _cell(name: str) -> CellSpec:
    return CellSpec(name=f"hog-{name}", codec=CODEC, children=(_hog(name),))


if __name__ == "__main__":
    main()
