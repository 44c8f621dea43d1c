"""Whether the control cell makes progress: a pure decision on what was last heard, and when.

Silence is never progress. Without root's reports nothing is known of the actors, so the answer is no.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.messages import ActorProgress, WatchdogReport
from actors.watchdog.config import WatchdogConfig
from supervision.clock import NS_PER_S
from supervision.events import ActorReport, Pulse, SiteReport, State

ROOT_NAME = "root"
EVALUATIONS_NAME = "safety evaluations"


class Life(msgspec.Struct, frozen=True):
    """The incarnation of an actor that runs now."""

    epoch: int
    since_ns: int
    """When it was first heard of as running."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What WatchdogActor was told last, with monotonic times."""

    since_ns: int
    """When it began to listen."""
    site: SiteReport | None = None
    site_ns: int = 0
    """When `site` arrived."""
    evaluations: int = 0
    evaluated_ns: int = 0
    """When `evaluations` last changed; 0 before the first."""
    lives: Mapping[str, Life] = {}
    """By actor of the watched cell; those that do not run are not there."""

    def hear_site(self, site: SiteReport, cell: str, now_ns: int) -> Heard:
        """Return what is known with root's report added."""
        lives = {
            name: self._life(name, actor, now_ns)
            for name, actor in _actors(site, cell).items()
            if actor.state is State.RUNNING
        }
        return msgspec.structs.replace(self, site=site, site_ns=now_ns, lives=lives)

    def _life(self, name: str, actor: ActorReport, now_ns: int) -> Life:
        known = self.lives.get(name)
        return known if known and known.epoch == actor.epoch else Life(actor.epoch, now_ns)


def judge(heard: Heard, config: WatchdogConfig, now_ns: int) -> WatchdogReport:
    """Return the report on what was `heard` as of `now_ns`."""
    actors = _actors(heard.site, config.cell) if heard.site is not None else {}
    late: list[str] = []
    if _age_s(max(heard.site_ns, heard.since_ns), now_ns) > config.site_report_s:
        late.append(ROOT_NAME)
    elif heard.site is not None:
        late += [
            name
            for name in config.critical
            if _progress_age_s(actors.get(name), heard, now_ns) > config.progress_s
        ]
    if _age_s(max(heard.evaluated_ns, heard.since_ns), now_ns) > config.evaluation_s:
        late.append(EVALUATIONS_NAME)
    return WatchdogReport(
        mono_ns=now_ns,
        progressing=not late and heard.site is not None and heard.evaluated_ns > 0,
        late=tuple(late),
        actors=tuple(
            ActorProgress(
                name=name,
                completed=report.completed,
                age_s=_progress_age_s(report, heard, now_ns),
            )
            for name, report in actors.items()
        ),
        evaluations=heard.evaluations,
    )


def pulse(report: WatchdogReport, heard: Heard, config: WatchdogConfig) -> Pulse:
    """Return what root is told: a kick is earned when nobody is late, and nobody has just been replaced."""
    unsettled = [
        name for name in config.critical if not _settled(heard, name, config, report.mono_ns)
    ]
    awaited = ", ".join(report.late or unsettled)
    return Pulse(
        mono_ns=report.mono_ns,
        progressing=report.progressing and not unsettled,
        status=f"waiting for {awaited}" if awaited else "every battery is watched",
    )


def _settled(heard: Heard, name: str, config: WatchdogConfig, now_ns: int) -> bool:
    life = heard.lives.get(name)
    return life is not None and _age_s(life.since_ns, now_ns) >= config.settle_s


def _actors(site: SiteReport, cell: str) -> dict[str, ActorReport]:
    return {
        actor.name: actor for report in site.cells if report.name == cell for actor in report.actors
    }


def _progress_age_s(report: ActorReport | None, heard: Heard, now_ns: int) -> float:
    """Return the age of an actor's last work; of one without any, how long it has been waited for."""
    progress_ns = report.progress_ns if report is not None else 0
    return _age_s(progress_ns or heard.since_ns, now_ns)


def _age_s(then_ns: int, now_ns: int) -> float:
    return max(0.0, (now_ns - then_ns) / NS_PER_S)
