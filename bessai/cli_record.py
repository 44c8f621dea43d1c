"""The commands that show what is kept: `bessai audit` and `bessai dumps`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bessai.cli_state import STATE_DIR, existing
from bessai.exit_codes import EXIT_CODES, FAILED, MISUSED, UNUSABLE, fail

if TYPE_CHECKING:
    from actors.safety.audit import AuditEntry


@click.group()
def audit() -> None:
    """Show and verify the record of trips, resets and operators' set-points.

    Each entry carries the hash of the one before, so that what was changed or taken out later shows.
    """


@audit.command(epilog=EXIT_CODES)
@STATE_DIR
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="So many.")
@click.option("--json", "as_json", is_flag=True, help="As they are stored, one JSON object a line.")
def show(state_dir: Path | None, last: int, *, as_json: bool) -> None:
    """Print the newest entries, the oldest of them first."""
    import msgspec

    entries = _trail(existing(state_dir))[-last:]
    if not entries and not as_json:
        click.echo("there are no entries")
    for entry in entries:
        click.echo(msgspec.json.encode(entry).decode() if as_json else _describe(entry))


@audit.command(epilog=EXIT_CODES)
@STATE_DIR
def verify(state_dir: Path | None) -> None:
    """Check every entry and the chain between them; exits with 1 if anything is wrong.

    Note the last hash elsewhere: the chain has no secret, so only that shows if all of it was written anew.
    """
    from actors.safety.audit import find_faults

    directory = existing(state_dir)
    faults = find_faults(directory)
    for fault in faults:
        click.echo(f"FAILED  {fault}")
    if faults:
        sys.exit(FAILED)
    trail = _trail(directory)
    if not trail:
        click.echo("ok      there are no entries")
        return
    first, last = trail[0], trail[-1]
    click.echo(f"ok      entries {first.seq} to {last.seq}, last hash {last.hash}")


@click.command(epilog=EXIT_CODES)
@STATE_DIR
@click.argument("name", required=False)
def dumps(state_dir: Path | None, name: str | None) -> None:
    """List the stack dumps of actors that hung, or print the one called NAME."""
    from bessai.dumps import list_dumps

    found = {path.name: path for path in list_dumps(existing(state_dir))}
    if name is None:
        click.echo("\n".join(found) if found else "no actor has hung")
    elif name in found:
        click.echo(found[name].read_text(encoding="utf-8"))
    else:
        fail(MISUSED, f"there is no dump {name!r}: bessai dumps lists them")


def _trail(directory: Path) -> list[AuditEntry]:
    from actors.safety.audit import AuditError, read_trail

    try:
        return read_trail(directory)
    except (AuditError, OSError) as error:
        fail(UNUSABLE, f"the audit log cannot be trusted: {error}")


def _describe(entry: AuditEntry) -> str:
    when = datetime.fromtimestamp(entry.wall_ns / 1e9, tz=UTC).isoformat(timespec="seconds")
    who = f" by {entry.by}" if entry.by else ""
    rule = f" [{entry.rule}]" if entry.rule else ""
    return f"{entry.seq} {when} {entry.kind.value} {entry.device_id}{who}{rule}: {entry.detail}"
