"""The command line of a campaign."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from pathlib import Path

import click

from bessai.campaign.judge import judge
from bessai.campaign.offence import Judgement, Tally
from bessai.campaign.plan import plan
from bessai.campaign.record import CAMPAIGN, Campaign, Record, read_campaign, read_record
from bessai.campaign.runner import GatewayEndedError, run
from bessai.testing import NotInTimeError

HELP = """Break the gateway and its devices at random, and judge from the devices' record whether every limit was kept.

The same seed gives the same steps. docs/campaign.md says what is done, what is judged and what cannot be seen.
"""
_TOLD_EVERY = 500
_TOLD_OFFENCES = 20


@click.command("campaign", help=HELP)
@click.option("--seed", type=int, help="What to draw the steps from; by default the time.")
@click.option("--steps", default=10_000, show_default=True, help="How many steps.")
@click.option("--devices", default=20, show_default=True, help="How many devices.")
@click.option("--pause-s", default=0.08, show_default=True, help="Mean time between two steps.")
@click.option("--profile", default="", help="The devices' profile, such as one with its checks.")
@click.option(
    "--replay",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Do the steps of an earlier campaign, from its campaign.json.",
)
@click.option(
    "--judge-only",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Run nothing, judge the record in this directory again.",
)
@click.option(
    "--record",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of the record; by default a new one in build/.",
)
def campaign(
    *,
    seed: int | None,
    steps: int,
    devices: int,
    pause_s: float,
    profile: str,
    replay: Path | None,
    judge_only: Path | None,
    record: Path | None,
) -> None:
    """Run a campaign and exit with 1 if a rule was broken, or none could have been."""
    if judge_only is not None:
        conclude(judge_only)
        return
    if replay is not None:
        wanted = read_campaign(replay)
    else:
        seed = time.time_ns() % 1_000_000 if seed is None else seed
        wanted = Campaign(
            seed=str(seed),
            devices=devices,
            profile=profile,
            steps=plan(seed, steps=steps, devices=devices, pause_s=pause_s),
        )
    directory = record or Path("build") / f"campaign-{dt.datetime.now(tz=dt.UTC):%Y%m%d-%H%M%S}"
    click.echo(
        f"seed {wanted.seed}: {len(wanted.steps)} steps on {wanted.devices} devices in"
        f" {wanted.steps[-1].at_s:.0f} s; record: {directory}"
    )
    try:
        run(wanted, directory, _tell())
    except (NotInTimeError, GatewayEndedError) as error:
        raise click.ClickException(f"{error}\n{how_to_repeat(directory)}") from error
    conclude(directory)


def conclude(directory: Path) -> None:
    """Judge the record in `directory` and say so.

    Raises:
        SystemExit: with 1, if a rule was broken, or if nothing happened that could have broken one.
    """
    record = read_record(directory)
    found = judge(record)
    click.echo(_figures(found.tally, record))
    if found.offences:
        click.echo(complaint(found, record, directory), err=True)
        raise SystemExit(1)
    if not found.tally.forced_writes:
        click.echo(
            f"the gateway forced no power: nothing is proved\n{how_to_repeat(directory)}", err=True
        )
        raise SystemExit(1)
    click.echo("no unanswered breach, no write outside limits")


def complaint(found: Judgement, record: Record, directory: Path) -> str:
    """Return the offences with their seconds, and how to repeat them."""
    start_ns = min((done.began_ns for done in record.done), default=0)
    told = [offence.text(start_ns) for offence in found.offences[:_TOLD_OFFENCES]]
    more = len(found.offences) - len(told)
    told += [f"... and {more} more"] if more > 0 else []
    return "\n".join([*told, how_to_repeat(directory)])


def how_to_repeat(directory: Path) -> str:
    """Return the seed of the campaign in `directory`, and the command that repeats its steps."""
    file = directory / CAMPAIGN
    seed = read_campaign(file).seed
    return (
        f"seed {seed}; steps: {file}; record: {directory}\n"
        f"repeat: python -m bessai.campaign --replay {file}"
    )


def _figures(tally: Tally, record: Record) -> str:
    refused = sum(bool(done.refused) for done in record.done)
    lines = {
        "steps carried out": len(record.done) - refused,
        "steps refused": refused,
        "writes by the gateway": tally.writes,
        "of forced power": tally.forced_writes,
        "with nothing wrong before": tally.clear_writes,
        "breaches": tally.breaches,
        "with nothing wrong meanwhile": tally.clear_breaches,
        "in the disguise of a set-point": tally.disguised_breaches,
        "longest time to an answer, s": f"{tally.longest_clear_s:.2f} of {record.terms.answer_s:g}",
        "lost by the machine, s": f"{tally.lost_s:.1f}",
    }
    return "\n".join(f"  {name}: {value}" for name, value in lines.items())


def _tell() -> Callable[[int, int], None]:
    began_s = time.monotonic()

    def tell(begun: int, steps: int) -> None:
        if begun % _TOLD_EVERY == 0:
            click.echo(f"  {begun} of {steps} steps after {time.monotonic() - began_s:.0f} s")

    return tell
