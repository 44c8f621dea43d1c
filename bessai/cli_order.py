"""The commands by which an operator asks a running gateway for power: `bessai setpoint` and `bessai release`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bessai.cli_state import STATE_DIR, existing
from bessai.exit_codes import EXIT_CODES, MISUSED, REFUSED, UNUSABLE, fail

if TYPE_CHECKING:
    from actors.api.commands import Order, Reply

_REASON = click.option("--reason", required=True, help="Why: kept in the audit log.")
_NEGATIVE = {"ignore_unknown_options": True}
"""So that -1500 is a number and no option."""


@click.command(epilog=EXIT_CODES, context_settings=_NEGATIVE)
@STATE_DIR
@click.argument("device")
@click.argument("watts", type=float)
@click.option(
    "--ttl",
    "ttl_s",
    required=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds that it is to hold, up to safety.max_ttl_s.",
)
@_REASON
def setpoint(state_dir: Path | None, device: str, watts: float, ttl_s: float, reason: str) -> None:
    """Ask for WATTS at the battery of DEVICE: positive charges, negative discharges.

    0 ends forced power: the battery goes on by the rules of its own device, mostly self-consumption.

    It goes before the cloud and the dispatcher until it ends or is released, and behind every limit: what is possible
    of it is approved, and you are told what was clamped or refused and by which rule.

        bessai setpoint INV-1 -1500 --ttl 600 --reason "test of the meter"
    """
    from actors.api.commands import SetpointOrder

    directory = existing(state_dir)
    reply = obey(
        directory, lambda: SetpointOrder(device=device, watts=watts, ttl_s=ttl_s, reason=reason)
    )
    why = f" ({reply.rule}: {reply.detail})" if reply.rule else ""
    click.echo(f"{device}: {reply.watts:g} W {reply.ruling} for {ttl_s:g} s{why}")


@click.command(epilog=EXIT_CODES)
@STATE_DIR
@click.argument("device")
@_REASON
def release(state_dir: Path | None, device: str, reason: str) -> None:
    """Give up the set-point that operators hold for DEVICE before it ends by itself.

    What was commanded ends at once; the cloud and the dispatcher are heard again.
    """
    from actors.api.commands import ReleaseOrder

    obey(existing(state_dir), lambda: ReleaseOrder(device=device, reason=reason))
    click.echo(f"{device}: released")


def obey(directory: Path, ordered: Callable[[], Order]) -> Reply:
    """Return the reply to an order that was carried out; else say why not and exit."""
    from bessai.command_client import NoGatewayError, order

    try:
        reply = order(directory, ordered())
    except NoGatewayError as error:
        fail(UNUSABLE, str(error))
    if not reply.done:
        code = MISUSED if reply.rule == "syntax" else REFUSED
        fail(code, f"{reply.ruling or 'refused'} by rule {reply.rule}: {reply.detail}")
    return reply
