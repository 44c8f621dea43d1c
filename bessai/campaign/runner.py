"""Runs a campaign on a real gateway and a real site, and leaves its record in a directory."""

from __future__ import annotations

import heapq
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bessai.campaign.actions import Actions, Later
from bessai.campaign.arena import Arena, arena
from bessai.campaign.record import CAMPAIGN, DONE, Campaign, Done
from bessai.campaign.step import Step, until_s

_MARGIN_S = 1.0
"""The record goes on after the last step for so much longer than an answer takes."""


class GatewayEndedError(AssertionError):
    """The gateway is gone, which nothing in a campaign may bring about."""


def run(
    campaign: Campaign, directory: Path, told: Callable[[int, int], None] = lambda *_: None
) -> None:
    """Carry out `campaign` with its record in `directory`; `told` hears how many steps of how many have begun.

    Raises:
        NotInTimeError: site or gateway did not come up.
        GatewayEndedError: the gateway ended by itself.
    """
    directory.mkdir(parents=True, exist_ok=True)
    save(campaign, directory)
    with arena(campaign, directory) as place, (directory / DONE).open("ab") as file:
        save(msgspec.structs.replace(campaign, terms=place.terms), directory)

        def note(done: Done) -> None:
            file.write(msgspec.json.encode(done) + b"\n")
            file.flush()  # what was done is wanted most when the next step ends everything

        _carry_out(campaign.steps, place, Actions(place, note), told)
        _see_it_alive(place)


def save(campaign: Campaign, directory: Path) -> None:
    """Write `campaign` so that it can be replayed from the file."""
    (directory / CAMPAIGN).write_bytes(msgspec.json.encode(campaign))


def _carry_out(
    steps: tuple[Step, ...], place: Arena, actions: Actions, told: Callable[[int, int], None]
) -> None:
    start_s = time.monotonic() + 0.5
    order = itertools.count()
    queue: list[tuple[float, int, Step | Later]] = [
        (start_s + step.at_s, next(order), step) for step in steps
    ]
    heapq.heapify(queue)
    begun = 0
    while queue:
        at_s, _, what = heapq.heappop(queue)
        time.sleep(max(at_s - time.monotonic(), 0.0))
        if isinstance(what, Step):
            begun += 1
            told(begun, len(steps))
            _see_it_alive(place)
            later = actions.begin(what)
        else:
            later = what.act()
        if later is not None:
            heapq.heappush(queue, (later.at_s, next(order), later))
    last_s = start_s + max((until_s(step) for step in steps), default=0.0)
    end_s = last_s + place.terms.answer_s + _MARGIN_S
    time.sleep(max(end_s - time.monotonic(), 0.0))


def _see_it_alive(place: Arena) -> None:
    code = place.gateway.process.poll()
    if code is not None:
        raise GatewayEndedError(f"the gateway ended with {code}; its log: {place.gateway.log}")
