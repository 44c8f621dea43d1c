"""WatchdogActor: four times a second, says whether the control cell makes progress and who is late.

Root kicks the watchdogs outside on its word and on nothing else: if it stands still itself, no kick comes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.messages import API, SAFETY, SafetyProgress
from actors.watchdog.config import WatchdogConfig
from actors.watchdog.progress import Heard, judge, pulse
from supervision.actor import Actor, ActorContext
from supervision.clock import NS_PER_S
from supervision.envelope import Header, Lane
from supervision.events import ROOT, SiteReport


class WatchdogActor(Actor):
    """Remembers what it heard; `judge` decides what that means."""

    def __init__(self, config: WatchdogConfig) -> None:
        """Know nothing yet."""
        self._config = config
        self._period_ns = int(config.report_s * NS_PER_S)
        self._due_ns = 0
        self._evaluated: tuple[int, int] = (0, 0)
        self._heard: Heard
        self._context: ActorContext

    def on_start(self, context: ActorContext) -> None:
        """Begin to listen."""
        self._context = context
        self._heard = Heard(since_ns=context.clock.monotonic_ns())

    def on_message(self, message: Any, header: Header) -> None:  # noqa: ANN401 - as Actor declares it
        """Note what root and SafetyActor tell."""
        now_ns = self._context.clock.monotonic_ns()
        match message:
            case SiteReport():
                self._heard = self._heard.hear_site(message, self._config.cell, now_ns)
            case SafetyProgress() if header.sender == SAFETY:
                self._on_evaluations(header.epoch, message.evaluations, now_ns)
            case _:
                pass

    def on_tick(self) -> None:
        """Report when it is time."""
        now_ns = self._context.clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        # On average the period is kept, whatever the tick; after a pause nothing is made up for.
        self._due_ns = max(self._due_ns, now_ns - self._period_ns) + self._period_ns
        report = judge(self._heard, self._config, now_ns)
        self._context.send(report, API)
        beat = pulse(report, self._heard, self._config)
        self._context.send(beat, ROOT, lane=Lane.CONTROL, ttl_s=self._config.report_s)

    def _on_evaluations(self, epoch: int, evaluations: int, now_ns: int) -> None:
        if (epoch, evaluations) > self._evaluated:
            self._evaluated = (epoch, evaluations)
            self._heard = msgspec.structs.replace(
                self._heard, evaluations=evaluations, evaluated_ns=now_ns
            )


def build(config: bytes) -> Actor:
    """Return the WatchdogActor for a msgpack-encoded `WatchdogConfig`."""
    return WatchdogActor(msgspec.msgpack.decode(config, type=WatchdogConfig))
