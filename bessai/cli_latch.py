"""The commands of `bessai latch`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bessai.cli_order import obey
from bessai.cli_state import STATE_DIR, existing
from bessai.exit_codes import EXIT_CODES, MISUSED, UNUSABLE, fail

if TYPE_CHECKING:
    from actors.safety.latch import LatchRecord


@click.group()
def latch() -> None:
    """List and reset trips.

    A trip (a battery beyond its hard limits) stays latched over every restart until an operator resets it.
    """


@latch.command("list", epilog=EXIT_CODES)
@STATE_DIR
def list_command(state_dir: Path | None) -> None:
    """Print every latched trip with its rule and time."""
    from actors.safety.latch import JournalError, list_latches

    try:
        latched = list_latches(existing(state_dir)).values()
    except (JournalError, OSError) as error:
        fail(UNUSABLE, str(error))
    click.echo("\n".join(map(_describe, latched)) if latched else "nothing is latched")


@latch.command(epilog=EXIT_CODES)
@STATE_DIR
@click.argument("device")
@click.option("--reason", required=True, help="Why the trip may be reset: kept in the audit log.")
@click.option(
    "--operator",
    default=lambda: os.environ.get("USER", ""),
    help="Who resets it while the gateway is stopped ($USER if not given); a running gateway sees who asks.",
)
def reset(state_dir: Path | None, device: str, reason: str, operator: str) -> None:
    """Reset the trip of DEVICE.

    A running gateway does it once the battery's measurements show that the cause is gone. While it is stopped nobody
    measures: the next start trips again if the cause is still there.
    """
    from actors.api.commands import ResetOrder
    from bessai.state import running_gateway

    directory = existing(state_dir)
    if running_gateway(directory) is None and _reset_offline(directory, device, operator, reason):
        click.echo(f"{device}: reset by {operator}")
        return
    reply = obey(directory, lambda: ResetOrder(device=device, reason=reason))
    click.echo(f"{device}: reset {reply.detail}")


def _reset_offline(directory: Path, device: str, operator: str, reason: str) -> bool:
    """Reset a trip while the gateway is stopped; return False if it runs."""
    from actors.safety.latch import JournalError
    from actors.safety.latchbook import RESETS_PER_HOUR
    from actors.safety.offline import NotLatchedError, ResetRefusedError, offline_reset
    from actors.safety.statedir import GatewayRunningError, StateDirError
    from supervision.clock import SystemClock

    try:
        offline_reset(
            directory,
            device,
            operator=operator,
            reason=reason,
            clock=SystemClock(),
            resets_per_hour=RESETS_PER_HOUR,
        )
    except GatewayRunningError:
        return False
    except (NotLatchedError, ResetRefusedError) as error:
        fail(MISUSED, str(error))
    except ValueError as error:
        fail(MISUSED, f"{error}, with --operator and --reason")
    except (JournalError, StateDirError, OSError) as error:
        fail(UNUSABLE, str(error))
    return True


def _describe(record: LatchRecord) -> str:
    when = datetime.fromtimestamp(record.wall_ns / 1e9, tz=UTC).isoformat(timespec="seconds")
    return f"{record.device_id}: tripped {when} by {record.rule}: {record.reason}"
